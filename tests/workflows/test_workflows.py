"""Rules for workflows: permissions, time limits, pinned actions, and existing commands and options."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from operations.cli.app import app
from operations.errors import OperationError
from operations.local import aws_provider
from operations.local.cluster.programs import program
from operations.portal import page
from operations.repository import release
from operations.terraform.stacks import read_platform
from stacks.settings import Owner, Region
from tests import ROOT, fake_gh
from tests.portal_sample import portal_of
from tests.product import commit as product_commit
from tests.product import git, identify, make_copy, make_product
from tests.template import Template

EXAMPLE = ROOT / "examples" / "bubblepool" / ".github" / "workflows" / "build.yaml"
WORKFLOWS = [*sorted((ROOT / ".github" / "workflows").glob("*.yaml")), EXAMPLE]
ACTIONS = sorted((ROOT / ".github" / "actions").rglob("action.yaml"))
OF_AN_APPLICATION = {"build-service.yaml", "build.yaml"}
PLAN_ROLE = "${{ fromJSON(vars.AWS_ROLES)[matrix.place].plan }}"
APPLY_ROLE = "${{ fromJSON(vars.AWS_ROLES)[inputs.place].apply[inputs.environment] }}"

every_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
every_file = pytest.mark.parametrize("path", [*WORKFLOWS, *ACTIONS], ids=lambda path: f"{path.parent.name}-{path.stem}")


def _load(path: Path) -> dict[Any, Any]:
    document: dict[Any, Any] = yaml.safe_load(path.read_text())
    return document


def _jobs(path: Path) -> dict[str, dict[str, Any]]:
    jobs: dict[str, dict[str, Any]] = _load(path)["jobs"]
    return jobs


def _steps(path: Path) -> Iterator[dict[str, Any]]:
    document = _load(path)
    for job in document.get("jobs", {}).values():
        yield from job.get("steps", [])
    yield from document.get("runs", {}).get("steps", [])


def _events(path: Path) -> dict[str, Any]:
    on = _load(path)[True]  # YAML 1.1 parses `on` as true
    return on if isinstance(on, dict) else {on: None}


@every_workflow
def test_permissions_are_only_granted_to_jobs(path: Path) -> None:
    assert _load(path)["permissions"] == {}
    for name, job in _jobs(path).items():
        assert isinstance(job.get("permissions"), dict), name
        assert "write-all" not in job["permissions"].values(), name


@every_workflow
def test_every_job_has_a_time_limit(path: Path) -> None:
    for name, job in _jobs(path).items():
        assert "uses" in job or 0 < job["timeout-minutes"] <= 90, name  # a called workflow has its own limits


@every_workflow
def test_every_workflow_has_a_concurrency_group(path: Path) -> None:
    if "workflow_call" in _events(path):
        return  # the caller has the group
    assert set(_load(path)["concurrency"]) == {"group", "cancel-in-progress"}


@every_workflow
def test_no_trigger_runs_untrusted_code_with_secrets(path: Path) -> None:
    assert not {"pull_request_target", "workflow_run", "issue_comment"} & set(_events(path))


@every_file
def test_no_script_contains_an_expression(path: Path) -> None:
    """The text of other users, such as the name of a branch, would be executed."""
    for step in _steps(path):
        assert "${{" not in step.get("run", ""), step


@every_file
def test_actions_are_pinned_by_commit_with_a_version_comment(path: Path) -> None:
    for line in path.read_text().splitlines():
        uses = re.search(r"\buses: *(\S.*)", line)
        if uses and not uses[1].startswith(("./", "your-org/platform/")):
            assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", uses[1]), line


def test_each_action_has_one_version() -> None:
    pins: dict[str, set[str]] = {}
    for path in [*WORKFLOWS, *ACTIONS]:
        for name, pin in re.findall(r"uses: ([\w.-]+/[\w./-]+)@(.+)", path.read_text()):
            pins.setdefault(name, set()).add(pin)
    assert {name: found for name, found in pins.items() if len(found) > 1} == {}


def test_clusters_admit_images_of_the_workflow_that_the_example_calls() -> None:
    """A signature contains the workflow and its ref, which the policy of the clusters checks."""
    component = _load(ROOT / "management" / "policies" / "component.yaml")
    (identity,) = [patch["format"] for patch in component["patches"] if patch["path"].endswith("/subjectRegExp")]
    admitted = identity.replace("%s", "your-org/platform")
    workflow, _, release = _jobs(EXAMPLE)["build"]["uses"].partition("@")
    assert re.fullmatch(admitted, f"https://github.com/{workflow}@refs/tags/{release}")


@every_file
def test_checkouts_do_not_persist_credentials(path: Path) -> None:
    for step in _steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@every_workflow
def test_pull_requests_only_assume_the_plan_role(path: Path) -> None:
    for name, job in _jobs(path).items():
        roles = [
            step["with"]["role-to-assume"] for step in job.get("steps", []) if "role-to-assume" in step.get("with", {})
        ]
        if "pull_request" in _events(path):
            assert roles in ([], [PLAN_ROLE]), name
            assert job.get("environment") == ("plan" if roles else None), name
        if APPLY_ROLE in roles:
            assert job["environment"] == "${{ inputs.environment }}", name
        if roles:
            assert job["permissions"]["id-token"] == "write", name


def test_the_ruleset_requires_code_owners_and_every_job_that_checks_a_pull_request() -> None:
    """A matrix has a check of another name for each element: the job that needs it is required instead."""
    ruleset = json.loads((ROOT / ".github/rulesets/main.json").read_text())
    rules = {rule["type"]: rule.get("parameters", {}) for rule in ruleset["rules"]}
    assert rules["pull_request"]["require_code_owner_review"]
    required = {check["context"] for check in rules["required_status_checks"]["required_status_checks"]}
    jobs = {
        name
        for path in WORKFLOWS
        if "pull_request" in _events(path) and path != EXAMPLE
        for name, job in _jobs(path).items()
        if job["permissions"].get("pull-requests") != "write"  # which only comments
        and not job.get("continue-on-error")  # which nobody has seen passing yet
        and "strategy" not in job
    }
    assert required == jobs
    assert ruleset["bypass_actors"] == []


def test_the_app_pushes_only_the_branches_of_images() -> None:
    ruleset = json.loads((ROOT / ".github/rulesets/branches.json").read_text())
    assert ruleset["conditions"]["ref_name"] == {
        "include": ["~ALL"],
        "exclude": ["refs/heads/main", "refs/heads/image/**/*"],
    }
    assert {rule["type"] for rule in ruleset["rules"]} == {"creation", "update", "deletion"}
    assert "Integration" not in {actor["actor_type"] for actor in ruleset["bypass_actors"]}


def test_a_pull_request_without_stacks_to_plan_needs_no_role() -> None:
    """Otherwise somebody would have to approve each new image."""
    jobs = _jobs(ROOT / ".github" / "workflows" / "plan.yaml")
    assert "id-token" not in jobs["compare"]["permissions"]
    assert (jobs["plan-region"]["needs"], jobs["plan-region"]["environment"]) == (["compare"], "plan")
    assert jobs["plan-region"]["if"].startswith("needs.compare.outputs.status == '2' && ")
    assert "PRIVATE_RUNNER" not in jobs["compare"]["runs-on"]


def test_the_plans_of_all_regions_are_required_also_if_a_job_before_did_not_succeed() -> None:
    """A skipped job counts as successful, and so would a missing region."""
    job = _jobs(ROOT / ".github" / "workflows" / "plan.yaml")["plan"]
    assert job["needs"] == ["compare", "plan-region"]
    assert job["if"].startswith("always() && needs.compare.outputs.status != '0' && ")
    assert "id-token" not in job["permissions"]


def _artifact(workflow: str, job: str) -> str:
    """The name of the artifact that a job uploads."""
    (name,) = [
        step["with"]["name"]
        for step in _jobs(ROOT / ".github/workflows" / workflow)[job]["steps"]
        if step.get("uses", "").startswith("actions/upload-artifact@")
    ]
    return str(name)


def _run_step(step: dict[str, Any], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the script of a step as GitHub does, with the commands of this repository."""
    if not (folder / ".venv").exists():
        (folder / ".venv").symlink_to(Path(sys.executable).parents[1])
    path = os.pathsep.join([str(ROOT / "constructs"), str(ROOT)])
    variables |= {"PYTHONPATH": path, "GITHUB_STEP_SUMMARY": str(folder / "summary.md")}
    command = ["bash", "-e", "-c", step["run"]]
    environment = {**os.environ, **variables}
    return subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)


def _named(workflow: str, job: str, name: str) -> dict[str, Any]:
    """The step of a job whose name begins with this text."""
    steps = _jobs(ROOT / ".github/workflows" / workflow)[job]["steps"]
    found: dict[str, Any] = next(step for step in steps if step.get("name", "").startswith(name))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("planned", "result", "verdict", "status"),
    [
        (["ap-northeast-2", "us-west-2"], "success", "for review", 0),
        (["ap-northeast-2", "us-west-2"], "success", "refused", 1),
        (["ap-northeast-2", "us-west-2"], "failure", "for review", 1),
        (["ap-northeast-2"], "failure", "for review", 1),
        (["ap-northeast-2"], "success", "for review", 1),
        ([], "skipped", "for review", 1),
    ],
)
def test_a_pull_request_needs_a_plan_of_each_stack_of_each_region(  # noqa: PLR0913 (of a case)
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, planned: list[str], result: str, verdict: str, status: int
) -> None:
    regions = ["ap-northeast-2", "us-west-2"]
    listed = {"base": "HEAD^1", "removed": [], "stacks": {f"{region}-dev": "changed" for region in regions}}
    artifacts = {"stacks-to-plan/plan.json": json.dumps(listed), "stacks-to-plan/plan.md": "2 stacks to plan"}
    for region in planned:
        finding = {"stack": f"{region}-dev", "address": "aws_vpc.vpc", "action": "destroy", "verdict": verdict}
        plan = {
            "stacks": {f"{region}-dev": {"plan": "1 to destroy", "hash": "a" * 64}},
            "findings": [{**finding, "why": "it holds data", "remedy": "keep it"}],
        }
        folder = _artifact("plan.yaml", "plan-region").replace("${{ matrix.place }}", region)
        artifacts |= {f"{folder}/plan.json": json.dumps(plan), f"{folder}/plan.md": f"plan of {region}\n"}
    gh = fake_gh.install(tmp_path / "github", monkeypatch)
    with gh.changed() as state:
        state["artifacts"]["5"] = artifacts
    join = _run_step(_named("plan.yaml", "plan", "Join"), tmp_path, RUN_ID="5")
    comment = (tmp_path / "plan.md").read_text()
    assert comment.startswith(f"### {len(planned)} of 2 stacks planned\n")
    assert [region for region in regions if f"plan of {region}\n" in comment] == planned
    missing = [region for region in regions if f"error: {region}-dev: has no plan" in comment]
    assert sorted([*missing, *planned]) == regions
    assert join.returncode == (1 if missing else 0), join.stderr
    if not missing:
        check = _run_step(_named("plan.yaml", "plan", "Fail if a region failed"), tmp_path, PLANNED=result)
        assert check.returncode == status, check.stderr


def test_the_issues_are_updated_with_the_drift_of_the_regions_that_were_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gh = fake_gh.install(tmp_path / "github", monkeypatch)
    with gh.changed() as state:
        state["issues"] = [{"number": 1, "title": "Drift: us-west-2-dev", "body": "", "open": True}]
        state["artifacts"]["5"] = {
            f"{_artifact('drift.yaml', 'drift').replace('${{ matrix.place }}', region)}/drift.json": json.dumps(
                {"stacks": {f"{region}-dev": {"status": "drift", "drift": []}}}
            )
            for region in ("ap-northeast-2", "eu-west-1")
        }
    run = _run_step(_named("drift.yaml", "issues", "Update the issues"), tmp_path, RUN_ID="5")
    assert run.returncode == 0, run.stderr
    assert [(issue["title"], issue["open"]) for issue in gh["issues"]] == [
        (f"Drift: {region}-dev", True) for region in ("us-west-2", "ap-northeast-2", "eu-west-1")
    ]
    (download,) = [call for call in gh["calls"] if call[:2] == ["run", "download"]]
    assert fnmatch(_artifact("drift.yaml", "drift"), download[download.index("--pattern") + 1])


@pytest.mark.parametrize("has_pages", [True, False])
@pytest.mark.usefixtures("platform")
def test_the_portal_has_what_the_pages_and_reports_of_the_regions_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform_folder: Path, *, has_pages: bool
) -> None:
    gh = fake_gh.install(tmp_path / "github", monkeypatch)
    shutil.copytree(platform_folder, tmp_path / "cdktf.out")
    (tmp_path / "sample").mkdir()
    known = portal_of(read_platform(platform_folder), tmp_path / "sample").document()
    folder = _artifact("drift.yaml", "drift").replace("${{ matrix.place }}", "ap-northeast-2")
    drift: dict[str, Any] = {"stacks": {}, "notes": []}
    artifacts = {f"{folder}/drift.json": json.dumps(drift), f"{folder}/portal/index.html": page.page(known)}
    with gh.changed() as state:
        state["artifacts"]["5"] = artifacts if has_pages else {}
    run = _run_step(_named("drift.yaml", "portal", "Join the pages"), tmp_path, RUN_ID="5")
    assert run.returncode == 0, run.stderr
    assert ("not known: drift-report" in run.stdout) is not has_pages
    tables = {table["name"]: table["rows"] for table in page.read_page(tmp_path / ".portal/index.html")["tables"]}
    running = [row[4]["type"] for row in tables["clusters"]]
    assert running == ["text" if has_pages else "unknown"] * 3
    (upload,) = [step["with"] for step in _jobs(ROOT / ".github/workflows/drift.yaml")["portal"]["steps"]
                 if step.get("uses", "").startswith("actions/upload-artifact@")]  # fmt: skip
    assert (tmp_path / upload["path"]).is_file()


def test_the_portal_is_public_only_if_wished() -> None:
    """Pages of most plans are public."""
    publish = _jobs(ROOT / ".github/workflows/drift.yaml")["publish"]
    assert "vars.PORTAL_PAGES == 'true'" in publish["if"]
    (step,) = [one for one in _steps(ROOT / ".github/workflows/publish-docs.yaml") if "portal" in one.get("run", "")]
    assert step["if"] == "vars.PORTAL_PAGES == 'true'"


@pytest.mark.parametrize(
    ("workflow", "job"),
    [("plan.yaml", "plan-region"), ("drift.yaml", "drift"), ("backup.yaml", "backup")],
)
def test_each_region_has_its_own_role_runner_and_artifact(workflow: str, job: str) -> None:
    described = _jobs(ROOT / ".github/workflows" / workflow)[job]
    assert described["strategy"]["fail-fast"] is False
    # An entry of AWS_BACKUPS has a place only in a further account of a region.
    place = "matrix.place || matrix.region" if workflow == "backup.yaml" else "matrix.place"
    label = f"fromJSON(vars.PRIVATE_RUNNERS || '{{}}')[{place}] || 'ubuntu-24.04'"
    assert described["runs-on"] == f"${{{{ format({label}, 'plan', github.run_id, github.run_attempt) }}}}"
    (credentials,) = [step["with"] for step in described["steps"] if "role-to-assume" in step.get("with", {})]
    assert "[matrix.place]" in credentials["role-to-assume"] or credentials["role-to-assume"] == "${{ matrix.role }}"
    assert credentials["aws-region"] == "${{ matrix.region }}"


@pytest.mark.parametrize(
    ("changed", "refused"),
    [
        (["service/shop/overlays/dev/kustomization.yaml"], ""),
        (["service/shop/overlays/dev/values.yaml", "Makefile", "stacks/owner.py"], "Makefile, stacks/owner.py"),
        (["service/shop/base/rollout.yaml"], "service/shop/base/rollout.yaml"),
        (["service/shop/overlays"], "service/shop/overlays"),
    ],
)
def test_branches_of_the_app_change_only_overlays(tmp_path: Path, changed: list[str], refused: str) -> None:
    (step,) = [one for one in _steps(ROOT / ".github/workflows/plan.yaml") if "image/" in one.get("if", "")]

    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=minji", "-c", "user.email=minji@example.com")
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True)

    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "--message=base")
    for name in changed:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("changed")
    git("add", ".")
    git("commit", "--quiet", "--message=change")
    run = subprocess.run(["bash", "-e", "-c", step["run"]], cwd=tmp_path, check=False, capture_output=True, text=True)
    message = f"::error::{refused}: branches image/… change only service/*/overlays\n" if refused else ""
    assert (run.returncode, run.stdout) == (1 if refused else 0, message)


@every_workflow
def test_forks_get_no_private_runner_and_no_write_permission(path: Path) -> None:
    if "pull_request" not in _events(path) or path == EXAMPLE:
        return
    for name, job in _jobs(path).items():
        is_private = "PRIVATE_RUNNER" in str(job["runs-on"]) or "write" in job["permissions"].values()
        if is_private:
            assert "github.event.pull_request.head.repo.full_name == github.repository" in job["if"], name


@every_workflow
def test_secrets_are_only_used_to_create_app_tokens(path: Path) -> None:
    for step in _steps(path):
        if "secrets." in str(step):
            assert step["uses"].startswith("actions/create-github-app-token@")
            assert any(name.startswith("permission-") for name in step["with"])


def test_images_are_scanned_before_they_are_pushed() -> None:
    jobs = _jobs(ROOT / ".github" / "workflows" / "build-service.yaml")
    build = [step.get("uses", "").split("@")[0] for step in jobs["build"]["steps"]]
    assert build.index("docker/build-push-action") < build.index("aquasecurity/trivy-action")
    assert build.index("aquasecurity/trivy-action") < build.index("actions/upload-artifact")
    assert (jobs["publish"]["needs"], jobs["propose"]["needs"]) == (["build"], ["publish"])
    for name in ("test", "build"):
        assert jobs[name]["permissions"] == {"contents": "read"}


def test_environments_are_deployed_one_after_the_other(own: tuple[Owner, list[Region]]) -> None:
    """In the order of promotion of each region, the stacks in a cluster after those beside it."""
    jobs = _jobs(ROOT / ".github" / "workflows" / "deploy.yaml")
    order = list(jobs)
    assert order[:2] == ["reviewed", "shared"]
    for region in own[1]:
        names = [environment.name for environment in region.environments]
        expected = [job for name in names for job in (name, f"{name}-cluster")]
        assert [job for job in order if job in expected] == expected
    for position, name in enumerate(order[1:], 1):
        assert jobs[name]["needs"] == order[:position]
        assert "!failure()" in jobs[name]["if"]
        assert jobs[name]["with"]["environment"] == name.removesuffix("-cluster")


def test_each_region_is_deployed_with_its_own_role_and_not_twice_at_the_same_time() -> None:
    """A job without stacks is skipped, because its matrix would be empty, which GitHub refuses."""
    jobs = _jobs(ROOT / ".github" / "workflows" / "deploy.yaml")
    for name, job in jobs.items():
        if "uses" not in job:
            continue
        part = "cluster" if name.endswith("-cluster") else "aws"
        matrix = f"fromJSON(needs.reviewed.outputs.deploy).{name.removesuffix('-cluster')}.{part}"
        assert job["if"].endswith(f" && {matrix} }}}}"), name
        assert job["strategy"] == {"fail-fast": False, "matrix": {"include": f"${{{{ {matrix} }}}}"}}, name
        assert job["with"]["region"] == "${{ matrix.region }}", name
        assert job["with"]["place"] == "${{ matrix.place }}", name
        assert job["with"]["stacks"] == "${{ matrix.stacks }}", name
        assert ("[matrix.place]" in job["with"]["runner"]) is (part == "cluster"), name
    job = _jobs(ROOT / ".github" / "workflows" / "deploy-stacks.yaml")["deploy"]
    assert job["concurrency"]["group"] == "environment-${{ inputs.place }}-${{ inputs.environment }}"
    (credentials,) = [step["with"] for step in job["steps"] if "role-to-assume" in step.get("with", {})]
    assert (credentials["role-to-assume"], credentials["aws-region"]) == (APPLY_ROLE, "${{ inputs.region }}")


def test_each_environment_has_a_role_under_the_name_that_its_job_has(
    own: tuple[Owner, list[Region]], own_platform: dict[str, Template]
) -> None:
    jobs = _jobs(ROOT / ".github" / "workflows" / "deploy.yaml").values()
    for region in own[1]:
        roles = own_platform[f"{region.name}-shared"].json["output"]["roles"]["value"][region.name]
        assert set(roles) == {"plan", "apply"}
        assert set(roles["apply"]) <= {job["with"]["environment"] for job in jobs if "uses" in job}


def _scripts() -> Iterator[tuple[str, str]]:
    for path in [*WORKFLOWS, *ACTIONS, *sorted((ROOT / "scripts").glob("*.sh"))]:
        if path.suffix == ".sh":
            yield path.name, path.read_text()
        else:
            for step in _steps(path):
                if "run" in step:
                    yield path.name, step["run"]


def test_every_command_in_scripts_exists() -> None:
    known = set(get_command(app).commands)  # type: ignore[attr-defined]
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    called = {name for _, text in _scripts() for name in re.findall(r"-m operations ([a-z-]+)", text)}
    make_targets = {name for _, text in _scripts() for name in re.findall(r"\bmake ([a-z-]+)", text)}
    assert {"plan", "set-image"} <= called
    assert called - known == set()
    assert make_targets - targets == set()


def test_every_option_in_scripts_exists() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    for where, text in _scripts():
        for name, rest in re.findall(r"-m operations ([a-z-]+)((?:[^\n]|\\\n)*)", text):
            options = {option for parameter in commands[name].params for option in parameter.opts}
            given = set(re.findall(r"(?<=\s)--[a-z-]+", rest)) - {"--help"}
            assert given - options == set(), (where, name)


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found:
        return found
    try:
        return str(program(name))
    except OperationError as error:
        (pytest.fail if os.environ.get("INSIST_ON_CLUSTER") == "1" else pytest.skip)(str(error))
        raise


def test_actionlint_finds_nothing() -> None:
    files = [str(path) for path in WORKFLOWS]
    run = subprocess.run(
        [_tool("actionlint"), "-no-color", *files], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert (run.returncode, run.stdout + run.stderr) == (0, "")


def test_zizmor_finds_nothing() -> None:
    zizmor = Path(sys.executable).with_name("zizmor")
    places = [str(ROOT / ".github"), str(EXAMPLE.parents[1])]
    options = ["--offline", "--no-progress", "--quiet", "--config", str(ROOT / ".github" / "zizmor.yml")]
    run = subprocess.run([zizmor, *options, *places], cwd=ROOT, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_stacks_are_also_checked_with_the_provider_that_they_name(own_platform: dict[str, Template]) -> None:
    steps = _steps(ROOT / ".github/workflows/check.yaml")
    versions = {
        one["run"]: one["env"][aws_provider.VARIABLE] for one in steps if aws_provider.VARIABLE in one.get("env", {})
    }
    for stack in own_platform.values():
        named = stack.json["terraform"]["required_providers"]["aws"]["version"]
        assert versions == {".venv/bin/pytest tests/terraform/test_validate.py": named, "make test-deploys": named}


def test_a_release_is_published_only_after_all_checks_and_by_a_job_without_code() -> None:
    path = ROOT / ".github" / "workflows" / "release.yaml"
    jobs = _jobs(path)
    assert _events(path) == {"push": {"tags": ["v*"]}}
    assert jobs["check"]["uses"] == "./.github/workflows/check.yaml"
    assert "workflow_call" in _events(ROOT / ".github" / "workflows" / "check.yaml")
    assert jobs["publish"]["needs"] == ["check", "build"]
    for name in ("check", "build"):  # the next one needs both
        assert jobs[name]["if"] == "vars.PUBLISH_RELEASES == 'true'"
        assert jobs[name]["permissions"] == {"contents": "read"}
    used = [step["uses"].partition("@")[0] for step in jobs["publish"]["steps"] if "uses" in step]
    assert used == ["actions/attest"]
    assert {"attestations", "contents", "id-token"} <= jobs["publish"]["permissions"].keys()


@pytest.mark.parametrize(
    ("tag", "on_main", "status"), [("v{version}", True, 0), ("v99.0.0", True, 1), ("v{version}", False, 1)]
)
def test_a_tag_is_released_only_if_it_is_the_version_of_a_commit_of_main(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tag: str, *, on_main: bool, status: int
) -> None:
    identify(monkeypatch)
    make_product(tmp_path / "product")
    folder = make_copy(tmp_path / "product", tmp_path / "copy", {"CHANGELOG.md": (ROOT / "CHANGELOG.md").read_text()})
    version = release.version(ROOT)
    commit = product_commit(folder, {"constructs/pyproject.toml": (ROOT / "constructs/pyproject.toml").read_text()})
    git(folder, "update-ref", "refs/remotes/origin/main", commit if on_main else "HEAD^")
    step = _named("release.yaml", "build", "Fail unless")
    run = _run_step(step, folder, COMMIT=commit, TAG=tag.format(version=version))
    assert run.returncode == status, run.stderr
    if status == 0:
        assert "### Migration" in (folder / "release/notes.md").read_text()
