"""`recover`: plan a stack with the import of each resource that exists, but that its state has lost.

A state is lost if Terraform is killed during an apply. What is found must be planned again: only then are the arguments
of other resources known, such as the ID of the VPC of a subnet. So this repeats until nothing more is found.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from operations.errors import OperationError
from operations.state import existing
from operations.state.existing import Account
from operations.terraform.plans import Plan
from operations.terraform.runner import Terraform
from operations.terraform.stacks import Stack

OnEvent = Callable[[Mapping[str, Any]], None]


def plan(stack: Stack, file: Path, log: Path, on_event: OnEvent, *arguments: str) -> dict[str, Any]:
    """Plan a stack into `file` with the import of all that exists, and return the plan as JSON.

    Raises:
        OperationError: if several resources can be meant, or a type is not known.
        TerraformError: if a plan failed.
    """
    if stack.is_in_cluster:
        command = f"terraform -chdir={stack.directory} import ADDRESS ID"
        raise OperationError(f"{stack.name}: not a stack of AWS resources; import its objects: {command}")
    session = stack.aws_session()

    @cache
    def account(region: str) -> Account:
        return Account(cache(lambda service: session.client(service, region_name=region)))

    terraform, imports = Terraform(stack.directory), dict[str, str]()
    while True:
        document = terraform.stream_plan(file, log, on_event, *arguments, imports=imports)
        found = dict(_found(stack, document, account))
        if not found:
            return document
        imports |= found


def _found(stack: Stack, document: Mapping[str, Any], account: Callable[[str], Account]) -> Iterator[tuple[str, str]]:
    """The address and import ID of each resource that a plan would create, and that exists."""
    problems = []
    for entry in document.get("resource_changes", []):
        address, kind = entry["address"], entry["type"]
        if entry["change"]["actions"] != ["create"] or kind in existing.NOT_IMPORTED:
            continue
        if kind not in existing.FINDERS:
            remedy = f"if it exists: terraform -chdir={stack.directory} import {address} ID"
            problems.append(f"{address}: {kind}: recover does not know how to find it; {remedy}")
            continue
        ids = existing.find(account(stack.region_of(kind, entry["name"])), kind, entry["change"]["after"])
        if len(ids) > 1:
            found = f"{address}: {', '.join(ids)}"
            problems.append(f"{found}: {len(ids)} exist with its name or tags; delete those that are not in use")
        for id_ in ids:
            yield address, id_
    if problems:
        raise OperationError("\n".join(problems))


def refusals(plan: Plan) -> list[str]:
    """Why a plan does more than a recovery: it would lose resources."""
    remedy = "recover with the settings of the last apply, then deploy the change"
    return [
        f"{change.action} {change.address}: {change.why}; {remedy}"
        for change in plan.changes
        if change.action in {"replace", "destroy", "forget"}
    ]
