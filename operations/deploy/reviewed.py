"""Finds the reviewed plans of merged pull requests, as hashes that `deploy` compares with its own plans.

The workflow `plan` stores them as an artifact of its run, those of all regions as one, and each run belongs to one
commit of a pull request. For the commits on main since the last successful deploy, this finds the pull requests, their
head commits, and those runs.
"""

import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from operations.clients import git
from operations.clients.github import api, gh
from operations.deploy.plan import removed_notes
from operations.errors import OperationError
from operations.output.report import Report, Status, Table, counted
from operations.terraform.json_files import read_json
from operations.terraform.stacks import Stack, matrix

ARTIFACT = "reviewed-plan"
FILE = "plan.json"
EVERYTHING = "everything"
"""Stands for all stacks: if that run succeeds, all earlier commits count as deployed."""
_TITLE_OF_EVERYTHING = f"deploy {EVERYTHING}"
_BY_HAND = (
    f"run the workflow deploy by hand with `{EVERYTHING}`: stacks without changes pass, the others show their plans"
)
_REMEDY = "pass the output of `plan --json`"
_NOT_A_REPORT = f"{{file}}: not a report of `plan --json`; {_REMEDY}"
_LIST_REMEDY = "pass the output of `plan --list --json`"
_WORKFLOW = Path(".github/workflows/deploy.yaml")
_MOST = 50
_NOTHING = "no changes"
_HASH = re.compile(r"[0-9a-f]{64}")
_IN_CLUSTER = "-cluster"  # suffix of the names of jobs that need access to the cluster

_Matrix = list[dict[str, str]]
"""The matrix of a job: the regions, each with the names of its stacks, separated by spaces."""


@dataclass(frozen=True)
class _Reviewed:
    pull_request: int
    plan: Mapping[str, Any]


def collect(commit: str, known: Sequence[Stack], repository: Path = Path()) -> Report:
    """The reviewed plans of all commits on main since the last successful deploy, up to `commit`.

    `known` are the stacks at that commit.

    Of two plans of one stack the later one counts. `deploy` refuses it if it does not include the earlier changes.

    Raises:
        OperationError: if a commit has no plan that could have been reviewed.
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
    """The stacks of a deploy by hand, each with the hash of its accepted plan: `STACK=HASH`, or STACK alone.

    `known` are all stacks.

    `everything` alone stands for all stacks; plans with changes are then refused, and shown with their hashes.

    Raises:
        OperationError: if a stack does not exist, or a hash is invalid.
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
            problems.append(f"{name!r}: unknown stack; write STACK or STACK=HASH, with one of {', '.join(names)}")
        elif hash_ and not _HASH.fullmatch(hash_):
            problems.append(f"{name}: {hash_!r}: not a plan hash; copy it from the summary of the refused deploy")
        stacks[name] = {"plan": "accepted" if hash_ else "asked for", "hash": hash_}
    if problems:
        raise OperationError("\n".join(problems))
    return _reviewed_report(stacks, known, repository)


def join(listed: Path, plans: Sequence[Path]) -> Report:
    """The plans of several regions as one. A stack of the list without a plan is an error of the report.

    Otherwise a region whose plan is missing would count as one without changes.

    Raises:
        OperationError: if a file is not a report of `plan --json`, or `listed` is none of `plan --list --json`.
    """
    to_plan, removed, base = _read_list(listed)
    documents = [_read_plan(file) for file in plans]
    stacks = {name: entry for document in documents for name, entry in document["stacks"].items()}
    errors = [f"{name}: has no plan; see the job of its region" for name in sorted(to_plan - stacks.keys())]
    return Report(
        f"{len(to_plan) - len(errors)} of {counted(len(to_plan), 'stack')} planned",
        Status.ERROR if errors else Status.FINE,
        {
            "stacks": stacks,
            "findings": [finding for document in documents for finding in document["findings"]],
            "errors": errors,
        },
        notes=[*(f"error: {error}" for error in errors), *removed_notes(base, removed)],
    )


def refusals(file: Path) -> Report:
    """Check that the guard refuses no change in a report of `plan --json`; otherwise the change must not be merged.

    Raises:
        OperationError: if the file is not a report of `plan --json`, or a change is refused.
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
        raise OperationError(_NOT_A_REPORT.format(file=file)) from error
    if refused:
        raise OperationError("\n".join(refused))
    return Report("the guard refuses nothing", Status.FINE, {"findings": len(findings)})


def _reviewed_report(stacks: Mapping[str, Mapping[str, Any]], known: Sequence[Stack], repository: Path) -> Report:
    """The report's key `deploy` lists the stacks of each environment; in-cluster stacks apart, for another runner."""
    touched = {name: entry for name, entry in sorted(stacks.items()) if entry["plan"] != _NOTHING}
    by_name = {stack.name: stack for stack in known}
    if unknown := sorted(touched.keys() - by_name.keys()):
        raise OperationError("\n".join(f"{name!r}: no such stack at this commit; {_BY_HAND}" for name in unknown))
    deploy, notes = _deploys([by_name[name] for name in touched], repository)
    rows = [[name, entry["plan"], entry["hash"][:12]] for name, entry in touched.items()]
    title = f"{counted(len(touched), 'stack')} to deploy" if touched else "no stack to deploy"
    tables = [Table("Reviewed", ["stack", "plan", "hash"], rows)] if rows else []
    return Report(title, Status.FINE, {"stacks": touched, "deploy": deploy}, tables, notes)


def _deploys(stacks: Sequence[Stack], repository: Path) -> tuple[dict[str, dict[str, _Matrix]], list[str]]:
    """The matrix of each job by environment and kind of job, and notes on stacks that no job deploys on purpose."""
    of_jobs: dict[tuple[str, str], list[Stack]] = {}
    problems, notes, jobs = [], [], _jobs(repository) if stacks else []
    for stack in stacks:
        job = f"{stack.environment}{_IN_CLUSTER if stack.is_in_cluster else ''}"
        if stack.kind == "backend":
            notes.append(
                f"{stack.name}: not deployed by the workflow; an operator runs `make deploy STACK={stack.name}`"
            )
        elif job not in jobs:
            problems.append(f"{stack.name}: {_WORKFLOW} has no job {job} to deploy it; add the job")
        else:
            of_jobs.setdefault((stack.environment, "cluster" if stack.is_in_cluster else "aws"), []).append(stack)
    if problems:
        raise OperationError("\n".join(problems))
    deploy: dict[str, dict[str, _Matrix]] = {}
    for (environment, part), of_job in of_jobs.items():
        deploy.setdefault(environment, {})[part] = matrix(of_job)
    return deploy, notes


def _jobs(repository: Path) -> list[str]:
    """The deploy jobs of the workflow: `<environment>` and `<environment>-cluster`.

    Raises:
        OperationError: if the workflow cannot be read or has no jobs.
    """
    try:
        document = yaml.safe_load((repository / _WORKFLOW).read_bytes())
    except OSError as error:
        message = f"{_WORKFLOW}: cannot be read: {error.strerror}; run this in the root of the repository"
        raise OperationError(message) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise OperationError(f"{_WORKFLOW}: not YAML: {' '.join(str(error).split())}; correct the file") from error
    jobs = document.get("jobs") if isinstance(document, dict) else None
    if not isinstance(jobs, dict) or not all(isinstance(job, dict) for job in jobs.values()):
        raise OperationError(f"{_WORKFLOW}: has no jobs; correct the file")
    return [name for name, job in jobs.items() if "uses" in job]


def _commits(repository: Path, commit: str) -> list[str]:
    """The commits on main since the last successful deploy, oldest first."""
    query = "branch=main&status=success&per_page=100"
    answer = api(f"repos/{{owner}}/{{repo}}/actions/workflows/deploy.yaml/runs?{query}")
    # A run by hand may have deployed only some stacks.
    finished = [
        run["head_sha"]
        for run in answer["workflow_runs"]
        if run["event"] == "push" or run["display_title"] == _TITLE_OF_EVERYTHING
    ]
    if not finished:
        raise OperationError(f"no deploy has succeeded yet, so the commits to deploy are unknown; {_BY_HAND}")
    commits_of = ("rev-list", "--first-parent", "--reverse", "--end-of-options", f"{finished[0]}..{commit}", "--")
    listed = git.run(repository, *commits_of)
    if listed.returncode:
        raise OperationError(f"{commit}: {listed.stderr.strip()}; fetch the whole history of main")
    commits = listed.stdout.split()
    if len(commits) > _MOST:
        raise OperationError(f"{counted(len(commits), 'commit')} since the last deploy; {_BY_HAND}")
    return commits


def _pull_request(sha: str) -> Mapping[str, Any]:
    pull_requests = api(f"repos/{{owner}}/{{repo}}/commits/{sha}/pulls")
    merged = [entry for entry in pull_requests if entry["merged_at"] and entry["base"]["ref"] == "main"]
    if not merged:
        raise OperationError("the commit was not merged by a pull request")
    found: Mapping[str, Any] = merged[0]
    return found


def _plan(pull_request: Mapping[str, Any]) -> Mapping[str, Any]:
    """The plan of the head commit of a pull request into its base. Runs of forks do not count.

    Another pull request may have the same head commit, but another plan. The title of the run names the pull request,
    because the field `pull_requests` of a run lists only open ones, and not necessarily that of the run
    (https://docs.github.com/en/rest/actions/workflow-runs).
    """
    number, head = pull_request["number"], pull_request["head"]
    title = f"plan #{number} into {pull_request['base']['ref']}"
    query = f"event=pull_request&head_sha={head['sha']}&per_page=100"
    answer = api(f"repos/{{owner}}/{{repo}}/actions/workflows/plan.yaml/runs?{query}")
    planned = [
        run
        for run in answer["workflow_runs"]
        if (run["display_title"], run["head_branch"]) == (title, head["ref"])
        and not _is_of_a_fork(run)
        and _planned(run["id"])
    ]
    if not planned:
        raise OperationError(f"{title}: no successful run of the workflow plan has this title and its head commit")
    with tempfile.TemporaryDirectory(prefix="reviewed-") as folder:
        gh("run", "download", str(planned[0]["id"]), "--name", ARTIFACT, "--dir", folder)
        return _read_plan(Path(folder) / FILE)


def _is_of_a_fork(run: Mapping[str, Any]) -> bool:
    """Whether a run belongs to another repository, which may have been deleted."""
    return run["head_repository"] is None or run["head_repository"]["id"] != run["repository"]["id"]


def _planned(run: int) -> bool:
    """Whether the job `plan` succeeded, or `compare` found nothing to plan, so that `plan` was skipped.

    The run may still have failed, such as in the job that comments.
    """
    jobs = api(f"repos/{{owner}}/{{repo}}/actions/runs/{run}/jobs?per_page=100")["jobs"]
    ended = {job["name"]: job["conclusion"] for job in jobs}
    return ended.get("plan") == "success" or (ended.get("plan"), ended.get("compare")) == ("skipped", "success")


def _read_list(file: Path) -> tuple[set[str], list[str], str | None]:
    """The stacks to plan, the removed stacks, and the revision that has them."""
    document = read_json(file, _LIST_REMEDY)
    try:
        removed = [str(name) for name in document["removed"]]
        return document["stacks"].keys() - removed, removed, document["base"]
    except (KeyError, TypeError, AttributeError) as error:
        raise OperationError(f"{file}: not a report of `plan --list --json`; {_LIST_REMEDY}") from error


def _read_plan(file: Path) -> Mapping[str, Any]:
    document: Mapping[str, Any] = read_json(file, _REMEDY)
    try:
        _check(document["stacks"].values(), document["findings"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise OperationError(_NOT_A_REPORT.format(file=file)) from error
    return document


def _check(entries: Iterable[Mapping[str, Any]], findings: Any) -> None:
    if not isinstance(findings, list):
        raise TypeError("not a list of findings")
    for entry in entries:
        if not isinstance(entry["plan"], str) or (entry["hash"] and not _HASH.fullmatch(entry["hash"])):
            raise ValueError("not a plan of a stack")
