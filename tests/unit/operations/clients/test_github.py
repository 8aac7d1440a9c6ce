"""GitHub through `gh`, which a script replaces."""

import json
from pathlib import Path

import pytest

from operations.clients import github
from operations.errors import OperationError
from tests.unit.operations.clients.conftest import Program


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited between attempts, without waiting."""
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    return waited


@pytest.mark.parametrize("error", ["HTTP 502: Bad Gateway", "HTTP 429", "connection reset by peer", "i/o timeout"])
def test_a_transient_error_is_retried(program: Program, tmp_path: Path, waits: list[float], error: str) -> None:
    script = f"echo try >> {tmp_path}/tries; [ $(wc -l < {tmp_path}/tries) -ge 3 ] || {{ echo '{error}' >&2; exit 1; }}"
    program("gh", f"{script}; echo done")
    assert github.gh("pr", "list") == "done\n"
    assert waits == [2, 4]


def test_a_transient_error_that_persists_is_reported(program: Program, tmp_path: Path, waits: list[float]) -> None:
    program("gh", f"echo try >> {tmp_path}/tries; echo 'HTTP 503' >&2; exit 1")
    with pytest.raises(OperationError, match=r"^gh pr list: HTTP 503; try again, or check the permissions"):
        github.gh("pr", "list", "--json=number")
    assert (tmp_path / "tries").read_text().count("try") == len(waits) + 1 == 4


def test_another_error_is_reported_immediately(program: Program, waits: list[float]) -> None:
    program("gh", "echo 'HTTP 403: Resource not accessible by integration'; exit 1")
    with pytest.raises(OperationError, match=r"^gh api repos: HTTP 403: Resource not accessible by integration; try"):
        github.api("repos")
    assert waits == []


def test_without_gh_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OperationError, match=r"^gh: not installed; install the GitHub CLI and run: gh auth login$"):
        github.gh("pr", "list")


def test_the_api_sends_and_returns_json(program: Program) -> None:
    program("gh", """printf '{"arguments": "%s", "body": %s}' "$*" "$(cat)\"""")
    assert github.api("repos/x", "--method", "POST", body={"a": 1}) == {
        "arguments": "api repos/x --method POST --input -",
        "body": {"a": 1},
    }


def test_an_empty_response_of_the_api_is_none(program: Program) -> None:
    program("gh", "echo")
    assert github.api("repos/x", "--method", "DELETE") is None


def test_every_element_of_all_pages_is_returned(program: Program) -> None:
    program("gh", """[ "$*" = "api issues --paginate --jq .[]" ] && printf '{"id": 1}\\n\\n{"id": 2}\\n'""")
    assert github.every("issues") == [{"id": 1}, {"id": 2}]


def test_the_run_has_a_url_in_a_workflow_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.com")
    monkeypatch.setenv("GITHUB_REPOSITORY", "your-org/platform")
    monkeypatch.setenv("GITHUB_RUN_ID", "7")
    assert github.run_url() == "https://github.com/your-org/platform/actions/runs/7"
    monkeypatch.delenv("GITHUB_RUN_ID")
    assert github.run_url() == ""


def test_outputs_are_appended_in_a_workflow_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_OUTPUT", raising=False)
    github.set_output("stacks", "ignored")
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "outputs"))
    github.set_output("stacks", json.dumps(["dev"]))
    github.set_output("count", "1")
    assert (tmp_path / "outputs").read_text() == 'stacks=["dev"]\ncount=1\n'
