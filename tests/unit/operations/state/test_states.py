"""States, read from their objects."""

from typing import Any

import pytest

from operations.errors import OperationError
from operations.state import states
from tests.stacks import make_stack


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"resources": [{}]}'])
def test_what_is_no_state_is_told_with_the_way_back(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """A process that was killed while it wrote may leave an empty one."""
    session: Any = type("Session", (), {"client": lambda *_: None})()
    monkeypatch.setattr(states, "object_of", lambda *_: content)
    refused = "s3://state/dev.tfstate: cannot be read as a state; restore a version of it: restore-state dev"
    with pytest.raises(OperationError, match=refused):
        states.read_resources(session, make_stack(name="dev"))
