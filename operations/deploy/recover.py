"""`recover`: plan a stack with the import of each resource that exists, but that its state has lost.

A state is lost if Terraform is killed during an apply. What is found must be planned again: only then are the arguments
of other resources known, such as the ID of the VPC of a subnet. So this repeats until nothing more is found.

If the creation of a resource was interrupted while the provider waited for it, Terraform marks it as tainted and would
replace it (https://developer.hashicorp.com/terraform/cli/commands/untaint). It is kept, if the user agrees.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from operations.errors import OperationError
from operations.state import existing
from operations.state.existing import Account
from operations.terraform import program
from operations.terraform.plans import TAINTED, Change, Plan
from operations.terraform.runner import Terraform
from operations.terraform.stacks import Stack

OnEvent = Callable[[Mapping[str, Any]], None]
Keeps = Callable[[Sequence[str]], bool]
"""Whether to keep the tainted resources with these addresses."""

Find = Callable[[Mapping[str, Any]], str | None]
"""The import ID of a resource that a plan would create, from its entry in the plan; None if it does not exist."""


def plan(  # noqa: PLR0913 (what a plan needs, and what a recovery decides)
    stack: Stack,
    file: Path,
    log: Path,
    on_event: OnEvent,
    keeps: Keeps,
    *arguments: str,
    find: Find | None = None,
) -> dict[str, Any]:
    """Plan a stack into `file` with the import of all that `find` finds, and return the plan as JSON.

    By default this is what the state has lost. It replaces tainted resources that are not kept, which `losing` tells.

    Raises:
        OperationError: if several resources can be meant, or a type is not known.
        TerraformError: if a plan failed.
    """
    if stack.is_in_cluster:
        command = program.command(stack.directory, "import ADDRESS ID")
        raise OperationError(f"{stack.name}: not a stack of AWS resources; import its objects: {command}")
    find = find or partial(_find, stack, accounts(stack))
    terraform, imports = Terraform(stack.directory), dict[str, str]()
    while True:
        document = terraform.stream_plan(file, log, on_event, *arguments, imports=imports)
        if tainted := _tainted(document):
            if not keeps(tainted):
                return document
            for address in tainted:
                Terraform(stack.directory, log).run("untaint", *arguments, address)
            continue
        found = _found(document, find)
        if not found:
            return document
        imports |= found


def lost(stack: Stack, document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The address and ID of each resource that a plan would create, and that exists outside the state.

    Only of the types that `recover` finds, and as far as their arguments are known before the apply.

    Raises:
        ClientError: if AWS does not answer.
    """
    account = accounts(stack)
    state = document.get("prior_state", {}).get("values", {}).get("root_module", {}).get("resources", [])
    known = {(one["type"], str(one["values"].get("id"))) for one in state if one["mode"] == "managed"}
    return [
        (entry["address"], id_)
        for entry in created(document)
        if entry["type"] in existing.FINDERS
        for id_ in ids(stack, account, entry)
        if (entry["type"], id_) not in known
    ]


def accounts(stack: Stack) -> Callable[[str], Account]:
    """What exists in the account of a stack, by region."""
    session = cache(stack.aws_session)

    @cache
    def account(region: str) -> Account:
        return Account(cache(lambda service: session().client(service, region_name=region)))

    return account


def created(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The entries of a plan for the resources that it would create."""
    return [entry for entry in document.get("resource_changes", []) if entry["change"]["actions"] == ["create"]]


def ids(
    stack: Stack, account: Callable[[str], Account], entry: Mapping[str, Any], *, by_name: bool = False
) -> list[str]:
    """The import IDs of what a resource in a plan can be, as `existing.find`.

    A key also has the name of its alias, as `alias`. What a role of another account creates is not looked for.
    """
    kind, name, values = entry["type"], entry["name"], entry["change"]["after"]
    if stack.is_elsewhere(kind, name):
        return []
    if kind == "aws_kms_key":
        reference = f"${{{kind}.{name}.key_id}}"
        aliases = stack.resources_of("aws_kms_alias").values()
        values = {**values, "alias": next((one["name"] for one in aliases if one["target_key_id"] == reference), None)}
    return existing.find(account(stack.region_of(kind, name)), kind, values, by_name=by_name)


def _tainted(document: Mapping[str, Any]) -> list[str]:
    entries = document.get("resource_changes", [])
    return [entry["address"] for entry in entries if entry.get("action_reason") == TAINTED]


def _found(document: Mapping[str, Any], find: Find) -> dict[str, str]:
    """The import ID of each resource that a plan would create, and that exists, by address."""
    found, problems = dict[str, str](), list[str]()
    for entry in created(document):
        try:
            id_ = find(entry)
        except OperationError as error:
            problems.append(str(error))
            continue
        if id_:
            found[entry["address"]] = id_
    if problems:
        raise OperationError("\n".join(problems))
    return found


def _find(stack: Stack, account: Callable[[str], Account], entry: Mapping[str, Any]) -> str | None:
    address, kind = entry["address"], entry["type"]
    if kind in existing.NOT_IMPORTED:
        return None
    if kind not in existing.FINDERS:
        remedy = f"if it exists: {program.command(stack.directory, 'import', address, 'ID')}"
        raise OperationError(f"{address}: {kind}: recover does not know how to find it; {remedy}")
    found = ids(stack, account, entry)
    if len(found) > 1:
        raise OperationError(existing.ambiguous(address, found))
    return found[0] if found else None


def losing(plan: Plan) -> list[Change]:
    """The changes after which a resource is lost."""
    return [change for change in plan.changes if change.action in {"replace", "destroy", "forget"}]


def refusal(change: Change, directory: Path) -> str:
    """Why a change is no part of a recovery, and what to do about it."""
    keep = f"if it works, keep it: {program.command(directory, 'untaint')}"
    settings = (
        "recover with the settings of the last apply, then deploy the change; if they have not changed, "
        "what it depends on exists twice in AWS: delete the one that is not in use"
    )
    remedy = f"{keep} '{change.address}'" if change.reason == TAINTED else settings
    return f"{change.action} {change.address}: {change.why}; {remedy}"
