"""AWS that answers from botocore stubs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import boto3
from botocore.stub import Stubber

from tests.stacks import REGION

Answer = tuple[str, str, dict[str, Any] | str]
"""A service, an operation, and its response or an error code."""


@cache
def client(service: str) -> Any:
    """The client of a service, whose stub is activated by `answering`."""
    session: Any = boto3.Session(aws_access_key_id="any", aws_secret_access_key="any", region_name=REGION)  # noqa: S106
    return session.client(service)


@contextmanager
def stubs() -> Iterator[Callable[..., Callable[[str], Any]]]:
    """A function that adds answers, given in order, and returns the clients. At the end, all must have been given."""
    stubbers: dict[str, Stubber] = {}

    def answering(*answers: Answer) -> Callable[[str], Any]:
        for service, operation, answer in answers:
            if service not in stubbers:
                stubbers[service] = Stubber(client(service))
                stubbers[service].activate()
            if isinstance(answer, str):
                stubbers[service].add_client_error(operation, answer)
            else:
                stubbers[service].add_response(operation, answer)
        return client

    yield answering
    for stubber in stubbers.values():
        stubber.assert_no_pending_responses()
        stubber.deactivate()
