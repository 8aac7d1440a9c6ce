"""The commands that workflows call for pull requests and issues."""

import json
from pathlib import Path
from unittest.mock import Mock

import pytest

from operations.delivery import manifests
from operations.output.report import Report, Status
from tests import fake_gh
from tests.fake_gh import FakeGh
from tests.stacks import REGION
from tests.unit.operations.cli.conftest import run

DEV = f"{REGION}-dev"


@pytest.fixture
def gh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGh:
    return fake_gh.install(tmp_path / "github", monkeypatch)


def test_comment_writes_the_files_in_order(tmp_path: Path, gh: FakeGh) -> None:
    for name in ("plan.md", "manifests.md"):
        (tmp_path / name).write_text(name)
    run("comment", "12", tmp_path / "plan.md", tmp_path / "manifests.md", "--name", "changes")
    assert [entry["body"] for entry in gh["comments"]] == ["<!-- changes -->\n\nplan.md\n\nmanifests.md"]


def test_issues_from_drift_opens_an_issue_for_a_stack_with_drift(tmp_path: Path, gh: FakeGh) -> None:
    file = tmp_path / "drift.json"
    stack = {"status": "drift", "drift": [], "ignored": [], "pending": [], "errors": []}
    file.write_text(json.dumps({"stacks": {DEV: stack}}))
    assert json.loads(run("issues-from-drift", file, "--json").stdout)["issues"] == {DEV: "opened"}
    assert [entry["title"] for entry in gh["issues"]] == [f"Drift: {DEV}"]


@pytest.fixture
def _changed(monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {"environments": {"dev": {"shop-dev": "-a\n+b"}}, "errors": []}
    report = Report("1 application with changes in dev", Status.ATTENTION, changes)
    monkeypatch.setattr(manifests, "diff", Mock(return_value=report))


@pytest.mark.usefixtures("_changed")
def test_diff_manifests_prints_the_diffs(tmp_path: Path) -> None:
    assert "-a\n+b" in run("diff-manifests", "HEAD", status=2).stdout
    printed = run("diff-manifests", "HEAD", "--markdown", tmp_path / "manifests.md", "--json", status=2).stdout
    assert json.loads(printed)["environments"]["dev"] == {"shop-dev": "-a\n+b"}
    assert "-a\n+b" in (tmp_path / "manifests.md").read_text()


@pytest.mark.usefixtures("_changed")
def test_diff_manifests_as_json_prints_json_only() -> None:
    assert json.loads(run("diff-manifests", "HEAD", "--json", status=2).stdout)["status"] == 2


def test_reviewed_writes_the_accepted_stacks_for_the_deploy_jobs(
    tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "outputs"))
    file, hash_ = tmp_path / "reviewed.json", "a" * 64
    run("reviewed", "--accept", f"{DEV}={hash_} {DEV}-gitops", "--file", file, "--output", output)
    stacks = json.loads(file.read_text())["stacks"]
    assert {name: entry["hash"] for name, entry in stacks.items()} == {DEV: hash_, f"{DEV}-gitops": ""}
    outputs = dict(line.split("=", 1) for line in (tmp_path / "outputs").read_text().splitlines())
    assert json.loads(outputs["reviewed"])["stacks"] == stacks
    assert json.loads(outputs["deploy"]) == {
        "dev": {
            "aws": [{"place": REGION, "region": REGION, "stacks": DEV}],
            "cluster": [{"place": REGION, "region": REGION, "stacks": f"{DEV}-gitops"}],
        }
    }


@pytest.mark.parametrize(("verdict", "status"), [("refused", 1), ("allowed", 0)])
def test_check_plan_fails_if_the_guard_refuses_a_change(tmp_path: Path, verdict: str, status: int) -> None:
    finding = {"stack": DEV, "address": "aws_vpc.vpc", "action": "delete", "why": "loses data", "remedy": "keep it"}
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"stacks": {}, "findings": [{**finding, "verdict": verdict}]}))
    result = run("check-plan", file, status=status)
    assert ("aws_vpc.vpc" in result.stderr) is (verdict == "refused")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file or directory; run this in the root of the repository"),
        (b"", "has no jobs; correct the file"),
        (b"jobs: [dev]", "has no jobs; correct the file"),
        (b"jobs: {", "not YAML: "),
        (b"jobs: \xff", "not YAML: "),
    ],
)
def test_reviewed_rejects_an_invalid_deploy_workflow(
    tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path(".github/workflows").mkdir(parents=True)
        Path(".github/workflows/deploy.yaml").write_bytes(content)
    error = run("reviewed", "--accept", "everything", "--output", output, status=1).stderr
    assert error.startswith(f"error: .github/workflows/deploy.yaml: {message}")
    assert error.count("\n") == 1
