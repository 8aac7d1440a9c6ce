import re
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from operations.errors import OperationError
from operations.repository import all_or_nothing, environments
from operations.repository.environments import NewEnvironment
from operations.terraform.stacks import Region
from tests import ROOT
from tests.edited_settings import EXAMPLE

COPIED = ("service", "management/argo-cd", ".github", "scanner-exceptions.toml")
SEOUL = Region("ap-northeast-2", "stacks/ap_northeast_2/shared.py", ("dev", "staging", "prod"), "push-")
WORKFLOW = ".github/workflows/deploy.yaml"
OTHER_JOBS = (("frozen", ""), ("announced", "    needs: [prod-cluster]\n"))


# The name of the new environment is unlikely, so that it does not conflict with one of the repository.


def copy_of_repository(folder: Path) -> Path:
    """The files that the commands for environments and regions read and write, with the example settings."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    shutil.copytree(EXAMPLE / "stacks", folder / "stacks")
    (folder / "stacks/regions.py").write_text('REGIONS = ("stacks.ap_northeast_2",)\n')
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return copy_of_repository(tmp_path)


def contents(tree: Path) -> dict[str, str]:
    return {str(path.relative_to(tree)): path.read_text() for path in tree.rglob("*") if path.is_file()}


def _apply(tree: Path, files: environments.Files) -> None:
    all_or_nothing.write_files({tree / path: text for path, text in files.items()})


def _add(tree: Path, like: str = "staging", *regions: Region) -> None:
    new = NewEnvironment(name="quokka", like=like, region=SEOUL.name)
    _apply(tree, environments.with_environment(tree, new, regions or [SEOUL]))


def _jobs(tree: Path) -> dict[str, str]:
    """The jobs of the deploy workflow by name, and what each waits for."""
    jobs = (tree / WORKFLOW).read_text().split("\njobs:\n")[1]
    return dict(re.findall(r"^  ([a-z0-9-]+):\n(?:    (?!needs).*\n)*    needs: \[(.*)\]$", jobs, re.MULTILINE))


@pytest.mark.parametrize("like", SEOUL.environments)
def test_an_added_environment_can_be_removed_again_without_a_trace(tree: Path, like: str) -> None:
    before = contents(tree)
    _add(tree, like)
    assert contents(tree) != before
    known = replace(SEOUL, environments=[*SEOUL.environments, "quokka"])
    _apply(tree, environments.without_environment(tree, "quokka", "", [known]))
    assert contents(tree) == before
    assert not list(tree.glob("service/*/overlays/quokka"))


def test_the_settings_are_a_copy_with_the_new_name(tree: Path) -> None:
    _add(tree)
    settings = (tree / "stacks/ap_northeast_2/quokka.py").read_text()
    for text in ("QUOKKA = Env", 'name="gitops-cluster-quokka"', 'domain=f"argocd.quokka.{OWNER.domain}"'):
        assert text in settings
    assert "staging" not in settings.lower()
    package = (tree / "stacks/ap_northeast_2/__init__.py").read_text()
    assert 'ENVIRONMENTS = ("dev", "staging", "quokka", "prod")' in package


def test_services_run_in_it_as_in_the_copied_one(tree: Path) -> None:
    _add(tree)
    for copied in tree.glob("service/*/overlays/staging/*"):
        text = (copied.parents[1] / "quokka" / copied.name).read_text()
        assert text == copied.read_text().replace("staging", "quokka")
    assert not (tree / "service/hello/overlays/quokka").exists()


def test_teams_may_do_the_same_in_it(tree: Path) -> None:
    _add(tree)
    for policy in tree.glob("management/argo-cd/manifests/rbac/policy.*.csv"):
        lines = policy.read_text().splitlines()
        of_model = [line for line in lines if "*-staging" in line]
        assert [line for line in lines if "*-quokka" in line] == [
            line.replace("staging", "quokka") for line in of_model
        ]


def test_the_owners_of_an_overlay_own_its_copy(tree: Path) -> None:
    owners = tree / ".github/CODEOWNERS"
    owners.write_text(owners.read_text() + "/service/*/overlays/staging/ @your-org/testers\n# overlays/staging\n")
    _add(tree)
    assert owners.read_text().splitlines()[-3:] == [
        "/service/*/overlays/staging/ @your-org/testers",
        "/service/*/overlays/quokka/ @your-org/testers",
        "# overlays/staging",
    ]


def test_only_the_environment_of_a_line_is_renamed(tree: Path) -> None:
    """A team, its project and its role may have the name of an environment. The last line may lack its end."""
    policy, owners = tree / "management/argo-cd/manifests/rbac/policy.staging.csv", tree / ".github/CODEOWNERS"
    policy.write_text("p, role:staging, applications, sync, staging/*-staging, allow")
    owners.write_text("/service/*/overlays/staging/ @your-org/staging-reviewers")
    before = contents(tree)
    _add(tree)
    for file in (policy, owners):
        original = before[str(file.relative_to(tree))]
        copy = original.replace("*-staging", "*-quokka").replace("overlays/staging", "overlays/quokka")
        assert file.read_text() == f"{original}\n{copy}"
    known = replace(SEOUL, environments=[*SEOUL.environments, "quokka"])
    _apply(tree, environments.without_environment(tree, "quokka", "", [known]))
    assert owners.read_text() == "/service/*/overlays/staging/ @your-org/staging-reviewers\n"


@pytest.mark.parametrize(("like", "following"), [("dev", "staging"), ("staging", "prod"), ("prod", None)])
def test_it_is_deployed_after_the_copied_one_and_before_the_next(tree: Path, like: str, following: str | None) -> None:
    before = _jobs(tree)
    _add(tree, like)
    jobs = _jobs(tree)
    order = ["reviewed", *jobs]
    place = order.index(f"{like}-cluster")
    assert order[place + 1 : place + 3] == ["quokka", "quokka-cluster"]
    for number, job in enumerate(order[1:], 1):
        assert jobs[job].split(", ") == order[:number]
    if following is not None:
        assert "quokka-cluster" in jobs[following]
    assert [name for name in jobs if not name.startswith("quokka")] == list(before)
    text = (tree / WORKFLOW).read_text()
    assert text.count("environment: quokka\n") == 2
    assert ".quokka.aws" in text
    assert ".quokka.cluster" in text


def test_other_jobs_of_the_workflow_stay_as_they_are(tree: Path) -> None:
    file = tree / WORKFLOW
    text = file.read_text().replace("  shared:\n    needs: [reviewed]", "  shared:\n    needs: [reviewed, frozen]")
    frozen, announced = (f"  {name}:\n{needs}    runs-on: ubuntu-24.04\n    steps: []\n" for name, needs in OTHER_JOBS)
    file.write_text(f"{text.replace('  shared:', f'{frozen}{chr(10)}  shared:', 1)}\n{announced}")
    before = contents(tree)
    _add(tree, "prod")
    jobs = _jobs(tree)
    assert jobs["shared"] == "reviewed, frozen"
    assert jobs["dev"] == "reviewed, shared"
    assert jobs["announced"] == "prod-cluster"
    assert jobs["quokka"].endswith("prod, prod-cluster")
    known = replace(SEOUL, environments=[*SEOUL.environments, "quokka"])
    _apply(tree, environments.without_environment(tree, "quokka", "", [known]))
    assert contents(tree) == before
    _apply(tree, environments.without_environment(tree, "prod", "", [SEOUL]))
    assert _jobs(tree)["announced"] == ""


def test_exceptions_of_the_scanner_are_copied(tree: Path) -> None:
    file = tree / "scanner-exceptions.toml"
    before = file.read_text()
    _add(tree)
    assert before.count('stack = "*-staging"') == file.read_text().count('stack = "*-quokka"') > 0
    assert file.read_text().count("\n\n\n") == 0


@pytest.mark.parametrize("end", ["\n", ""])
def test_the_last_exceptions_of_the_scanner_are_copied_and_removed(tree: Path, end: str) -> None:
    file = tree / "scanner-exceptions.toml"
    last = [f'\n[[exception]]\nstack = "*-prod"\nwhy = "prod {number}"\n' for number in (1, 2)]
    text = "".join([file.read_text(), *last])
    file.write_text(text.removesuffix("\n") + end)
    _add(tree, "prod")
    whys = [one["why"] for one in tomllib.loads(file.read_text())["exception"]]
    assert whys[-4:] == ["prod 1", "quokka 1", "prod 2", "quokka 2"]
    known = replace(SEOUL, environments=[*SEOUL.environments, "quokka"])
    _apply(tree, environments.without_environment(tree, "quokka", "", [known]))
    assert file.read_text() == text


def test_what_another_region_has_already_stays(tree: Path) -> None:
    """Overlays, permissions and jobs are those of all environments of one name."""
    workflow = tree / WORKFLOW
    workflow.write_text(workflow.read_text().replace("[reviewed, shared, dev", "[reviewed, shared, quokka, dev"))
    before = contents(tree)
    other = replace(SEOUL, name="us-west-2", environments=["quokka"])
    _add(tree, "prod", SEOUL, other)
    changed = {name for name, text in contents(tree).items() if before.get(name) != text}
    assert changed == {"stacks/ap_northeast_2/quokka.py", "stacks/ap_northeast_2/__init__.py"}


def test_removing_one_keeps_what_another_region_needs(tree: Path) -> None:
    other = replace(SEOUL, name="us-west-2", environments=["staging"])
    files = environments.without_environment(tree, "staging", SEOUL.name, [SEOUL, other])
    assert files.keys() == {Path("stacks/ap_northeast_2/staging.py"), Path("stacks/ap_northeast_2/__init__.py")}
    files = environments.without_environment(tree, "staging", SEOUL.name, [SEOUL])
    assert Path(WORKFLOW) in files


def test_a_repository_without_services_and_workflows_gets_only_settings(tree: Path) -> None:
    for name in ("service", "management", ".github"):
        shutil.rmtree(tree / name)
    (tree / "scanner-exceptions.toml").unlink()
    before = contents(tree)
    _add(tree)
    assert contents(tree).keys() - before.keys() == {"stacks/ap_northeast_2/quokka.py"}


def test_only_whole_words_are_renamed() -> None:
    text = "dev devops /dev/xvda x-dev argocd.dev.example ap/dev/secret DEV my_dev"
    assert environments.renamed(text, {"dev": "qa", "DEV": "QA"}) == (
        "qa devops /dev/xvda x-qa argocd.qa.example ap/qa/secret QA my_dev"
    )


@pytest.mark.parametrize(
    "host", ["https://dev.azure.com/", "git@ssh.dev.azure.com:v3/", "https://pkg.go.dev/", "https://go.dev"]
)
def test_hosts_of_others_are_not_renamed(host: str) -> None:
    assert environments.renamed(f"dev {host}", {"dev": "qa"}) == f"qa {host}"


@pytest.mark.parametrize(
    "text", ["https://argocd.dev.example.com", "https://dev.{OWNER.domain}", "stacks.region.dev import"]
)
def test_own_hosts_and_modules_are_renamed(text: str) -> None:
    assert environments.renamed(text, {"dev": "qa"}) == text.replace("dev", "qa")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "name: '': use lower-case letters and digits, a letter first, and no word of Python"),
        ("Qa", "name: 'Qa': use lower-case"),
        ("pre-prod", "name: 'pre-prod': use lower-case"),
        ("class", "name: 'class': use lower-case"),
        ("no", "name: 'no': is a keyword in YAML; choose another"),
        *(
            (word, f"name: '{word}': dev has this word in its settings or deploy jobs, and a copy would rename it")
            for word in ("main", "cluster", "bubblepool", "f", "os", "owner", "matrix")
        ),
        ("shared", "name: 'shared': is a stack of the region; choose another"),
        ("plan", "name: 'plan': is the GitHub environment of plans; choose another"),
        ("delivery", "name: 'delivery': is the GitHub environment of the GitHub App; choose another"),
        ("reviewed", "name: 'reviewed': is a job of .github/workflows/deploy.yaml; choose another"),
        ("prod", "name: 'prod': ap-northeast-2 has this environment already; choose another"),
        ("leftover", "name: 'leftover': stacks/ap_northeast_2/leftover.py exists already; choose another"),
    ],
)
def test_an_unsuitable_name_is_refused(tree: Path, name: str, message: str) -> None:
    (tree / "stacks/ap_northeast_2/leftover.py").touch()
    with pytest.raises(OperationError, match=f"^{re.escape(message)}"):
        environments.with_environment(tree, NewEnvironment(name=name, like="dev"), [SEOUL])


@pytest.mark.parametrize("like", ["live", r"\Z", "(", ".+"])
def test_all_problems_are_reported_at_once(tree: Path, like: str) -> None:
    with pytest.raises(OperationError) as error:
        environments.with_environment(tree, NewEnvironment(name="prod", like=like), [SEOUL])
    assert str(error.value).splitlines() == [
        "name: 'prod': ap-northeast-2 has this environment already; choose another",
        f"like: {like!r}: no environment of ap-northeast-2; use one of dev, staging, prod",
    ]


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ("", "region: '': not named; use one of ap-northeast-2, us-west-2"),
        ("mars", "region: 'mars': not a region of this platform; use one of ap-northeast-2, us-west-2"),
    ],
)
def test_the_region_must_be_known(tree: Path, region: str, message: str) -> None:
    known = [SEOUL, replace(SEOUL, name="us-west-2")]
    with pytest.raises(OperationError, match=f"^{re.escape(message)}$"):
        environments.with_environment(tree, NewEnvironment(name="quokka", like="dev", region=region), known)
    with pytest.raises(OperationError, match=f"^{re.escape(message)}$"):
        environments.without_environment(tree, "dev", region, known)


@pytest.mark.parametrize(
    ("name", "environments_", "message"),
    [
        ("qa", ("dev",), "name: 'qa': no environment of ap-northeast-2; use one of dev"),
        (
            "dev",
            ("dev",),
            "name: 'dev': the only environment of ap-northeast-2; remove the region: make region REMOVE=1",
        ),
    ],
)
def test_what_cannot_be_removed(tree: Path, name: str, environments_: tuple[str, ...], message: str) -> None:
    with pytest.raises(OperationError, match=f"^{re.escape(message)}$"):
        environments.without_environment(tree, name, "", [replace(SEOUL, environments=environments_)])


def test_jobs_that_could_not_wait_for_each_other_are_refused(tree: Path) -> None:
    workflow = tree / WORKFLOW
    text = workflow.read_text()
    workflow.write_text(
        re.sub(r"(\n  staging:\n(?:    .*\n)*?    needs:) \[reviewed, (.*)\]", r"\1\n      - reviewed", text)
    )
    before = contents(tree)
    assert before[WORKFLOW] != text
    with pytest.raises(
        OperationError, match=rf"^{re.escape(WORKFLOW)}: staging: needs: not on one line; write it as \[a, b\]$"
    ):
        _add(tree)
    assert contents(tree) == before
