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
from tests.stacks import write_output

RBAC = "management/argo-cd/manifests/rbac"
PROJECTS = "management/bootstrap/projects"
SHARED = "stacks/ap_northeast_2/shared.py"
MODELS = sorted(path.parent.name for path in ROOT.glob("service/*/base"))


# What is written here is named as hardly a service of ours, so that one which `make service` wrote is in nobody's way.


@pytest.fixture
def tree(tmp_path: Path, edited: EditedSettings) -> Path:
    """A copy of what the scaffold reads and writes; `edited` are its settings."""
    del edited
    for folder in ("management", "service"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def _files(tree: Path) -> dict[str, bytes]:
    return {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if path.is_file()}


def _write(tree: Path, name: str, team: str, like: str = "bubblepool", repository_id: int | None = None) -> None:
    new = NewService(name=name, team=team, like=like, repository_id=repository_id)
    scaffold.write_service(tree, new, _regions(tree), lambda _: None)


def _regions(tree: Path) -> list[Region]:
    """The regions of the copy."""
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
    """What `make synth` would have written into the copy."""
    (tree / "cdktf.out").mkdir()
    write_output(tree / "cdktf.out", [], _regions(tree))


def _added(tree: Path, file: str) -> list[str]:
    """The lines that a file has more than the committed one; none is gone."""
    before = (ROOT / file).read_text().splitlines()
    after = (tree / file).read_text().splitlines()
    added = list(after)
    for line in before:
        added.remove(line)
    return added


# What is written


@pytest.mark.parametrize(("like", "team"), [("bubblepool", "bubble"), ("guestbook", "guest")])
def test_shape_is_the_models_under_other_names_and_without_its_database(tree: Path, like: str, team: str) -> None:
    _write(tree, "xylophone", "percussion", like)
    model, ours = (tree / "service" / name for name in (like, "xylophone"))
    files = {path.relative_to(model) for path in model.rglob("*") if path.is_file()}
    assert {path.relative_to(ours) for path in ours.rglob("*") if path.is_file()} == {
        file for file in files if "database" not in file.parts
    }
    for file in ours.rglob("*"):
        if file.is_file():
            text = file.read_text()
            assert not re.search(rf"\b({like}|{team})\b", text)
            assert "components:" not in text
            theirs = (model / file.relative_to(ours)).read_text()
            back = re.sub(r"\bpercussion\b", team, re.sub(r"\bxylophone\b", like, text))
            changed = set(back.splitlines()) ^ set(theirs.splitlines())
            assert {line.lstrip("- ").partition(":")[0] for line in changed} <= {
                "components",
                "database",
                "../../base/database",
            }


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_application_names_the_team_and_the_host_and_no_database(tree: Path, environment: str) -> None:
    _write(tree, "xylophone", "percussion")
    marker = tree / "service" / "xylophone" / "overlays" / environment / "application.yaml"
    assert marker.read_text() == f'team: percussion\nhost: xylophone-{environment}\ndatabase: ""\n'


def test_image_is_an_example_whatever_the_model_runs(tree: Path) -> None:
    overlay = Path("overlays", "prod", "kustomization.yaml")
    model = tree / "service" / "bubblepool" / overlay
    delivered = model.read_text().replace("0" * 64, "1" * 64).replace("0.0.0-example", "1.2.3")
    assert delivered != model.read_text()
    model.write_text(delivered)
    _write(tree, "xylophone", "percussion")
    text = (tree / "service" / "xylophone" / overlay).read_text()
    assert f"- digest: sha256:{'0' * 64}\n  name: xylophone\n  newName: xylophone\n  newTag: 0.0.0-example\n" in text


def test_a_new_team_gets_a_project_for_this_service_alone(tree: Path) -> None:
    _write(tree, "xylophone", "percussion")
    project = (tree / PROJECTS / "percussion.yaml").read_text()
    assert "  name: percussion\n" in project
    assert re.findall(r"namespace: (\S+)", project) == [
        "argocd",
        "xylophone-dev",
        "xylophone-staging",
        "xylophone-prod",
    ]
    model = (ROOT / PROJECTS / "bubble.yaml").read_text()
    assert project.partition("clusterResourceWhitelist")[2] == model.partition("clusterResourceWhitelist")[2]


def test_a_new_team_gets_the_rights_of_a_team(tree: Path) -> None:
    _write(tree, "xylophone", "percussion")
    rights = (tree / RBAC / "policy.percussion.csv").read_text()
    assert "p, role:percussion-developer, applications, sync, percussion/*-dev, allow\n" in rights
    assert rights == re.sub(r"\bbubble\b", "percussion", (ROOT / RBAC / "policy.bubble.csv").read_text())
    assert _added(tree, f"{RBAC}/kustomization.yaml") == ["      - policy.percussion.csv"]


def test_lists_stay_in_order(tree: Path) -> None:
    _write(tree, "xylophone", "brass")
    listed = re.findall(r"- (policy\.\w+\.csv)", (tree / RBAC / "kustomization.yaml").read_text())
    assert "policy.brass.csv" in listed
    assert listed == sorted(listed)


def test_a_team_that_exists_gets_three_destinations_more(tree: Path) -> None:
    _write(tree, "xylophone", "guest")
    assert _added(tree, f"{PROJECTS}/guest.yaml") == [
        line
        for environment in ("dev", "staging", "prod")
        for line in (f"    - namespace: xylophone-{environment}", "      server: https://kubernetes.default.svc")
    ]
    assert not (tree / PROJECTS / "percussion.yaml").exists()
    assert _added(tree, f"{RBAC}/kustomization.yaml") == []
    assert "part-of: guest" in (tree / "service" / "xylophone" / "base" / "kustomization.yaml").read_text()


@pytest.mark.parametrize("name", ["xylophone", "a-service-with-as-long-a-name-as-fits"])
@pytest.mark.parametrize("repository_id", [None, 1234567890])
def test_settings_with_the_image_repository_load_and_are_formatted(
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


def test_one_service_after_the_other_can_be_written(tree: Path) -> None:
    _write(tree, "xylophone", "percussion")
    _write(tree, "marimba", "percussion", "guestbook")
    _write(tree, "celesta", "keyboards", "xylophone")
    project = (tree / PROJECTS / "percussion.yaml").read_text()
    assert re.findall(r"namespace: (\S+)-dev", project) == ["xylophone", "marimba"]
    assert re.findall(r"namespace: (\S+)-dev", (tree / PROJECTS / "keyboards.yaml").read_text()) == ["celesta"]


# What is refused

LONG = "a-service-with-a-name-that-says-too-much"
LONG_ROLE = f"ap-northeast-2-shared-push-{LONG}"
FORM = "use lower-case letters and digits, a letter first, with single hyphens between"


@pytest.mark.parametrize(
    ("new", "told"),
    [
        (
            NewService(name="", team="", like="hello", repository_id=-1),
            [
                f"name: '': {FORM}",
                "team: '': every service has an owner; name the team",
                f"like: 'hello': no service with a base; use one of {', '.join(MODELS)}",
                "repository id: -1: GitHub counts from 1; `gh api repos/OWNER/NAME --jq .id` prints it",
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
        (NewService(name="true", team="percussion"), ["name: 'true': YAML takes it for another value; choose another"]),
        (NewService(name="argocd", team="percussion"), ["name: 'argocd': Argo CD has its host; choose another"]),
        (
            NewService(name=LONG, team="percussion"),
            [f"name: {LONG!r}: the IAM role {LONG_ROLE} has 67 characters, not 64; choose a shorter one"],
        ),
        (
            NewService(name="bubblepool", team="bubble"),
            [
                "name: 'bubblepool': service/bubblepool exists; choose another",
                f"name: 'bubblepool': {SHARED} has an image repository of this name; choose another",
            ],
        ),
        (
            NewService(name="xylophone", team="Percussion"),
            [f"team: 'Percussion': {FORM}, 63 at most"],
        ),
        (NewService(name="xylophone", team="on"), ["team: 'on': YAML takes it for another value; choose another"]),
        (
            NewService(name="xylophone", team="default"),
            ["team: 'default': Argo CD has a project of this name; choose another"],
        ),
        (
            NewService(name="xylophone", team="management"),
            ["team: 'management': the platform has this project; choose another"],
        ),
        (
            NewService(name="xylophone", team="platform"),
            [f"team: 'platform': {RBAC}/policy.platform.csv is named so, and of no team; choose another"],
        ),
    ],
    ids=lambda value: value.name if isinstance(value, NewService) else "",
)
def test_everything_that_is_in_the_way_is_told_and_nothing_written(
    tree: Path, new: NewService, told: list[str]
) -> None:
    before = _files(tree)
    with pytest.raises(OperationError) as refused:
        scaffold.write_service(tree, new, _regions(tree), print)
    assert str(refused.value).splitlines() == told
    assert _files(tree) == before


def test_settings_that_it_cannot_add_to_are_refused(tree: Path) -> None:
    settings = tree / SHARED
    settings.write_text(
        re.sub(r"image_repositories=\(\n.*?\n    \)", "image_repositories=()", settings.read_text(), flags=re.DOTALL)
    )
    with pytest.raises(OperationError) as refused:
        _write(tree, "xylophone", "percussion")
    assert str(refused.value) == f"{SHARED}: image_repositories: not one entry below the other; write them so"


@pytest.mark.parametrize("writable", [0, 1, 5, 20])
def test_whatever_stops_it_leaves_nothing_behind(tree: Path, writable: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before, folders = _files(tree), set(tree.rglob("*"))
    written = 0
    write_text = Path.write_text

    def fail(self: Path, *arguments: str, **keywords: str) -> int:
        nonlocal written
        written += 1
        if written > writable:
            write_text(self, "half of it")
            raise KeyboardInterrupt
        return write_text(self, *arguments, **keywords)

    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(KeyboardInterrupt):
        _write(tree, "xylophone", "percussion")
    monkeypatch.undo()
    assert _files(tree) == before
    assert set(tree.rglob("*")) == folders


# The command


def test_command_says_what_it_wrote_and_what_comes_next(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    _write_platform(tree)
    before = set(_files(tree))
    done = CliRunner().invoke(app, ["service", "xylophone", "--team", "percussion"])
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert set(_files(tree)) - before <= set(lines)
    assert "  make snapshots    # the image repository is new in the stacks" in lines
    assert lines[-1].startswith("  gh api repos/OWNER/xylophone --jq .id ")


def test_command_ends_with_an_error_that_people_can_read(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    _write_platform(tree)
    done = CliRunner().invoke(app, ["service", "guestbook", "--team", ""])
    assert done.exit_code == 1
    assert done.stderr.splitlines()[0] == "error: name: 'guestbook': service/guestbook exists; choose another"
    assert done.stderr.splitlines()[-1] == "error: team: '': every service has an owner; name the team"
