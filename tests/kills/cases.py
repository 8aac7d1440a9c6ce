"""The matrix: what is killed, by which signal, at which moment of which command."""

import itertools
from signal import Signals
from typing import Literal, NamedTuple, get_args

from tests.kills.emulator import Hold

Command = Literal["deploy", "destroy", "bootstrap"]
Process = Literal["command", "terraform", "provider"]
SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT")

_PROVIDER = "terraform-provider-aws"
_LOCK = ".tflock"
_STATE = ".tfstate"


class Moment(NamedTuple):
    """A moment of a command: a request to AWS that is held, or a text in Terraform's log."""

    command: Command
    name: str
    at: Hold | str
    has_provider: bool = True
    """Whether a provider runs at this moment."""


class Case(NamedTuple):
    """A signal to a process at a moment."""

    moment: Moment
    process: Process
    signal: str
    also: Process | None = None
    """A second process that gets the signal at the same time, as at the end of a service or a machine."""

    @property
    def name(self) -> str:
        to = f"{self.process} and {self.also}" if self.also else self.process
        return f"{self.moment.command}: {self.moment.name}: {self.signal} to {to}"

    @property
    def number(self) -> Signals:
        return Signals[self.signal]


MOMENTS = (
    Moment("deploy", "init reads the bucket", Hold("s3:ListBucket", is_done=False), has_provider=False),
    Moment("deploy", "plan has taken the lock", Hold("s3:PutObject", _LOCK), has_provider=False),
    Moment("deploy", "plan asks who it is", Hold("sts:GetCallerIdentity", agent=_PROVIDER)),
    Moment("deploy", "apply has taken the lock", Hold("s3:PutObject", _LOCK, nth=2), has_provider=False),
    Moment("deploy", "the VPC is said to be created", r"aws_vpc\.\S+: Creating"),
    Moment("deploy", "the VPC is not created yet", Hold("ec2:CreateVpc", is_done=False)),
    Moment("deploy", "the VPC is created, but not answered", Hold("ec2:CreateVpc")),
    Moment("deploy", "the VPC is said to be complete", r"aws_vpc\.\S+: Creation complete"),
    Moment("deploy", "the key is created, but not answered", Hold("kms:CreateKey")),
    Moment("deploy", "the second role is created, but not answered", Hold("iam:CreateRole", nth=2)),
    Moment("deploy", "the flow log, one of the last, is created, but not answered", Hold("ec2:CreateFlowLogs")),
    Moment("deploy", "the state is not saved yet", Hold("s3:PutObject", _STATE, is_done=False), has_provider=False),
    Moment("deploy", "the state is saved, but not answered", Hold("s3:PutObject", _STATE), has_provider=False),
    Moment("deploy", "apply has released the lock", Hold("s3:DeleteObject", _LOCK, nth=2), has_provider=False),
    Moment("destroy", "the flow log, one of the first, is deleted, but not answered", Hold("ec2:DeleteFlowLogs")),
    Moment("destroy", "the VPC, one of the last, is deleted, but not answered", Hold("ec2:DeleteVpc")),
    Moment("destroy", "the state is not saved yet", Hold("s3:PutObject", _STATE, is_done=False), has_provider=False),
    Moment("bootstrap", "the key is created, but not answered", Hold("kms:CreateKey")),
    Moment("bootstrap", "the bucket is created, but not answered", Hold("s3:CreateBucket")),
    Moment("bootstrap", "its state is not moved yet", Hold("s3:PutObject", _STATE, is_done=False), has_provider=False),
)  # fmt: skip

CASES = tuple(
    Case(moment, process, name) for moment, process, name in itertools.product(MOMENTS, get_args(Process), SIGNALS)
)
"""Every combination; no provider runs in some of them."""

_UNANSWERED = next(moment for moment in MOMENTS if moment.at == Hold("ec2:CreateVpc"))
CASES_OF_TWO = (
    Case(_UNANSWERED, "command", "SIGKILL", also="provider"),
    Case(_UNANSWERED, "command", "SIGTERM", also="terraform"),
)
"""The command cannot say what was lost: it is gone, or it did not send the only signal."""
