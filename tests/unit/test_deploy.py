"""What `deploy` is told; what it does, `tests/e2e/test_deploy.py` proves."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from operations import deploy
from operations.errors import OperationError
from operations.progress import Progress


def test_hashes_are_read_from_what_plan_printed(tmp_path: Path) -> None:
    stacks = {"shared": {"plan": "1 to create", "hash": "0a1b"}, "dev": {"plan": "planned after shared", "hash": ""}}
    (tmp_path / "reviewed.json").write_text(json.dumps({"stacks": stacks}))
    assert deploy.reviewed(tmp_path / "reviewed.json") == {"shared": "0a1b"}


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"stacks": {"dev": 1}}'])
def test_rejects_another_file_as_reviewed(tmp_path: Path, content: str) -> None:
    (tmp_path / "reviewed.json").write_text(content)
    with pytest.raises(OperationError, match=r"reviewed\.json: .*; give it what `plan --json` printed$"):
        deploy.reviewed(tmp_path / "reviewed.json")


def _said(*, terminal: bool) -> str:
    output = io.StringIO()
    with Progress(Console(file=output, force_terminal=terminal, width=120)) as progress:
        with progress.stack("dev", "applying: 1 to create", 1) as hear:
            hook = {"resource": {"addr": "aws_eks_cluster.cluster"}, "action": "create"}
            hear({"type": "apply_start", "hook": hook})
            hear({"type": "apply_progress", "hook": hook | {"elapsed_seconds": 50}})
            hear({"type": "apply_progress", "hook": hook | {"elapsed_seconds": 60}})
            hear({"type": "apply_complete", "hook": {"resource": {"addr": "data.aws_vpc.vpc"}, "action": "read"}})
            if terminal:
                progress._bars.refresh()
            hear({"type": "apply_complete", "hook": hook | {"elapsed_seconds": 64}})
            hear({"type": "version", "@message": "Terraform 1.11.4"})
        progress.end("dev", "applied: 1 to create")
    return output.getvalue()


def test_progress_without_a_terminal_is_plain_lines() -> None:
    assert _said(terminal=False).splitlines() == [
        "dev: applying: 1 to create",
        "dev: aws_eks_cluster.cluster still creating, 60 s",
        "dev: aws_eks_cluster.cluster created after 64 s",
        "dev: applied: 1 to create",
    ]


def test_progress_at_a_terminal_names_what_is_at_work() -> None:
    said = _said(terminal=True)
    assert "creating aws_eks_cluster.cluster" in said
    assert "1/1" in said
