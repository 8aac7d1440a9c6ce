"""The comment on a pull request."""

from pathlib import Path

import pytest

from operations.delivery.comments import comment
from operations.errors import OperationError
from tests import fake_gh
from tests.fake_gh import FakeGh


@pytest.fixture
def gh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGh:
    return fake_gh.install(tmp_path / "github", monkeypatch)


def _file(folder: Path, text: str) -> Path:
    file = folder / "plan.md"
    file.write_text(text)
    return file


def test_the_comment_is_written_once_and_then_updated(tmp_path: Path, gh: FakeGh) -> None:
    comment(12, [_file(tmp_path, "first")], name="plan")
    report = comment(12, [_file(tmp_path, "second")], name="plan")
    assert report.data["updated"]
    assert [entry["body"] for entry in gh["comments"]] == ["<!-- plan -->\n\nsecond"]


def test_comments_of_users_are_never_overwritten(tmp_path: Path, gh: FakeGh) -> None:
    user_comment = {"id": 7, "user": {"type": "User"}, "body": "<!-- plan --> mine", "html_url": ""}
    with gh.changed() as state:
        state["comments"] = [user_comment]
    comment(12, [_file(tmp_path, "plan")], name="plan")
    assert gh["comments"][0] == user_comment
    assert len(gh["comments"]) == 2


def test_a_missing_file_is_reported(tmp_path: Path, gh: FakeGh) -> None:
    comment(12, [_file(tmp_path, "plan"), tmp_path / "manifests.md"], name="plan")
    assert "`manifests.md` was not created" in gh["comments"][0]["body"]


def test_a_long_comment_is_cut_with_its_markup_closed(
    tmp_path: Path, gh: FakeGh, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("SERVER_URL", "https://host"), ("REPOSITORY", "our/platform"), ("RUN_ID", "5")):
        monkeypatch.setenv(f"GITHUB_{name}", value)
    lines = "+ line\n" * 20_000
    comment(12, [_file(tmp_path, f"<details>\n\n````diff\n```\n{lines}````\n</details>")], name="plan")
    body = gh["comments"][0]["body"]
    assert len(body) < 65_536
    assert "\n+ line\n````\n</details>\n" in body
    assert body.rstrip().endswith("[the summary of the run](https://host/our/platform/actions/runs/5).")


def test_a_temporary_error_is_retried(tmp_path: Path, gh: FakeGh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with gh.changed() as state:
        state["failures"] = ["HTTP 502: Bad Gateway", "HTTP 503: Unavailable"]
    comment(12, [_file(tmp_path, "plan")], name="plan")
    assert len(gh["comments"]) == 1


def test_a_permission_error_is_not_retried(tmp_path: Path, gh: FakeGh) -> None:
    with gh.changed() as state:
        state["failures"] = ["HTTP 403: Resource not accessible by integration"]
    with pytest.raises(OperationError, match=r"gh api repos/.*: HTTP 403: Resource not accessible"):
        comment(12, [_file(tmp_path, "plan")], name="plan")
    assert len(gh["calls"]) == 1


def test_rejects_a_machine_without_gh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OperationError, match="gh: not installed"):
        comment(12, [], name="plan")
