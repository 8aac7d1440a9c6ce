"""AWS: what it does not say is not known, with the reason."""

import pytest
from botocore.exceptions import EndpointConnectionError

from operations.errors import OperationError
from operations.portal import aws
from operations.portal.aws import Aws
from operations.portal.model import Unknown
from operations.terraform.stacks import Stack
from tests.stacks import make_stack
from tests.unit.operations.portal.conftest import Answering

STACK = make_stack()


def _read(found: Aws) -> object:
    return found.read(STACK, lambda clients: clients("eks").describe_cluster(name="a")["cluster"]["version"])


def test_an_answer_is_known(answering: Answering) -> None:
    clients: object = answering(("eks", "describe_cluster", {"cluster": {"version": "1.35"}}))
    assert _read(Aws(clients)) == "1.35"  # type: ignore[arg-type]  # stubs


@pytest.mark.parametrize(
    ("code", "why", "command"),
    [
        ("ResourceNotFoundException", "not-deployed", "make deploy STACK=ap-northeast-2-dev"),
        ("AccessDeniedException", "aws-refuses", ""),
    ],
)
def test_an_error_is_the_reason(answering: Answering, code: str, why: str, command: str) -> None:
    clients: object = answering(("eks", "describe_cluster", code))
    found = _read(Aws(clients))  # type: ignore[arg-type]  # stubs
    assert isinstance(found, Unknown)
    assert (found.why, found.command) == (why, command)
    assert code in found.detail


def test_aws_that_cannot_be_reached_is_the_reason() -> None:
    def clients(_: str) -> object:
        raise EndpointConnectionError(endpoint_url="https://eks")

    found = _read(Aws(clients))  # type: ignore[arg-type]  # stubs
    assert isinstance(found, Unknown)
    assert found.why == "aws-refuses"


def test_each_account_has_credentials_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    other = make_stack("prod", account="prod", account_id="210987654321")

    class Session:
        def client(self, service: str) -> str:
            return service

    def session(stack: Stack) -> Session:
        if stack is other:
            raise OperationError("the credentials belong to another account")
        return Session()

    monkeypatch.setattr(Stack, "aws_session", session)
    places = aws.connect([STACK, other])
    assert not isinstance(places["ap-northeast-2"].clients, Unknown)
    assert places["ap-northeast-2"].clients("eks") == "eks"
    unknown = places["ap-northeast-2-prod"].clients
    assert isinstance(unknown, Unknown)
    assert (unknown.why, unknown.detail) == ("no-credentials", "the credentials belong to another account")


def test_aws_is_not_asked_if_pages_are_joined() -> None:
    assert aws.nowhere([STACK])["ap-northeast-2"].clients == Unknown("not-asked", "make portal")
