"""Finding the reviewed plans of merged pull requests."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from operations.cli.app import app
from operations.deploy import deploy as deploy_command
from operations.deploy import reviewed
from operations.errors import OperationError
from operations.terraform.stacks import read_stacks
from tests import ROOT, fake_gh
from tests.fake_gh import FakeGh
from tests.stacks import make_stack, write_output

pytestmark = pytest.mark.slow

WORKFLOWS = ROOT / ".github" / "workflows"
RUNS = "repos/{owner}/{repo}/actions/workflows"
HASHES = ["a" * 64, "b" * 64]
KNOWN = [
    make_stack("backend", kind="backend"),
    make_stack("shared", kind="shared"),
    *[make_stack(name, kind=kind) for name in ("dev", "prod", "quokka") for kind in ("environment", "in-cluster")],
    make_stack("dev", kind="in-cluster", region="us-gov-east-1"),
]


@pytest.fixture
def gh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGh:
    return fake_gh.install(tmp_path / "github", monkeypatch)


@pytest.fixture
def history(tmp_path: Path) -> tuple[Path, list[str]]:
    """A repository, and its commits, oldest first."""
    folder = tmp_path / "git"
    shutil.copytree(WORKFLOWS, folder / ".github" / "workflows")

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        command = ["git", *identity, *arguments]
        return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet")
    commits = []
    for number in range(3):
        git("commit", "--quiet", "--allow-empty", "--message", str(number))
        commits.append(git("rev-parse", "HEAD"))
    return folder, commits


def _plan(**stacks: str) -> dict[str, Any]:
    entries = {name.replace("_", "-"): {"plan": "1 to update", "hash": hash_} for name, hash_ in stacks.items()}
    return {"stacks": entries, "findings": []}


def _merged(state: dict[str, Any], number: int, commit: str, plan: dict[str, Any], *, fork: bool = False) -> None:
    head = {"sha": f"head-{number}", "ref": f"branch-{number}"}
    entry = {"number": number, "merged_at": "2026", "base": {"ref": "main"}, "head": head}
    state["answers"][f"repos/{{owner}}/{{repo}}/commits/{commit}/pulls"] = [entry]
    repositories = {"head_repository": {"id": 2 if fork else 1}, "repository": {"id": 1}}
    titled = {"display_title": f"plan #{number} into main", "head_branch": head["ref"]}
    state["answers"][f"{RUNS}/plan.yaml/runs"] = {"workflow_runs": [{"id": number, **titled, **repositories}]}
    jobs = [{"name": "plan", "conclusion": "success"}, {"name": "comment", "conclusion": "failure"}]
    state["answers"][f"repos/{{owner}}/{{repo}}/actions/runs/{number}/jobs"] = {"jobs": jobs}
    state["artifacts"][str(number)] = {"plan.json": json.dumps(plan)}


def _in_seoul(*stacks: str) -> dict[str, str]:
    """An element of the matrix of a job."""
    return {"place": "ap-northeast-2", "region": "ap-northeast-2", "stacks": " ".join(stacks)}


def _deployed(state: dict[str, Any], *commits: str) -> None:
    runs = [{"head_sha": commit, "event": "push", "display_title": "a merge"} for commit in commits]
    state["answers"][f"{RUNS}/deploy.yaml/runs"] = {"workflow_runs": runs}


def test_finds_the_plan_of_the_merged_pull_request(gh: FakeGh, history: tuple[Path, list[str]]) -> None:
    folder, commits = history
    plan = _plan(ap_northeast_2_shared=HASHES[0], ap_northeast_2_dev="", ap_northeast_2_dev_gitops=HASHES[1])
    plan["stacks"]["ap-northeast-2-prod"] = {"plan": "no changes", "hash": HASHES[0]}
    with gh.changed() as state:
        _deployed(state, commits[1])
        _merged(state, 1, commits[2], plan)
    report = reviewed.collect(commits[2], KNOWN, folder)
    assert report.data["stacks"]["ap-northeast-2-shared"]["hash"] == HASHES[0]
    assert report.data["deploy"] == {
        "shared": {"aws": [_in_seoul("ap-northeast-2-shared")]},
        "dev": {"aws": [_in_seoul("ap-northeast-2-dev")], "cluster": [_in_seoul("ap-northeast-2-dev-gitops")]},
    }
    run = next(call for call in gh["calls"] if "plan.yaml" in call[1])
    assert "event=pull_request&head_sha=head-1" in run[1]


@pytest.mark.parametrize(
    ("compare", "plan", "counts"),
    [
        ("success", "skipped", True),  # nothing to plan
        ("success", "success", True),
        ("failure", "skipped", False),
        ("success", "failure", False),  # its reviewers rejected the run
        ("success", "cancelled", False),
    ],
)
def test_a_run_without_stacks_to_plan_counts(
    gh: FakeGh, history: tuple[Path, list[str]], compare: str, plan: str, *, counts: bool
) -> None:
    folder, commits = history
    with gh.changed() as state:
        _deployed(state, commits[1])
        _merged(state, 1, commits[2], {"stacks": {}, "findings": []})
        jobs = [{"name": "compare", "conclusion": compare}, {"name": "plan", "conclusion": plan}]
        state["answers"]["repos/{owner}/{repo}/actions/runs/1/jobs"] = {"jobs": jobs}
    if counts:
        assert reviewed.collect(commits[2], KNOWN, folder).data["stacks"] == {}
    else:
        with pytest.raises(OperationError, match="plan #1 into main: no successful run of the workflow plan"):
            reviewed.collect(commits[2], KNOWN, folder)


@pytest.mark.parametrize(("title", "counts"), [("deploy ap-northeast-2-dev", False), ("deploy everything", True)])
def test_a_deploy_by_hand_counts_only_if_it_deployed_everything(
    gh: FakeGh, history: tuple[Path, list[str]], title: str, *, counts: bool
) -> None:
    folder, commits = history
    with gh.changed() as state:
        _deployed(state, commits[1])
        runs = state["answers"][f"{RUNS}/deploy.yaml/runs"]["workflow_runs"]
        runs.insert(0, {"head_sha": commits[2], "event": "workflow_dispatch", "display_title": title})
        _merged(state, 1, commits[2], _plan(ap_northeast_2_dev=HASHES[0]))
    assert bool(reviewed.collect(commits[2], KNOWN, folder).data["stacks"]) is not counts


def test_commits_of_an_earlier_unfinished_deploy_are_included(gh: FakeGh, history: tuple[Path, list[str]]) -> None:
    folder, commits = history
    with gh.changed() as state:
        _deployed(state, commits[0])
        _merged(state, 1, commits[1], _plan(ap_northeast_2_dev=HASHES[0]))
        _merged(
            state, 1, commits[2], _plan(ap_northeast_2_dev=HASHES[0])
        )  # merged by rebase: two commits of one pull request
    assert list(reviewed.collect(commits[2], KNOWN, folder).data["stacks"]) == ["ap-northeast-2-dev"]
    assert sum(call[0] == "run" for call in gh["calls"]) == 1


def test_rejects_to_collect_before_the_first_deploy(gh: FakeGh, history: tuple[Path, list[str]]) -> None:
    folder, commits = history
    with gh.changed() as state:
        _deployed(state)
    with pytest.raises(OperationError, match=r"no deploy has succeeded yet.*by hand with `everything`"):
        reviewed.collect(commits[2], KNOWN, folder)


def test_nothing_is_left_to_deploy_after_the_last_deploy(gh: FakeGh, history: tuple[Path, list[str]]) -> None:
    folder, commits = history
    with gh.changed() as state:
        _deployed(state, commits[2])
    assert reviewed.collect(commits[2], KNOWN, folder).data["stacks"] == {}


def test_rejects_a_commit_that_was_not_merged_by_a_pull_request(gh: FakeGh, history: tuple[Path, list[str]]) -> None:
    folder, commits = history
    with gh.changed() as state:
        _deployed(state, commits[1])
        state["answers"][f"repos/{{owner}}/{{repo}}/commits/{commits[2]}/pulls"] = []
    with pytest.raises(OperationError, match="not merged by a pull request\nrun the workflow deploy by hand"):
        reviewed.collect(commits[2], KNOWN, folder)


def test_rejects_the_plan_of_a_fork(gh: FakeGh, history: tuple[Path, list[str]]) -> None:
    folder, commits = history
    with gh.changed() as state:
        _deployed(state, commits[1])
        _merged(state, 1, commits[2], _plan(ap_northeast_2_dev=HASHES[0]), fork=True)
    with pytest.raises(OperationError, match="plan #1 into main: no successful run of the workflow plan"):
        reviewed.collect(commits[2], KNOWN, folder)


@pytest.mark.parametrize(
    "other", [{"display_title": "plan #2 into main"}, {"display_title": "plan #1 into next"}, {"head_branch": "other"}]
)
def test_rejects_the_plan_of_another_pull_request_with_the_same_head(
    gh: FakeGh, history: tuple[Path, list[str]], other: dict[str, str]
) -> None:
    folder, commits = history
    with gh.changed() as state:
        _deployed(state, commits[1])
        _merged(state, 1, commits[2], _plan(ap_northeast_2_dev=HASHES[0]))
        own = state["answers"][f"{RUNS}/plan.yaml/runs"]["workflow_runs"][0]
        foreign = {**own, "id": 2, **other}
        state["answers"][f"{RUNS}/plan.yaml/runs"]["workflow_runs"] = [foreign, own]
    assert reviewed.collect(commits[2], KNOWN, folder).data["stacks"]["ap-northeast-2-dev"]["hash"] == HASHES[0]
    with gh.changed() as state:
        state["answers"][f"{RUNS}/plan.yaml/runs"]["workflow_runs"] = [foreign]
    with pytest.raises(
        OperationError, match="plan #1 into main: no successful run of the workflow plan has this title"
    ):
        reviewed.collect(commits[2], KNOWN, folder)


def test_the_workflow_plan_names_the_pull_request_and_the_base() -> None:
    title = yaml.safe_load((WORKFLOWS / "plan.yaml").read_text())["run-name"]
    of_the_event = "github.event.pull_request"
    assert title == f"plan #${{{{ {of_the_event}.number }}}} into ${{{{ {of_the_event}.base.ref }}}}"


def test_a_commit_is_no_option_of_git(gh: FakeGh, history: tuple[Path, list[str]], tmp_path: Path) -> None:
    folder, _ = history
    with gh.changed() as state:
        _deployed(state, f"--output={tmp_path / 'written'}")
    with pytest.raises(OperationError, match="fetch the whole history of main"):
        reviewed.collect("HEAD", KNOWN, folder)
    assert not list(tmp_path.glob("written*"))


def test_rejects_a_history_that_was_not_fetched(gh: FakeGh, history: tuple[Path, list[str]]) -> None:
    folder, commits = history
    with gh.changed() as state:
        _deployed(state, "f" * 40)
    with pytest.raises(OperationError, match="fetch the whole history of main"):
        reviewed.collect(commits[2], KNOWN, folder)


def test_rejects_to_collect_too_many_commits(
    gh: FakeGh, history: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, commits = history
    monkeypatch.setattr(reviewed, "_MOST", 1)
    with gh.changed() as state:
        _deployed(state, commits[0])
    with pytest.raises(OperationError, match=r"^2 commits since the last deploy; .*by hand with `everything`"):
        reviewed.collect(commits[2], KNOWN, folder)


def test_accepts_named_stacks_with_and_without_a_hash() -> None:
    report = reviewed.accept([f"ap-northeast-2-prod={HASHES[0]}", "us-gov-east-1-dev-gitops"], KNOWN)
    assert report.data["deploy"] == {
        "prod": {"aws": [_in_seoul("ap-northeast-2-prod")]},
        "dev": {
            "cluster": [{"place": "us-gov-east-1", "region": "us-gov-east-1", "stacks": "us-gov-east-1-dev-gitops"}]
        },
    }
    assert [entry["hash"] for entry in report.data["stacks"].values()] == [HASHES[0], ""]


def test_a_job_deploys_the_environment_of_its_name_in_each_region() -> None:
    names = ["us-gov-east-1-dev-gitops", "ap-northeast-2-dev-gitops", "ap-northeast-2-dev"]
    assert reviewed.accept(names, KNOWN).data["deploy"]["dev"] == {
        "aws": [_in_seoul("ap-northeast-2-dev")],
        "cluster": [
            _in_seoul("ap-northeast-2-dev-gitops"),
            {"place": "us-gov-east-1", "region": "us-gov-east-1", "stacks": "us-gov-east-1-dev-gitops"},
        ],
    }


def test_stacks_of_one_job_and_region_are_deployed_together() -> None:
    """An environment may have several stacks."""
    stacks = [make_stack("dev"), make_stack("dev", name="ap-northeast-2-dev-files")]
    report = reviewed.accept(["everything"], stacks)
    assert report.data["deploy"] == {"dev": {"aws": [_in_seoul("ap-northeast-2-dev", "ap-northeast-2-dev-files")]}}


@pytest.mark.usefixtures("platform")
def test_everything_stands_for_every_synthesized_stack(platform_folder: Path) -> None:
    known = read_stacks(platform_folder)
    report = reviewed.accept(["everything"], known)
    assert list(report.data["deploy"]) == ["shared", "dev", "prod", "staging"]
    assert report.data["stacks"] == {}  # no plan was accepted
    matrices = [matrix for parts in report.data["deploy"].values() for matrix in parts.values()]
    found = [name for matrix in matrices for entry in matrix for name in entry["stacks"].split()]
    assert sorted([*found, "ap-northeast-2-backend"]) == sorted(stack.name for stack in known)


def test_rejects_a_stack_without_a_job_in_the_workflow(gh: FakeGh, history: tuple[Path, list[str]]) -> None:
    """The run would succeed without deploying the stack."""
    folder, commits = history
    with gh.changed() as state:
        _deployed(state, commits[1])
        _merged(state, 1, commits[2], _plan(ap_northeast_2_quokka=HASHES[0], ap_northeast_2_dev=HASHES[1]))
    with pytest.raises(
        OperationError, match=r"ap-northeast-2-quokka: \.github/workflows/deploy\.yaml has no job quokka"
    ):
        reviewed.collect(commits[2], KNOWN, folder)


def test_the_backend_stack_is_left_to_an_operator() -> None:
    report = reviewed.accept(["ap-northeast-2-backend"], KNOWN)
    assert report.data["deploy"] == {}
    command = "make deploy STACK=ap-northeast-2-backend"
    assert report.notes == [f"ap-northeast-2-backend: not deployed by the workflow; an operator runs `{command}`"]


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("$(id)", r"'\$\(id\)': unknown stack"),
        ("--yes", "'--yes': unknown stack"),
        ("ap-northeast-2-dev=abc", "'abc': not a plan hash"),
    ],
)
def test_rejects_an_unknown_stack_and_an_invalid_hash(pair: str, message: str) -> None:
    with pytest.raises(OperationError, match=message):
        reviewed.accept([pair], KNOWN)


def test_rejects_an_artifact_with_an_unknown_stack_name(gh: FakeGh, history: tuple[Path, list[str]]) -> None:
    folder, commits = history
    with gh.changed() as state:
        _deployed(state, commits[1])
        _merged(state, 1, commits[2], {"stacks": {"--yes": {"plan": "1 to update", "hash": ""}}, "findings": []})
    with pytest.raises(OperationError, match="'--yes': no such stack at this commit"):
        reviewed.collect(commits[2], KNOWN, folder)


def test_the_command_sets_the_outputs_that_the_jobs_read(
    tmp_path: Path, gh: FakeGh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    file = tmp_path / "reviewed.json"
    write_output(tmp_path, [make_stack(directory=tmp_path)])
    accepted = ["--accept", f"ap-northeast-2-dev={HASHES[0]}"]
    arguments = ["reviewed", *accepted, "--file", str(file), "--output", str(tmp_path)]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    reviewed_output, deploy = (tmp_path / "output").read_text().splitlines()
    assert json.loads(reviewed_output.removeprefix("reviewed=")) == json.loads(file.read_text())
    assert json.loads(deploy.removeprefix("deploy=")) == {"dev": {"aws": [_in_seoul("ap-northeast-2-dev")]}}
    assert gh["calls"] == []
    assert deploy_command.reviewed(file) == {"ap-northeast-2-dev": HASHES[0]}


def _files(folder: Path, listed: dict[str, Any], *plans: dict[str, Any]) -> list[str]:
    """The arguments of `join-plans` for these files."""
    paths = [folder / f"{number}.json" for number in range(len(plans) + 1)]
    for path, content in zip(paths, [listed, *plans], strict=True):
        path.write_text(json.dumps(content))
    return [str(path) for path in paths]


def _list(*stacks: str, removed: Sequence[str] = ()) -> dict[str, Any]:
    reasons = dict.fromkeys(stacks, "changed") | dict.fromkeys(removed, "removed")
    return {"base": "HEAD^1", "regions": [], "removed": [*removed], "stacks": reasons}


def test_the_plans_of_several_regions_are_joined(tmp_path: Path) -> None:
    finding = {"stack": "us-gov-east-1-dev", "verdict": "for review"}
    seoul, other = _plan(ap_northeast_2_dev=HASHES[0]), _plan(us_gov_east_1_dev=HASHES[1])
    other["findings"].append(finding)
    files = _files(tmp_path, _list("ap-northeast-2-dev", "us-gov-east-1-dev"), seoul, other)
    result = CliRunner().invoke(app, ["join-plans", *files, "--json"])
    assert result.exit_code == 0
    joined = json.loads(result.stdout)
    assert joined["title"] == "2 of 2 stacks planned"
    assert joined["stacks"] == {**seoul["stacks"], **other["stacks"]}
    assert joined["findings"] == [finding]


def test_a_stack_that_no_region_planned_is_an_error(tmp_path: Path) -> None:
    """Otherwise `deploy` would take it for a stack without changes."""
    listed = _list("ap-northeast-2-dev", "us-gov-east-1-dev")
    result = CliRunner().invoke(app, ["join-plans", *_files(tmp_path, listed, _plan(ap_northeast_2_dev=HASHES[0]))])
    assert result.exit_code == 1
    assert "1 of 2 stacks planned\n- error: us-gov-east-1-dev: has no plan; see the job of its region" in result.output


def test_a_removed_stack_needs_no_plan_and_is_reported(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["join-plans", *_files(tmp_path, _list(removed=["us-gov-east-1-dev"]))])
    assert result.exit_code == 0
    assert "us-gov-east-1-dev: removed since HEAD^1; its resources would stay unmanaged" in result.output


def test_rejects_a_list_of_another_command(tmp_path: Path) -> None:
    file, *_ = _files(tmp_path, _plan(ap_northeast_2_dev=HASHES[0]))
    with pytest.raises(OperationError, match=r"not a report of `plan --list --json`; pass the output of `plan --list"):
        reviewed.join(Path(file), [])


def test_a_plan_that_the_guard_refuses_exits_with_status_1(tmp_path: Path) -> None:
    finding = {"stack": "s", "address": "aws_vpc.vpc", "action": "destroy", "why": "it holds data", "remedy": "keep it"}
    file = tmp_path / "plan.json"
    for verdict, status in (("for review", 0), ("overridden by me until 2026-12-01", 0), ("refused", 1)):
        file.write_text(json.dumps({"stacks": {}, "findings": [{**finding, "verdict": verdict}]}))
        result = CliRunner().invoke(app, ["check-plan", str(file)])
        assert result.exit_code == status
    assert "error: s: aws_vpc.vpc: destroy is refused (it holds data); keep it" in result.output


_INVALID_HASH = '{"stacks": {"dev": {"plan": "1 to update", "hash": "abc"}}, "findings": []}'


@pytest.mark.parametrize(
    "content",
    [
        '{"stacks": {}}',
        '{"stacks": {}, "findings": null}',
        '{"stacks": {}, "findings": [1]}',
        "[]",
        "{",
        _INVALID_HASH,
    ],
)
def test_rejects_a_file_without_findings_that_is_not_a_report_of_plan(tmp_path: Path, content: str) -> None:
    (tmp_path / "plan.json").write_text(content)
    problem = r"(not valid JSON \(line \d, column \d\)|not a report of `plan --json`)"
    with pytest.raises(OperationError, match=rf"plan\.json: {problem}; pass the output of `plan --json`$"):
        reviewed.refusals(tmp_path / "plan.json")
