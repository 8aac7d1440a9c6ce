"""Writes `docs/compatibility.md`: what the project was run with, and the outcome. Run it with `make compatibility`.

`make compatibility ONLY="Python 3.12"` runs some rows only, which must then run; the others stay as they are. With
`--sample`, as `make test` calls it, it runs a short form and does not write the page.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from operations.clients import process
from operations.errors import OperationError
from operations.local import aws_provider
from operations.terraform import program
from tests import HELM, ROOT
from tests.cdktn.check import PYTHON as _CDKTN

PAGE = ROOT / "docs" / "compatibility.md"
_ENVIRONMENTS = ROOT / ".compatibility"
"""The virtual environments of other Pythons, which are made again if `Pipfile.lock` changes."""
_NODE_PTY = ROOT / "node_modules/@cdktf/node-pty-prebuilt-multiarch/prebuilds"
_SYNTHESIZED = ("manifest.json", "platform.json", "stacks/*/cdk.tf.json")
_PYTHONS = (11, 12, 13, 14)
_NODES = {20: 115, 22: 127, 24: 137}
"""Versions of Node, each with that of its binary interface: https://nodejs.org/en/about/previous-releases"""
_PROGRAMS = ("terraform", "tofu", "helm")
_OLDEST = "1.11."
"""The oldest Terraform that the stacks accept."""

_PYTHON_TESTS = ("--dist", "loadfile", "tests/unit", "tests/snapshot", "-m", "not slow and not terraform")
_TERRAFORM_TESTS = (
    *("--dist", "loadgroup", "tests/terraform"),
    *("tests/e2e/test_deploy.py", "tests/e2e/test_drift.py", "tests/e2e/test_local.py"),
)
_TERRAFORM_SAMPLE = ("tests/terraform/test_plans.py",)
_HELM_TESTS = ("tests/gitops/test_chart.py",)

_INTRODUCTION = """\
# Compatibility

What this project was run with, and the outcome. `make compatibility` runs it with what is installed on your machine,
and writes this page; `make test` runs a sample. The workflow `check` runs the rows of other Pythons, of Node 22, of the
newest Terraform and of OpenTofu; its jobs `cdk-terrain` and `test` run CDK Terrain and Terraform 1.11.

- **Python**: the stacks are synthesized to the same bytes as with the Python of `.venv`; unit tests and snapshots pass.
- **Node**: the command line of CDKTF synthesizes the stacks to the same bytes.
- **Terraform, OpenTofu**: `tests/terraform` passes; in `tests/e2e` the deploys, the drift and the local platform pass.
- **CDK Terrain**: `make cdktn-check` passes ([what it compares](leaving-cdktf.md#what-is-checked)).
- **Helm**: the chart `helm/my-app` renders the same objects, and its other tests pass.

"""
_HEADER = ["| with | version | outcome | minutes | date |", "| --- | --- | --- | --- | --- |"]


class NotRunError(Exception):
    """Why something cannot be run here."""


class FailedError(Exception):
    """What is wrong with a version."""


class Check(NamedTuple):
    """A row of the page. `run` takes `is_sample`, whether to run the short form, and returns the version that ran."""

    name: str
    run: Callable[..., str]
    in_sample: bool = True
    """Whether it belongs to the sample, which leaves out what `make test` runs anyway."""


class Outcome(NamedTuple):
    """What the page says of a check."""

    version: str
    text: str
    minutes: float


def checks(programs: Sequence[Path]) -> list[Check]:
    """All rows. `programs` are Terraform, OpenTofu and Helm, in any versions; Helm by its name."""
    helms = [path for path in programs if path.name.startswith("helm")]
    versions = {path: _version(path) for path in programs if path not in helms}
    old = {path for path, (_, number) in versions.items() if number.startswith(_OLDEST)}
    terraform, opentofu = (
        {path for path, (of, _) in versions.items() if of == product} for product in ("Terraform", "OpenTofu")
    )
    rows = {"Terraform 1.11": terraform & old, "Terraform, newest": terraform - old, "OpenTofu, newest": opentofu}
    chosen = {
        name: max(found, key=lambda path: _numbers(versions[path].number), default=None) for name, found in rows.items()
    }
    own = Path(shutil.which(program.name()) or "")
    helm = next((path for path in helms if _helm_version(path).startswith("4.")), None)
    pythons = [minor for minor in _PYTHONS if minor != sys.version_info.minor and _python(minor)]
    return [
        *(
            Check(f"Python 3.{minor}", partial(_check_python, minor), in_sample=minor in pythons[-1:])
            for minor in _PYTHONS
        ),
        *(Check(f"Node {major}", partial(_check_node, major), major != _major(_node("node"))) for major in _NODES),
        *(Check(name, partial(_check_terraform, path), path not in {None, own}) for name, path in chosen.items()),
        Check("CDK Terrain", _check_cdktn, in_sample=False),
        Check("Helm 4", partial(_check_helm, helm), in_sample=helm is not None),
    ]


def _check_python(minor: int, *, is_sample: bool) -> str:
    python = sys.executable
    if minor != sys.version_info.minor:
        found = _python(minor)
        if found is None:
            raise NotRunError(f"python3.{minor} is neither on the PATH nor installed by pyenv")
        python = _environment(found, is_sample=is_sample)
    _require_same_bytes([python, "main.py"], {})
    if not is_sample:
        _require_tests([python, "-m", "pytest"], _PYTHON_TESTS)
    return _printed(python, "--version").split()[1]


def _python(minor: int) -> str | None:
    """The path of a Python that works: by its name, or of pyenv; None without one."""
    below = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    named = shutil.which(f"python3.{minor}")
    for path in [*([named] if named else []), *map(str, below.glob(f"3.{minor}.*/bin/python"))]:
        if subprocess.run([path, "--version"], check=False, capture_output=True).returncode == 0:
            return path
    return None


def _environment(python: str, *, is_sample: bool) -> str:
    """The Python of a virtual environment with the locked packages; for a sample, those of the product only."""
    lock = (ROOT / "Pipfile.lock").read_text(encoding="utf-8")
    sections = ("default",) if is_sample else ("default", "develop")
    content = f"{python} {sections} {hashlib.sha256(lock.encode()).hexdigest()}"
    folder = _ENVIRONMENTS / f"{_printed(python, '--version').split()[1]}-{sections[-1]}"
    installed = folder / ".installed"
    if not installed.is_file() or installed.read_text(encoding="utf-8") != content:
        _run([python, "-m", "venv", "--clear", str(folder)])
        requirements = folder / "requirements.txt"
        requirements.write_text("\n".join(locked(json.loads(lock), sections)), encoding="utf-8")
        pip = (str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--no-compile")
        _run([*pip, "--no-deps", "--require-hashes", "--requirement", str(requirements)])
        installed.write_text(content, encoding="utf-8")
    return str(folder / "bin/python")


def locked(lock: Mapping[str, Mapping[str, Mapping[str, object]]], sections: Sequence[str]) -> Iterator[str]:
    """The lines of a requirements file with the versions and hashes of a `Pipfile.lock`, without the local package."""
    for name, entry in {name: entry for section in sections for name, entry in lock[section].items()}.items():
        if "version" in entry:
            hashes = " ".join(f"--hash={one}" for one in entry["hashes"])  # type: ignore[attr-defined]
            markers = f" ; {entry['markers']}" if "markers" in entry else ""
            yield f"{name}{entry['version']}{markers} {hashes}"


def _check_node(major: int, *, is_sample: bool) -> str:  # noqa: ARG001 (the short form is the same)
    abi = _NODES[major]
    if not list(_NODE_PTY.glob(f"*/node.abi{abi}.node")):
        raise NotRunError(f"node-pty of the command line of CDKTF has no program for it (node.abi{abi}.node)")
    found = [node for name in _on_path("node") if _major(node := _node(str(name))) == major]
    if not found:
        raise NotRunError("no such Node on the PATH")
    path, version = found[0]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "node").symlink_to(path)
        environment = {"PATH": f"{folder}:{os.environ['PATH']}", "CDKTF_SKIP_PROVIDER_LOCK": "true"}
        cdktf = str((ROOT / "node_modules/.bin/cdktf").resolve())
        _require_same_bytes([path, cdktf, "synth"], environment, option="--output")
    return version


def _node(name: str) -> tuple[str, str]:
    """The path and the version of a Node; empty without one."""
    path = shutil.which(name)
    return (path, _printed(path, "--version").strip().removeprefix("v")) if path else ("", "")


def _major(node: tuple[str, str]) -> int | None:
    return int(node[1].partition(".")[0]) if node[1] else None


def _check_terraform(path: Path | None, *, is_sample: bool) -> str:
    if path is None:
        raise NotRunError("none on the PATH; name one: make compatibility PROGRAMS=PATH")
    product, number = _version(path)
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, {program.VARIABLE: str(path)}):
        if product == "OpenTofu":
            os.environ.update(mirrored(Path(folder)))
        tests = _TERRAFORM_SAMPLE if is_sample else _TERRAFORM_TESTS
        _require_tests([sys.executable, "-m", "pytest"], tests, {"INSIST_ON_TERRAFORM": "1"})
    return number


def _check_cdktn(*, is_sample: bool) -> str:  # noqa: ARG001 (it belongs to no sample)
    if not _CDKTN.is_file():
        raise NotRunError("not installed; run: make cdktn-check")
    _run([sys.executable, "-m", "tests.cdktn.check"])
    return _printed(str(_CDKTN), "-c", "from importlib.metadata import version; print(version('cdktn'))").strip()


def _check_helm(path: Path | None, *, is_sample: bool) -> str:  # noqa: ARG001 (the short form is the same)
    if path is None:
        raise NotRunError("none on the PATH; name one: make compatibility PROGRAMS=PATH")
    _require_tests([sys.executable, "-m", "pytest"], _HELM_TESTS, {HELM: str(path)})
    return _helm_version(path)


def _helm_version(path: Path) -> str:
    return process.output(str(path), "version", "--template", "{{.Version}}").strip().removeprefix("v")


def mirrored(folder: Path) -> dict[str, str]:
    """The variables with which OpenTofu uses the same filesystem mirror of providers as Terraform.

    Without a mirror, it downloads them. In a mirror, it looks for them below the name of its own registry.
    """
    file = Path(os.environ.get("TF_CLI_CONFIG_FILE") or Path.home() / ".terraformrc")
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    path = re.search(r'filesystem_mirror\s*{\s*path\s*=\s*"([^"]+)"', text)
    if path is None or (Path(path[1]) / "registry.opentofu.org").is_dir():
        return {}
    source, own = Path(path[1]) / "registry.terraform.io", folder / "registry.opentofu.org"
    shutil.copytree(source, own, copy_function=_link)
    config = folder / "tofurc"
    config.write_text(text.replace(path[1], str(folder)), encoding="utf-8")
    return {"TF_CLI_CONFIG_FILE": str(config)}


def _link(source: str, target: str) -> None:
    """Link a provider, which is hundreds of megabytes; copy it from another file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _version(path: Path) -> program.Version:
    with mock.patch.dict(os.environ, {program.VARIABLE: str(path)}):
        return program.version()


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def _on_path(name: str) -> list[Path]:
    folders = [Path(folder) for folder in os.environ["PATH"].split(os.pathsep)]
    return [folder / name for folder in dict.fromkeys(folders) if os.access(folder / name, os.X_OK)]


def _require_same_bytes(command: Sequence[str], environment: Mapping[str, str], option: str = "") -> None:
    """Require that a command synthesizes the same files as the Python of this process."""
    reference, found = _reference(), synthesized(command, environment, option)
    different = sorted(name for name in reference.keys() | found.keys() if reference.get(name) != found.get(name))
    if different:
        raise FailedError(f"synthesizes another {', '.join(different)}")


@cache
def _reference() -> dict[str, bytes]:
    return synthesized([sys.executable, "main.py"], {})


def synthesized(command: Sequence[str], environment: Mapping[str, str], option: str = "") -> dict[str, bytes]:
    """The files that a command writes into a folder, which `option` or an environment variable names."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [option, folder] if option else []
        _run([*command, *arguments], {"CDKTF_OUTDIR": folder, **environment})
        files = [file for pattern in _SYNTHESIZED for file in sorted(Path(folder).glob(pattern))]
        if not files:
            raise FailedError(f"{Path(command[0]).name} {' '.join(command[1:])}: wrote no stacks")
        return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def _require_tests(pytest: Sequence[str], tests: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    _run([*pytest, "-q", "--numprocesses", "auto", *tests], environment or {})


def _run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    """Run a command that must succeed."""
    paths = f"{ROOT / 'constructs'}:{ROOT}"
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        print(done.stdout, file=sys.stderr)
        failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
        last = done.stdout.strip().splitlines()[-1:]
        raise FailedError(f"{Path(command[0]).name} {' '.join(command[1:3])}: {(failed or last or ['no output'])[0]}")


def _printed(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def outcome(check: Check, *, is_sample: bool = False) -> Outcome:
    """Run a check."""
    started, version = time.monotonic(), ""
    try:
        version, text = check.run(is_sample=is_sample), "passed"
    except NotRunError as error:
        text = f"not run: {error}"
    except FailedError as error:
        text = f"**failed**: {error}"
    return Outcome(version, text, (time.monotonic() - started) / 60)


def row(name: str, found: Outcome, date: datetime) -> str:
    """The row of a check."""
    minutes = f"{found.minutes:.0f}" if found.version else ""
    cells = [name, found.version, found.text.replace("|", r"\|"), minutes, f"{date:%Y-%m-%d}"]
    return f"| {' | '.join(cells)} |".replace("  ", " ")


def page(rows: Sequence[str]) -> str:
    """The whole page."""
    reference = (
        f"The same bytes as with Python {platform.python_version()} and Node {_node('node')[1]}; "
        f"the emulated AWS has the AWS provider {aws_provider.version()}."
    )
    return _INTRODUCTION + "\n".join([reference, "", *_HEADER, *rows]) + "\n"


def _write(new: dict[str, str], every: Sequence[Check]) -> None:
    """Write the page with new rows; the others stay as they are, and one that was never run says so."""
    known = PAGE.read_text(encoding="utf-8").splitlines() if PAGE.is_file() else []
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in known} | new
    unknown = "| {} | | not run yet | | |"
    lines = [rows.get(one.name, unknown.format(one.name)) for one in every]
    PAGE.write_text(page(lines), encoding="utf-8")


def main() -> int:
    """Run the checks, and write the page. Returns whether one failed, or did not run although it was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.compatibility", description=main.__doc__)
    parser.add_argument("--sample", action="store_true", help="run a short form, without what `make test` runs anyway")
    parser.add_argument("--only", default="", help="the names of rows begin with this")
    parser.add_argument("programs", nargs="*", type=Path, help="Terraform, OpenTofu and Helm, beside those on the PATH")
    options = parser.parse_args()
    os.chdir(ROOT)
    programs = [path for name in _PROGRAMS for path in _on_path(name)]
    every = checks([*programs, *(path.absolute() for path in options.programs)])
    chosen = [one for one in every if one.name.startswith(options.only) and (one.in_sample or not options.sample)]
    status = 0 if chosen else 1
    for one in chosen:
        found = outcome(one, is_sample=options.sample)
        print(f"{one.name}: {found.version} {found.text} ({found.minutes:.1f} minutes)", flush=True)
        status |= found.text.startswith("**") or bool(options.only and found.text != "passed")
        if not options.sample:
            _write({one.name: row(one.name, found, datetime.now(UTC))}, every)
    return status


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OperationError as error:  # such as a Terraform on the PATH that does not run
        sys.exit(f"error: {error}")
