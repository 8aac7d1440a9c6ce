import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from operations.cli.app import app
from operations.errors import OperationError
from operations.services import scaffold
from operations.services.scaffold import NewService
from operations.terraform.stacks import Region
from tests import ROOT
from tests.edited_settings import EditedSettings
from tests.stacks import make_stack, write_output

pytestmark = pytest.mark.slow

RBAC = "management/argo-cd/manifests/rbac"
PROJECTS = "management/bootstrap/projects"
OWNERS = ".github/CODEOWNERS"
SHARED = "stacks/ap_northeast_2/shared.py"
MODELS = sorted(path.parent.name for path in ROOT.glob("service/*/base"))


# The names in these tests are unlikely, so that they do not conflict with services that `make service` created.


@pytest.fixture
def tree(tmp_path: Path, edited: EditedSettings) -> Path:
    """A copy of the files that the scaffold reads and writes; `edited` provides the settings."""
    del edited
    for folder in ("management", "service"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / OWNERS).parent.mkdir()
    shutil.copy(ROOT / OWNERS, tmp_path / OWNERS)
    return tmp_path


def _files(tree: Path) -> dict[str, bytes]:
    return {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if path.is_file()}


def _write(tree: Path, name: str, team: str, like: str = "bubblepool", repository_id: int | None = None) -> None:
    new = NewService(name=name, team=team, like=like, repository_id=repository_id)
    scaffold.write_service(tree, new, _regions(tree), lambda _: None)


def _regions(tree: Path) -> list[Region]:
    """The regions in the copy."""
    return [
        Region(
            name=name,
            shared_settings_file=str(path.relative_to(tree)),
            environments=["dev", "staging", "prod"],
            push_role_prefix=f"{name}-shared-push-",
        )
        for path in sorted(tree.glob("stacks/*/shared.py"))
        if (name := path.parent.name.replace("_", "-"))
    ]


def _write_platform(tree: Path) -> None:
    """Write the output of `make synth` for the copy."""
    (tree / "cdktf.out").mkdir()
    write_output(tree / "cdktf.out", [make_stack(directory=tree / "cdktf.out")], _regions(tree))


def _added(tree: Path, file: str) -> list[str]:
    """The lines that a file has in addition to those of the committed file."""
    before = (ROOT / file).read_text().splitlines()
    after = (tree / file).read_text().splitlines()
    added = list(after)
    for line in before:
        added.remove(line)
    return added


# The files


@pytest.mark.parametrize(("like", "team"), [("bubblepool", "bubble"), ("guestbook", "guest")])
def test_files_are_those_of_the_model_with_new_names_and_without_the_database(tree: Path, like: str, team: str) -> None:
    _write(tree, "xylophone", "percussion", like)
    model, copy = (tree / "service" / name for name in (like, "xylophone"))
    files = {path.relative_to(model) for path in model.rglob("*") if path.is_file()}
    assert {path.relative_to(copy) for path in copy.rglob("*") if path.is_file()} == {
        file for file in files if "database" not in file.parts
    }
    for file in copy.rglob("*"):
        if file.is_file():
            text = file.read_text()
            assert not re.search(rf"\b({like}|{team})\b", text)
            assert "components:" not in text
            original = (model / file.relative_to(copy)).read_text()
            renamed_back = re.sub(r"\bpercussion\b", team, re.sub(r"\bxylophone\b", like, text))
            changed = set(renamed_back.splitlines()) ^ set(original.splitlines())
            assert {line.lstrip("- ").partition(":")[0] for line in changed} <= {
                "components",
                "database",
                "../../base/database",
            }


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_application_has_team_and_host_but_no_database(tree: Path, environment: str) -> None:
    _write(tree, "xylophone", "percussion")
    marker = tree / "service" / "xylophone" / "overlays" / environment / "application.yaml"
    assert marker.read_text() == 'team: percussion\nhost: xylophone\ndatabase: ""\n'


def test_image_is_an_example_even_if_the_model_was_delivered(tree: Path) -> None:
    overlay = Path("overlays", "prod", "kustomization.yaml")
    model = tree / "service" / "bubblepool" / overlay
    delivered = model.read_text().replace("0" * 64, "1" * 64).replace("0.0.0-example", "1.2.3")
    assert delivered != model.read_text()
    model.write_text(delivered)
    _write(tree, "xylophone", "percussion")
    text = (tree / "service" / "xylophone" / overlay).read_text()
    assert f"- digest: sha256:{'0' * 64}\n  name: xylophone\n  newName: xylophone\n  newTag: 0.0.0-example\n" in text


def test_a_new_team_gets_a_project_for_only_this_service(tree: Path) -> None:
    _write(tree, "xylophone", "percussion")
    project = (tree / PROJECTS / "percussion.yaml").read_text()
    assert "  name: percussion\n" in project
    assert re.findall(r"namespace: (\S+)", project) == ["argocd", "xylophone-ENVIRONMENT"]
    model = (ROOT / PROJECTS / "bubble.yaml").read_text()
    assert project.partition("clusterResourceWhitelist")[2] == model.partition("clusterResourceWhitelist")[2]


def test_a_new_team_gets_the_permissions_of_a_team(tree: Path) -> None:
    _write(tree, "xylophone", "percussion")
    policy = (tree / RBAC / "policy.percussion.csv").read_text()
    assert "p, role:percussion-developer, applications, sync, percussion/*-dev, allow\n" in policy
    assert policy == re.sub(r"\bbubble\b", "percussion", (ROOT / RBAC / "policy.bubble.csv").read_text())
    assert _added(tree, f"{RBAC}/kustomization.yaml") == ["      - policy.percussion.csv"]


def test_lists_stay_sorted(tree: Path) -> None:
    _write(tree, "xylophone", "brass")
    listed = re.findall(r"- (policy\.\w+\.csv)", (tree / RBAC / "kustomization.yaml").read_text())
    assert "policy.brass.csv" in listed
    assert listed == sorted(listed)


def test_an_existing_team_gets_one_more_destination(tree: Path) -> None:
    _write(tree, "xylophone", "guest")
    assert _added(tree, f"{PROJECTS}/guest.yaml") == [
        "    - namespace: xylophone-ENVIRONMENT",
        "      server: https://kubernetes.default.svc",
    ]
    assert not (tree / PROJECTS / "percussion.yaml").exists()
    assert _added(tree, f"{RBAC}/kustomization.yaml") == []
    assert "part-of: guest" in (tree / "service" / "xylophone" / "base" / "kustomization.yaml").read_text()


@pytest.mark.parametrize("name", ["xylophone", "a-service", "celesta"])
def test_the_team_owns_the_code_of_the_service(tree: Path, name: str) -> None:
    owners = tree / OWNERS
    owners.write_text(owners.read_text().replace("your-org", "acme"))
    before = owners.read_text().splitlines()
    _write(tree, name, "percussion")
    after = owners.read_text().splitlines()
    assert set(after) - set(before) == {f"/service/{name}/ @acme/percussion"}
    of_services = [line for line in after if line.startswith("/service/") and "*" not in line]
    assert of_services == sorted(of_services)
    after.remove(f"/service/{name}/ @acme/percussion")
    assert after == before


@pytest.mark.parametrize(
    ("rest", "line"), [("", 1), ("\n/docs/ @acme/docs\n", 3), ("/service/*/base/ @acme/platform\n", 1)]
)
def test_the_first_service_gets_a_code_owner(tree: Path, rest: str, line: int) -> None:
    (tree / OWNERS).write_text(f"* @acme/platform\n{rest}")
    _write(tree, "xylophone", "percussion")
    assert (tree / OWNERS).read_text().splitlines()[line] == "/service/xylophone/ @acme/percussion"


@pytest.mark.parametrize("name", ["xylophone", "a-service-with-as-long-a-name-as-fits"])
@pytest.mark.parametrize("repository_id", [None, 1234567890])
def test_settings_with_the_new_image_repository_are_valid_and_formatted(
    tree: Path, edited: EditedSettings, name: str, repository_id: int | None
) -> None:
    _write(tree, name, "percussion", repository_id=repository_id)
    _, (region,) = edited.load()
    repository = region.shared.image_repositories[-1]
    assert (repository.name, repository.pushed_by.name) == (name, name)
    assert repository.pushed_by.id == (repository_id or scaffold.PLACEHOLDER_ID)
    formatted = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--check", "--config", ROOT / "pyproject.toml", tree / SHARED],
        check=False,
        capture_output=True,
        text=True,
    )
    assert formatted.returncode == 0, formatted.stdout


def test_every_region_gets_the_image_repository(tree: Path, edited: EditedSettings) -> None:
    edited.add_region("us_west_2", network=1)
    _write(tree, "xylophone", "percussion")
    _, regions = edited.load()
    assert [region.shared.image_repositories[-1].name for region in regions] == ["xylophone", "xylophone"]


def test_several_services_can_be_created_in_turn(tree: Path) -> None:
    _write(tree, "xylophone", "percussion")
    _write(tree, "marimba", "percussion", "guestbook")
    _write(tree, "celesta", "keyboards", "xylophone")
    project = (tree / PROJECTS / "percussion.yaml").read_text()
    assert re.findall(r"namespace: (\S+)-ENVIRONMENT", project) == ["xylophone", "marimba"]
    assert re.findall(r"namespace: (\S+)-ENVIRONMENT", (tree / PROJECTS / "keyboards.yaml").read_text()) == ["celesta"]


# Validation

LONG = "a-service-with-a-name-that-says-too-much"
LONG_ROLE = f"ap-northeast-2-shared-push-{LONG}"
FORM = "use lower-case letters and digits, a letter first, with single hyphens between"


@pytest.mark.parametrize(
    ("new", "messages"),
    [
        (
            NewService(name="", team="", like="hello", repository_id=-1),
            [
                f"name: '': {FORM}",
                "team: '': every service needs an owner; name the team",
                f"like: 'hello': not a service with a base; use one of {', '.join(MODELS)}",
                "repository id: -1: must be positive; `gh api repos/OWNER/NAME --jq .id` prints it",
            ],
        ),
        *[
            (
                NewService(name=name, team="percussion"),
                [f"name: {name!r}: {FORM}"],
            )
            for name in (
                "Xylophone",
                "1xylophone",
                "xylophone-",
                "xylophone--marimba",
                "xylophone_marimba",
                "../xylophone",
                "xylophone\n",
            )
        ],
        (
            NewService(name="x", team="percussion"),
            ["name: 'x': too short for an image repository; use at least 2 characters"],
        ),
        (
            NewService(name="kyverno", team="percussion"),
            ["name: 'kyverno': its Applications would have the names of those of management/kyverno; choose another"],
        ),
        (NewService(name="true", team="percussion"), ["name: 'true': is a keyword in YAML; choose another"]),
        (
            NewService(name="argocd", team="percussion"),
            ["name: 'argocd': its host name is used by Argo CD; choose another"],
        ),
        (
            NewService(name=LONG, team="percussion"),
            [f"name: {LONG!r}: the IAM role {LONG_ROLE} has 67 characters, more than 64; choose a shorter one"],
        ),
        (
            NewService(name="bubblepool", team="bubble"),
            [
                "name: 'bubblepool': service/bubblepool exists already; choose another",
                f"name: 'bubblepool': {SHARED} has an image repository of this name; choose another",
            ],
        ),
        (
            NewService(name="xylophone", team="Percussion"),
            [f"team: 'Percussion': {FORM}, at most 63 characters"],
        ),
        (NewService(name="xylophone", team="on"), ["team: 'on': is a keyword in YAML; choose another"]),
        (
            NewService(name="xylophone", team="default"),
            ["team: 'default': is a project of Argo CD; choose another"],
        ),
        (
            NewService(name="xylophone", team="management"),
            ["team: 'management': is a project of the platform; choose another"],
        ),
        (
            NewService(name="xylophone", team="platform"),
            [f"team: 'platform': {RBAC}/policy.platform.csv has this name, but belongs to no team; choose another"],
        ),
    ],
    ids=lambda value: value.name if isinstance(value, NewService) else "",
)
def test_all_problems_are_reported_and_nothing_is_written(tree: Path, new: NewService, messages: list[str]) -> None:
    before = _files(tree)
    with pytest.raises(OperationError) as error:
        scaffold.write_service(tree, new, _regions(tree), print)
    assert str(error.value).splitlines() == messages
    assert _files(tree) == before


def test_rejects_settings_in_an_unsupported_format(tree: Path) -> None:
    settings = tree / SHARED
    settings.write_text(
        re.sub(r"image_repositories=\(\n.*?\n    \)", "image_repositories=()", settings.read_text(), flags=re.DOTALL)
    )
    with pytest.raises(OperationError) as error:
        _write(tree, "xylophone", "percussion")
    assert str(error.value) == f"{SHARED}: image_repositories: must have one entry per line; reformat them"


@pytest.mark.parametrize("text", ["* minji@example.com\n", None])
def test_rejects_code_owners_without_an_organisation(tree: Path, text: str | None) -> None:
    (tree / OWNERS).unlink()
    if text is not None:
        (tree / OWNERS).write_text(text)
    with pytest.raises(OperationError) as error:
        _write(tree, "xylophone", "percussion")
    assert str(error.value) == f"{OWNERS}: has no owner of everything; write a line such as `* @your-org/platform`"


def test_outside_of_the_repository_the_message_says_so(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match=r"has no service to copy; run this in the root of the repository$"):
        _write(tmp_path, "xylophone", "percussion")


def test_rejects_settings_and_files_that_cannot_be_read(tree: Path) -> None:
    (tree / PROJECTS / "bubble.yaml").write_bytes(b"\xff")
    with pytest.raises(OperationError, match=r"bubble\.yaml: cannot be read: .*; correct the file$"):
        _write(tree, "xylophone", "percussion")
    (tree / SHARED).write_text("SHARED = (\n")
    with pytest.raises(OperationError, match=r"shared\.py: line 1: .*; correct it$"):
        _write(tree, "xylophone", "percussion")


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (f"{PROJECTS}/bubble.yaml", "destinations: must have one entry per line; reformat them"),
        (
            "service/bubblepool/overlays/dev/application.yaml",
            "has no team; write the owner of the service, such as `team: bubble`",
        ),
    ],
)
def test_rejects_a_model_in_another_form(tree: Path, file: str, message: str) -> None:
    (tree / file).write_text("a: b\n")
    with pytest.raises(OperationError, match=re.escape(f"{file}: {message}")):
        _write(tree, "xylophone", "percussion")


@pytest.mark.parametrize("writable", [0, 1, 5, 20])
def test_an_interrupt_leaves_no_files_behind(tree: Path, writable: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before, folders = _files(tree), set(tree.rglob("*"))
    written = 0
    write_text = Path.write_text

    def fail(self: Path, *arguments: str, **keywords: str) -> int:
        nonlocal written
        written += 1
        if written > writable:
            write_text(self, "incomplete")
            raise KeyboardInterrupt
        return write_text(self, *arguments, **keywords)

    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(KeyboardInterrupt):
        _write(tree, "xylophone", "percussion")
    monkeypatch.undo()
    assert _files(tree) == before
    assert set(tree.rglob("*")) == folders


@pytest.mark.parametrize("name", ["xx", "shared", "backend", "default", "none", "class", "kube-system", "x" * 30])
def test_the_settings_accept_every_name_that_is_accepted(tree: Path, edited: EditedSettings, name: str) -> None:
    _write(tree, name, "percussion", repository_id=7)
    _, (region,) = edited.load()
    assert name in [repository.name for repository in region.shared.image_repositories]


# The command


def test_command_prints_the_files_and_the_next_steps(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    _write_platform(tree)
    before = set(_files(tree))
    done = CliRunner().invoke(app, ["service", "xylophone", "--team", "percussion"])
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert set(_files(tree)) - before <= set(lines)
    assert "  make snapshots    # accepts the new image repository in the stacks" in lines
    assert lines[-1].startswith("  gh api repos/OWNER/xylophone --jq .id ")


def test_command_reports_all_errors_and_exits_with_status_1(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    _write_platform(tree)
    done = CliRunner().invoke(app, ["service", "guestbook", "--team", ""])
    assert done.exit_code == 1
    assert done.stderr.splitlines()[0] == "error: name: 'guestbook': service/guestbook exists already; choose another"
    assert done.stderr.splitlines()[-1] == "error: team: '': every service needs an owner; name the team"
