"""`recover`: plan a stack with the import of each resource that exists, but that its state has lost.

A state is lost if Terraform is killed during an apply. What is found must be planned again: only then are the arguments
of other resources known, such as the ID of the VPC of a subnet. So this repeats until nothing more is found.

If the creation of a resource was interrupted while the provider waited for it, Terraform marks it as tainted and would
replace it (https://developer.hashicorp.com/terraform/cli/commands/untaint). It is kept, if the user agrees.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from operations.errors import OperationError
from operations.state import existing
from operations.state.existing import Account
from operations.terraform import program
from operations.terraform.plans import TAINTED, Plan
from operations.terraform.runner import Terraform
from operations.terraform.stacks import Stack

OnEvent = Callable[[Mapping[str, Any]], None]
Keeps = Callable[[Sequence[str]], bool]
"""Whether to keep the tainted resources with these addresses."""


def plan(stack: Stack, file: Path, log: Path, on_event: OnEvent, keeps: Keeps, *arguments: str) -> dict[str, Any]:
    """Plan a stack into `file` with the import of all that exists, and return the plan as JSON.

    It is a plan that `refusals` refuses if tainted resources are not kept.

    Raises:
        OperationError: if several resources can be meant, or a type is not known.
        TerraformError: if a plan failed.
    """
    if stack.is_in_cluster:
        command = program.command(stack.directory, "import ADDRESS ID")
        raise OperationError(f"{stack.name}: not a stack of AWS resources; import its objects: {command}")
    account = _accounts(stack)
    terraform, imports = Terraform(stack.directory), dict[str, str]()
    while True:
        document = terraform.stream_plan(file, log, on_event, *arguments, imports=imports)
        if tainted := _tainted(document):
            if not keeps(tainted):
                return document
            for address in tainted:
                Terraform(stack.directory, log).run("untaint", *arguments, address)
            continue
        found = dict(_found(stack, document, account))
        if not found:
            return document
        imports |= found


def lost(stack: Stack, document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The address and ID of each resource that a plan would create, and that exists outside the state.

    Only of the types that `recover` finds, and as far as their arguments are known before the apply.

    Raises:
        ClientError: if AWS does not answer.
    """
    account = _accounts(stack)
    state = document.get("prior_state", {}).get("values", {}).get("root_module", {}).get("resources", [])
    known = {(one["type"], str(one["values"].get("id"))) for one in state if one["mode"] == "managed"}
    return [
        (entry["address"], id_)
        for entry in _created(document)
        if entry["type"] in existing.FINDERS
        for id_ in _ids(stack, entry, account)
        if (entry["type"], id_) not in known
    ]


def _accounts(stack: Stack) -> Callable[[str], Account]:
    """What exists in the account of a stack, by region."""
    session = cache(stack.aws_session)

    @cache
    def account(region: str) -> Account:
        return Account(cache(lambda service: session().client(service, region_name=region)))

    return account


def _created(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [entry for entry in document.get("resource_changes", []) if entry["change"]["actions"] == ["create"]]


def _ids(stack: Stack, entry: Mapping[str, Any], account: Callable[[str], Account]) -> list[str]:
    region = stack.region_of(entry["type"], entry["name"])
    return existing.find(account(region), entry["type"], entry["change"]["after"])


def _tainted(document: Mapping[str, Any]) -> list[str]:
    entries = document.get("resource_changes", [])
    return [entry["address"] for entry in entries if entry.get("action_reason") == TAINTED]


def _found(stack: Stack, document: Mapping[str, Any], account: Callable[[str], Account]) -> Iterator[tuple[str, str]]:
    """The address and import ID of each resource that a plan would create, and that exists."""
    problems = []
    for entry in _created(document):
        address, kind = entry["address"], entry["type"]
        if kind in existing.NOT_IMPORTED:
            continue
        if kind not in existing.FINDERS:
            remedy = f"if it exists: {program.command(stack.directory, 'import', address, 'ID')}"
            problems.append(f"{address}: {kind}: recover does not know how to find it; {remedy}")
            continue
        ids = _ids(stack, entry, account)
        if len(ids) > 1:
            problems.append(existing.ambiguous(address, ids))
        for id_ in ids:
            yield address, id_
    if problems:
        raise OperationError("\n".join(problems))


def refusals(plan: Plan, directory: Path) -> list[str]:
    """Why a plan does more than a recovery: it would lose resources."""
    settings = (
        "recover with the settings of the last apply, then deploy the change; if they have not changed, "
        "what it depends on exists twice in AWS: delete the one that is not in use"
    )
    keep = f"if it works, keep it: {program.command(directory, 'untaint')}"
    return [
        f"{change.action} {change.address}: {change.why}; "
        + (f"{keep} '{change.address}'" if change.reason == TAINTED else settings)
        for change in plan.changes
        if change.action in {"replace", "destroy", "forget"}
    ]
