"""What the checks share: a check, what it found, and the clients of a region."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from operations.terraform.stacks import Stack

if TYPE_CHECKING:
    import boto3

Outcome = Literal["passed", "warning", "failed"]


class Line(NamedTuple):
    """What one check found: of what, how it went, and why with the remedy."""

    subject: str
    outcome: Outcome
    message: str


Check = Callable[[], Iterable[Line]]


class Clients:
    """The clients of a region, made beforehand: a session must not be asked from several threads."""

    _SERVICES = (
        "dynamodb", "ec2", "ecr", "efs", "eks", "iam", "kms", "logs", "rds", "s3", "secretsmanager", "service-quotas",
    )  # fmt: skip

    def __init__(self, session: "boto3.Session") -> None:
        self._clients = {service: session.client(service) for service in self._SERVICES}  # type: ignore[call-overload]

    def __call__(self, service: str) -> Any:
        """The client of a service."""
        return self._clients[service]


def without_backend(stacks: Sequence[Stack]) -> list[Stack]:
    """The stacks whose state lies in a bucket that was made before them."""
    return [stack for stack in stacks if stack.kind != "backend"]
