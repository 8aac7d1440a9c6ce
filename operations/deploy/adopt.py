"""`adopt`: plan a stack with the import of what others made under the names in the settings.

It plans as `recover` does, until nothing more is found, but looks for names only, and asks for the ID of what it cannot
tell apart. What a state holds already is never imported into another one.
"""

import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from operations.deploy import recover
from operations.errors import OperationError
from operations.state import existing, states
from operations.state.existing import Account
from operations.terraform import plans
from operations.terraform.plans import TAINTED, Change, Plan
from operations.terraform.stacks import Stack

_MOST_NAMES = 10
_LONGEST_VALUE = 200
_GLOBAL = ("aws_budgets_", "aws_iam_", "aws_route53_", "aws_s3_")
"""Types whose names or IDs no other region can have."""
_PAGE = "docs/adoption.md#what-cannot-be-adopted"
_NO_SETTING = f"no setting changes it: {_PAGE}"
_REFERENCE = re.compile(r"\$\{(aws_\w+\.[\w-]+)\.")


class _Others(NamedTuple):
    """The import IDs of what exists under other names, and what to do if one of them is meant.

    `{file}` is the settings file, `{address}` that of the resource, and `{identifier}` that of a database.
    """

    list: Callable[[Account, Mapping[str, Any]], Sequence[str]]
    remedy: str


_DATABASES = ("rds", "describe_db_instances", "DBInstances")
_CLUSTERS = ("rds", "describe_db_clusters", "DBClusters")
_FILE_SYSTEMS = ("efs", "describe_file_systems", "FileSystems")
_REPOSITORIES = ("ecr", "describe_repositories", "repositories")
_OTHERS: Mapping[str, _Others] = {
    "aws_db_instance": _Others(
        lambda account, _: [one["DBInstanceIdentifier"] for one in account.all(*_DATABASES)],
        "rename it in RDS to {identifier}",
    ),
    "aws_rds_cluster": _Others(
        lambda account, _: [one["DBClusterIdentifier"] for one in account.all(*_CLUSTERS)],
        "rename it in RDS to {identifier}",
    ),
    "aws_ecr_repository": _Others(
        lambda account, _: [one["repositoryName"] for one in account.all(*_REPOSITORIES)],
        "set image_repositories.name in {file}",
    ),
    "aws_efs_file_system": _Others(
        lambda account, _: [one["FileSystemId"] for one in account.all(*_FILE_SYSTEMS)],
        'choose it: ID="{address}=…"',
    ),
    "aws_eks_cluster": _Others(
        lambda account, _: account.all("eks", "list_clusters", "clusters"), "set cluster.name in {file}"
    ),
    "aws_eks_node_group": _Others(
        lambda account, values: [
            f"{cluster}:{name}"
            for cluster in filter(None, [values.get("cluster_name")])
            for name in account.all("eks", "list_nodegroups", "nodegroups", clusterName=cluster)
        ],
        f"EKS cannot rename it: {_PAGE}",
    ),
}

FIELDS: Mapping[str, Mapping[str, str]] = {
    "aws_db_instance": {"db_name": "databases.name", "engine": "databases.engine"},
    "aws_db_parameter_group": {"family": "databases.engine_version"},
    "aws_efs_access_point": {
        "posix_user": "file_system.access_points",
        "root_directory": "file_system.access_points",
    },
    "aws_eks_cluster": {
        "kubernetes_network_config": "cluster.service_ipv4_cidr",
        "name": "cluster.name",
        "role_arn": "cluster.role_arn",
    },
    "aws_eks_node_group": {
        "ami_type": "node_groups.ami_type",
        "capacity_type": "node_groups.capacity_type",
        "instance_types": "node_groups.instance_types",
        "node_group_name_prefix": "node_groups.name",
        "node_role_arn": "node_groups.role_arn",
    },
    "aws_rds_cluster": {"database_name": "aurora_databases.name", "engine": "aurora_databases.engine"},
    "aws_rds_cluster_parameter_group": {"family": "aurora_databases.engine_version"},
    "aws_subnet": {"availability_zone": "vpc.zones", "cidr_block": "vpc.zones"},
    "aws_vpc": {"cidr_block": "vpc.cidr"},
}
"""By type and argument, the field of the settings that changes an argument without which a resource is replaced."""

_REFUSED_BY_AWS = {("aws_db_instance", "db_subnet_group_name")}
"""The arguments, by type, that Terraform would change in place, but AWS refuses to: the apply would end half-way.

Source: https://github.com/hashicorp/terraform-provider-aws/issues/512
"""


@dataclass(frozen=True)
class Adoption:
    """The adoption of what exists for a stack.

    `ids` are the chosen import IDs by address, empty for what exists and is not meant. `every` are all stacks.
    """

    stack: Stack
    ids: Mapping[str, str]
    every: Sequence[Stack]

    def find(self, entry: Mapping[str, Any]) -> str | None:
        """The import ID of a resource that a plan would create; None if it does not exist.

        Raises:
            OperationError: if several can be meant, none can be found because of its type, or a state holds it.
        """
        address, kind = entry["address"], entry["type"]
        chosen = self.ids.get(address)
        if chosen == "" or kind in existing.NOT_IMPORTED:
            return None
        none = f'if none is meant: ID="{address}="'
        if chosen is None and kind not in existing.FINDERS:
            raise OperationError(f'{address}: {kind}: adopt cannot find it; choose it: ID="{address}=…"; {none}')
        found = [chosen] if chosen else recover.ids(self.stack, self._account, entry, by_name=True)
        held = {id_: holder for id_ in found if (holder := self._held.get((kind, id_)))}
        if chosen is None:
            found = [id_ for id_ in found if held.get(id_) != self.stack.name]
        if len(found) > 1:
            message = f"{len(found)} exist with its name"
            raise OperationError(f'{address}: {", ".join(found)}: {message}; choose one: ID="{address}=…"; {none}')
        if not found:
            return None
        (id_,) = found
        if id_ in held:
            raise OperationError(f"{address}: {id_}: is in the state of {held[id_]}, and can be in one only; {none}")
        return id_

    def absent(self, plan: Plan) -> dict[str, str]:
        """Each resource that a plan would create, by address, with what exists under other names, if any."""
        return {
            entry["address"]: self._others(entry)
            for entry in recover.created(plan.document)
            if entry["type"] not in existing.NOT_IMPORTED
        }

    def overview(self, plan: Plan) -> str:
        """What a plan imports and what it creates, one per line."""
        imported = [f"adopt {address}: {id_}" for address, id_ in plan.imports.items()]
        absent = self.absent(plan).items()
        return "\n".join([*imported, *(f"create {address}{f': {text}' if text else ''}" for address, text in absent)])

    def _others(self, entry: Mapping[str, Any]) -> str:
        address, kind, values = entry["address"], entry["type"], entry["change"]["after"]
        if kind not in _OTHERS or address in self.ids:
            return ""
        account = self._account(self.stack.region_of(kind, entry["name"]))
        names = sorted(name for name in _OTHERS[kind].list(account, values) if (kind, name) not in self._held)
        if not names:
            return ""
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        identifier, file = values.get("identifier", values.get("cluster_identifier")), self.stack.settings_file
        remedy = _OTHERS[kind].remedy.format(address=address, file=file, identifier=identifier)
        return f"AWS has {', '.join(names[:_MOST_NAMES])}{more}; if one is meant, {remedy}"

    def refusals(self, plan: Plan) -> list[str]:
        """Why a plan does more than an adoption: it would lose what it adopts, or its apply would fail."""
        losing = recover.losing(plan)
        lines = [recover.refusal(one, self.stack.directory) for one in losing if one.reason == TAINTED]
        for change in plan.changes:
            if id_ := plan.imports.get(change.address):
                subject = f"{change.action} {change.address}: {id_}"
                refused = [name for name in change.changed if (change.kind, name) in _REFUSED_BY_AWS]
                paths = change.replaced_for or refused
                lines += [f"{subject}: {self._refusal(change, path)}" for path in paths]
                if change in losing and not paths:
                    lines.append(f"{subject}: {change.why}; {_NO_SETTING}")
        return lines

    def _refusal(self, change: Change, path: str) -> str:
        """The values of an argument that cannot be changed, and what to do."""
        in_aws, wanted = (_shown(change, values, path) for values in (change.before, change.after))
        return f"{path}: {in_aws} in AWS, {wanted} in the settings; {self._remedy(change, _argument(path))}"

    def _remedy(self, change: Change, argument: str) -> str:
        if field := FIELDS.get(change.kind, {}).get(argument):
            return f"set {field} in {self.stack.settings_file}"
        name = change.address.removeprefix(f"{change.kind}.")
        configured = self.stack.configuration["resource"].get(change.kind, {}).get(name, {}).get(argument)
        if reference := _REFERENCE.search(json.dumps(configured)):
            return f'it comes from {reference[1]}: adopt that from AWS, too, if it can be: ID="{reference[1]}=…"'
        return _NO_SETTING

    @cached_property
    def _account(self) -> Callable[[str], Account]:
        return recover.accounts(self.stack)

    @cached_property
    def _held(self) -> dict[tuple[str, str], str]:
        """The stack whose state holds a resource, by type and ID. The ID of a database is not that of its import.

        Most names, which are IDs, are unique in a region only.
        """
        session = self.stack.aws_session()
        of_account = [one for one in self.every if one.account_id == self.stack.account_id and not one.is_in_cluster]
        return {
            (resource.kind, str(resource[name])): resource.stack
            for one in of_account
            for resource in states.read_resources(session, one)
            if one.region == self.stack.region or resource.kind.startswith(_GLOBAL)
            for name in ("id", "identifier")
        }


def parse_ids(stack: Stack, pairs: Sequence[str]) -> dict[str, str]:
    """The import IDs in arguments `ADDRESS=ID`, by address.

    Raises:
        OperationError: if one is no such argument, or names no resource of the stack; the message lists all of them.
    """
    known = [f"{kind}.{name}" for kind, name, _ in stack.resources()]
    ids, problems = dict[str, str](), list[str]()
    for pair in pairs:
        address, equals, id_ = pair.partition("=")
        if not equals:
            problems.append(f"{pair!r}: not an address and an ID; write ADDRESS=ID, or ADDRESS= if none is meant")
        elif address not in known:
            close = ", ".join(difflib.get_close_matches(address, known, cutoff=0.5)) or "those in its plan"
            problems.append(f"{address!r}: not a resource of {stack.name}; choose among {close}")
        elif address in ids:
            problems.append(f"{address}: chosen twice; choose one ID")
        ids[address] = id_
    if problems:
        raise OperationError("\n".join(problems))
    return ids


def _argument(path: str) -> str:
    """`vpc_config` of `vpc_config[0].subnet_ids`."""
    return re.split(r"\W", path, maxsplit=1)[0]


def _is_marked(marks: Mapping[str, Any], path: str) -> bool:
    """Whether an argument is marked, or the whole block that it is in."""
    return True in (marks.get(_argument(path)), plans.at(marks, path, None))


def _shown(change: Change, values: Mapping[str, Any] | None, path: str) -> str:
    """A value of a change in a message."""
    if _is_marked(change.sensitive, path):
        return "a secret"
    if values is change.after and _is_marked(change.unknown, path):
        return "a value known only after the apply"
    value = plans.at(values, path, None)
    if value is None:
        return "nothing"
    text = json.dumps(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
