"""The resources in Terraform states, read from S3 without Terraform."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from operations.clients.aws import object_of
from operations.errors import OperationError
from operations.terraform.stacks import Cluster, Stack

if TYPE_CHECKING:
    import boto3


@dataclass(frozen=True)
class Resource:
    """A managed resource in a state, with its attributes by name."""

    stack: str
    address: str
    kind: str
    attributes: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        """An attribute; None if the resource has no attribute of that name."""
        return self.attributes.get(name)


class States:
    """The resources of several states, by type, and the clusters of their stacks.

    `elsewhere` are the environments in other accounts, whose states are not among these.
    """

    def __init__(
        self, resources: Iterable[Resource], clusters: Sequence[Cluster] = (), elsewhere: Collection[str] = ()
    ) -> None:
        self.clusters, self.elsewhere = clusters, elsewhere
        self._by_kind: dict[str, list[Resource]] = {}
        for resource in resources:
            self._by_kind.setdefault(resource.kind, []).append(resource)

    def __iter__(self) -> Iterator[Resource]:
        for resources in self._by_kind.values():
            yield from resources

    def of(self, *kinds: str) -> list[Resource]:
        """The resources of these types."""
        return [resource for kind in kinds for resource in self._by_kind.get(kind, [])]

    def values(self, kind: str, attribute: str, **having: Any) -> set[Any]:
        """The values of an attribute of all resources of a type that have these other attributes."""
        return {
            resource[attribute]
            for resource in self.of(kind)
            if all(resource[name] == value for name, value in having.items())
        }


def read_resources(session: "boto3.Session", stack: Stack) -> list[Resource]:
    """The resources in a stack's state; none if there is no state yet.

    Raises:
        OperationError: if the object cannot be read as a state.
    """
    body = object_of(session.client("s3"), stack.state.bucket, stack.state.key)
    try:
        return [] if body is None else parse_resources(stack.name, json.loads(body))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        where = f"s3://{stack.state.bucket}/{stack.state.key}"
        remedy = f"restore an older version: python -m operations restore-state {stack.name}"
        raise OperationError(f"{where}: cannot be read as a state; {remedy}") from error


def parse_resources(stack: str, document: Mapping[str, Any]) -> list[Resource]:
    """The managed resources in the JSON of a Terraform state."""
    return [
        Resource(stack, f"{entry['type']}.{entry['name']}{_key(instance)}", entry["type"], instance["attributes"])
        for entry in document["resources"]
        if entry["mode"] == "managed"
        for instance in entry["instances"]
    ]


def _key(instance: Mapping[str, Any]) -> str:
    return f"[{json.dumps(instance['index_key'])}]" if "index_key" in instance else ""
