"""Reading states from S3."""

from typing import Any

import pytest

from operations.errors import OperationError
from operations.state import states
from tests.stacks import make_stack


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"resources": [{}]}'])
def test_message_about_an_unreadable_state_names_the_remedy(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """A process that was killed while it wrote may leave an empty object."""
    session: Any = type("Session", (), {"client": lambda *_: None})()
    monkeypatch.setattr(states, "object_of", lambda *_: content)
    message = "s3://state/dev.tfstate: cannot be read as a state; restore an older version: .* restore-state dev$"
    with pytest.raises(OperationError, match=message):
        states.read_resources(session, make_stack(name="dev"))
