"""What AWS says of one account in one region. What it does not say is not known, with the reason."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from operations.errors import OperationError
from operations.portal.model import Unknown
from operations.preflight.check import Clients
from operations.terraform.stacks import Stack, by_place

Found = TypeVar("Found")

# The codes with which services say that something does not exist: EKS, KMS, RDS, S3.
_ABSENT = {"DBClusterNotFoundFault", "DBInstanceNotFound", "DBInstanceNotFoundFault", "NoSuchBucket",
           "NotFoundException", "ResourceNotFoundException"}  # fmt: skip


class Aws:
    """Reads in one account and region; all of them are not known if there are no `clients`."""

    def __init__(self, clients: Clients | Unknown) -> None:
        self.clients = clients

    def read(self, stack: Stack, what: Callable[[Clients], Found]) -> Found | Unknown:
        """What `what` reads with the clients of a stack, or why it is not known."""
        if isinstance(self.clients, Unknown):
            return self.clients
        try:
            return what(self.clients)
        except ClientError as error:
            if error.response["Error"]["Code"] in _ABSENT:
                return Unknown("not-deployed", f"make deploy STACK={stack.name}", str(error))
            return Unknown("aws-refuses", "", str(error))
        except BotoCoreError as error:
            return Unknown("aws-refuses", "", str(error))


def connect(stacks: Sequence[Stack]) -> dict[str, Aws]:
    """AWS by the place of the stacks. Credentials are those of one account; the others are not known."""
    return {place: Aws(_clients(of_place[0])) for place, of_place in by_place(stacks).items()}


def _clients(stack: Stack) -> Clients | Unknown:
    try:
        return Clients(stack.aws_session())
    except (OperationError, BotoCoreError) as error:
        return Unknown("no-credentials", "aws sts get-caller-identity", str(error))


def nowhere(stacks: Sequence[Stack]) -> Mapping[str, Aws]:
    """AWS that is not asked, because other pages have what it says."""
    return {stack.place: Aws(Unknown("not-asked", "make portal")) for stack in stacks}
