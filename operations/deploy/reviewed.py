"""The plans that reviewers saw, as the hashes by which `deploy` knows them again.

The workflow `plan` keeps them as an artifact of its run, and a run belongs to one commit of a pull request. From the
commits on main that no deploy finished yet, this finds the pull requests, their last commits, and those runs.
"""

import json
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from operations.clients import git
from operations.clients.github import api, gh
from operations.errors import OperationError
from operations.output.report import Report, Status, Table
from operations.terraform.stacks import Stack

ARTIFACT = "reviewed-plan"
FILE = "plan.json"
EVERYTHING = "everything"
"""Given in place of stacks: all of them, so that what was merged before counts as deployed once the run succeeds."""
_TITLE_OF_EVERYTHING = f"deploy {EVERYTHING}"
_BY_HAND = f"run the workflow deploy by hand with `{EVERYTHING}`: what is as main says passes, the rest shows its plan"
_WORKFLOW = Path(".github/workflows/deploy.yaml")
_MOST = 50
_NOTHING = "no changes"
_HASH = re.compile(r"[0-9a-f]{64}")
_IN_CLUSTER = "-cluster"  # what the names of jobs end with that need the cluster


@dataclass(frozen=True)
class _Reviewed:
    pull_request: int
    plan: Mapping[str, Any]


def collect(commit: str, known: Sequence[Stack], repository: Path = Path()) -> Report:
    """What was reviewed of every commit on main since the last deploy that finished, up to `commit`.

    `known` are the stacks of that commit.

    Of two plans of one stack the later counts. `deploy` refuses it if it does not hold what the earlier one does.

    Raises:
        OperationError: a commit has no plan that somebody could have reviewed.
    """
    found: dict[int, _Reviewed] = {}
    problems = []
    for sha in _commits(repository, commit):
        try:
            pull_request = _pull_request(sha)
            if pull_request["number"] not in found:
                found[pull_request["number"]] = _Reviewed(pull_request["number"], _plan(pull_request))
        except OperationError as error:
            problems.append(f"{sha[:12]}: {error}")
    if problems:
        raise OperationError("\n".join([*problems, _BY_HAND]))
    stacks = {
        name: {**entry, "pull_request": reviewed.pull_request}
        for reviewed in found.values()
        for name, entry in reviewed.plan["stacks"].items()
    }
    return _reviewed_report(stacks, known, repository)


def accept(pairs: Sequence[str], known: Sequence[Stack], repository: Path = Path()) -> Report:
    """Stacks that somebody names, each with the hash of the plan that is accepted: `STACK=HASH`, or STACK alone.

    `known` are the stacks that there are.

    `everything` alone names all of them; a plan with changes is then refused, and shown with its hash.

    Raises:
        OperationError: a name or a hash is none.
    """
    if list(pairs) == [EVERYTHING]:
        deploy, _ = _deploys([stack for stack in known if stack.kind != "backend"], repository)
        return Report("every stack to deploy", Status.FINE, {"stacks": {}, "deploy": deploy})
    names = [stack.name for stack in known]
    stacks = {}
    problems = []
    for pair in pairs:
        name, _, hash_ = pair.partition("=")
        if name not in names:
            problems.append(f"{name!r}: no stack is called that; write STACK or STACK=HASH, of {', '.join(names)}")
        elif hash_ and not _HASH.fullmatch(hash_):
            problems.append(f"{name}: {hash_!r}: not the hash of a plan; the summary of the refused deploy has it")
        stacks[name] = {"plan": "accepted" if hash_ else "asked for", "hash": hash_}
    if problems:
        raise OperationError("\n".join(problems))
    return _reviewed_report(stacks, known, repository)


def refusals(file: Path) -> Report:
    """What the guard refuses of a plan that `plan --json` printed: a pull request with any of it must not be merged.

    Raises:
        OperationError: the file is no such report, or something is refused.
    """
    try:
        findings = _read_plan(file)["findings"]
        refused = [
            f"{finding['stack']}: {finding['address']}: {finding['action']} is refused ({finding['why']}); "
            f"{finding['remedy']}"
            for finding in findings
            if finding["verdict"] == "refused"
        ]
    except (KeyError, TypeError) as error:
        raise OperationError(f"{file}: {error!r}; give it what `plan --json` printed") from error
    if refused:
        raise OperationError("\n".join(refused))
    return Report("the guard refuses nothing", Status.FINE, {"findings": len(findings)})


def _reviewed_report(stacks: Mapping[str, Mapping[str, Any]], known: Sequence[Stack], repository: Path) -> Report:
    """`deploy` are the stacks of each environment, those in the cluster apart: they need another runner."""
    touched = {name: entry for name, entry in sorted(stacks.items()) if entry["plan"] != _NOTHING}
    by_name = {stack.name: stack for stack in known}
    if gone := sorted(touched.keys() - by_name.keys()):
        raise OperationError(
            "\n".join(f"{name!r}: no stack is called that at this commit; {_BY_HAND}" for name in gone)
        )
    deploy, notes = _deploys([by_name[name] for name in touched], repository)
    rows = [[name, entry["plan"], entry["hash"][:12]] for name, entry in touched.items()]
    title = f"{len(touched)} stacks to deploy" if touched else "no stack to deploy"
    tables = [Table("Reviewed", ["stack", "plan", "hash"], rows)] if rows else []
    return Report(title, Status.FINE, {"stacks": touched, "deploy": deploy}, tables, notes)


def _deploys(stacks: Sequence[Stack], repository: Path) -> tuple[dict[str, dict[str, str]], list[str]]:
    """The names of stacks by environment, and by what their job needs; and what no job deploys on purpose."""
    deploy: dict[str, dict[str, str]] = {}
    problems, notes, jobs = [], [], _jobs(repository) if stacks else []
    for stack in stacks:
        job = f"{stack.environment}{_IN_CLUSTER if stack.is_in_cluster else ''}"
        if stack.kind == "backend":
            notes.append(f"{stack.name}: not deployed here; a person runs `make deploy STACK={stack.name}`")
        elif job not in jobs:
            problems.append(f"{stack.name}: {_WORKFLOW} has no job {job}, so nothing would deploy it; add one")
        else:
            parts, part = deploy.setdefault(stack.environment, {}), "cluster" if stack.is_in_cluster else "aws"
            parts[part] = f"{parts[part]} {stack.name}" if part in parts else stack.name
    if problems:
        raise OperationError("\n".join(problems))
    return deploy, notes


def _jobs(repository: Path) -> list[str]:
    """The jobs of the workflow that deploy: `<environment>` and `<environment>-cluster`."""
    jobs: Mapping[str, Any] = yaml.safe_load((repository / _WORKFLOW).read_text(encoding="utf-8"))["jobs"]
    return [name for name, job in jobs.items() if "uses" in job]


def _commits(repository: Path, commit: str) -> list[str]:
    """The commits of main that no deploy finished yet, oldest first."""
    query = "branch=main&status=success&per_page=100"
    answer = api(f"repos/{{owner}}/{{repo}}/actions/workflows/deploy.yaml/runs?{query}")
    # A run by hand deployed the stacks that somebody named, and perhaps not all.
    finished = [
        run["head_sha"]
        for run in answer["workflow_runs"]
        if run["event"] == "push" or run["display_title"] == _TITLE_OF_EVERYTHING
    ]
    if not finished:
        raise OperationError(f"no deploy finished yet, so nobody knows what is to be deployed; {_BY_HAND}")
    listed = git.run(repository, "rev-list", "--first-parent", "--reverse", f"{finished[0]}..{commit}")
    if listed.returncode:
        raise OperationError(f"{commit}: {listed.stderr.strip()}; fetch the whole history of main")
    commits = listed.stdout.split()
    if len(commits) > _MOST:
        raise OperationError(f"{len(commits)} commits since the last deploy; {_BY_HAND}")
    return commits


def _pull_request(sha: str) -> Mapping[str, Any]:
    pull_requests = api(f"repos/{{owner}}/{{repo}}/commits/{sha}/pulls")
    merged = [entry for entry in pull_requests if entry["merged_at"] and entry["base"]["ref"] == "main"]
    if not merged:
        raise OperationError("no pull request brought it")
    found: Mapping[str, Any] = merged[0]
    return found


def _plan(pull_request: Mapping[str, Any]) -> Mapping[str, Any]:
    """The plan of the last commit of a pull request; of runs of a fork there is none."""
    number, head = pull_request["number"], pull_request["head"]["sha"]
    query = f"event=pull_request&head_sha={head}&per_page=10"
    answer = api(f"repos/{{owner}}/{{repo}}/actions/workflows/plan.yaml/runs?{query}")
    planned = [run for run in answer["workflow_runs"] if not _is_of_a_fork(run) and _planned(run["id"])]
    if not planned:
        raise OperationError(f"pull request {number}: no finished run of the workflow plan for its last commit")
    with tempfile.TemporaryDirectory(prefix="reviewed-") as folder:
        gh("run", "download", str(planned[0]["id"]), "--name", ARTIFACT, "--dir", folder)
        return _read_plan(Path(folder) / FILE)


def _is_of_a_fork(run: Mapping[str, Any]) -> bool:
    """Whether a run is of another repository, which may be gone by now."""
    return run["head_repository"] is None or run["head_repository"]["id"] != run["repository"]["id"]


def _planned(run: int) -> bool:
    """Whether the job that plans succeeded: a comment that could not be written takes nothing from it."""
    jobs = api(f"repos/{{owner}}/{{repo}}/actions/runs/{run}/jobs?per_page=100")["jobs"]
    return any(job["name"] == "plan" and job["conclusion"] == "success" for job in jobs)


def _read_plan(file: Path) -> Mapping[str, Any]:
    try:
        document: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        _check(document["stacks"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise OperationError(f"{file}: {error!r}; give it what `plan --json` printed") from error
    return document


def _check(entries: Iterable[Mapping[str, Any]]) -> None:
    for entry in entries:
        if not isinstance(entry["plan"], str) or (entry["hash"] and not _HASH.fullmatch(entry["hash"])):
            raise ValueError(f"{entry!r} is no plan of a stack")
