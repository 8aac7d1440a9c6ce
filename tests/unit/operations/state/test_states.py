"""States, read from their objects."""

from pathlib import Path
from typing import Any

import pytest

from operations.errors import OperationError
from operations.state import states
from operations.terraform.stacks import Stack


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"resources": [{}]}'])
def test_what_is_no_state_is_told_with_the_way_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    """A process that was killed while it wrote may leave an empty one."""
    session: Any = type("Session", (), {"client": lambda *_: None})()
    s3 = {"bucket": "states", "key": "dev/terraform.tfstate", "region": "ap-northeast-2"}
    monkeypatch.setattr(Stack, "configuration", {"terraform": {"backend": {"s3": s3}}})
    monkeypatch.setattr(states, "object_of", lambda *_: content)
    refused = "s3://states/dev/terraform.tfstate: cannot be read as a state; restore a version of it: restore-state dev"
    with pytest.raises(OperationError, match=refused):
        states.read(session, Stack("dev", tmp_path, ()))
