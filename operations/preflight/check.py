"""Types that all checks use: a check, its results, and the AWS clients of a region."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from operations.terraform.stacks import Stack

if TYPE_CHECKING:
    import boto3

Outcome = Literal["passed", "warning", "failed"]


class Line(NamedTuple):
    """One result of a check: its subject, the outcome, and a message with the reason and the remedy."""

    subject: str
    outcome: Outcome
    message: str


Check = Callable[[], Iterable[Line]]


class Clients:
    """The AWS clients of a region, created in advance because a session is not thread-safe."""

    _SERVICES = (
        "acm", "backup", "budgets", "codebuild", "dynamodb", "ec2", "ecr", "efs", "eks", "events", "guardduty", "iam",
        "kms", "logs", "rds", "route53", "s3", "secretsmanager", "service-quotas", "sqs", "wafv2",
    )  # fmt: skip

    def __init__(self, session: "boto3.Session") -> None:
        self._clients = {service: session.client(service) for service in self._SERVICES}  # type: ignore[call-overload]

    def __call__(self, service: str) -> Any:
        """The client for a service."""
        return self._clients[service]


def without_backend(stacks: Sequence[Stack]) -> list[Stack]:
    """The stacks except the backend stack, which creates the state bucket."""
    return [stack for stack in stacks if stack.kind != "backend"]
