"""Which program plans and applies: Terraform, or the one that TERRAFORM_BINARY_NAME names."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from eks_gitops.versions import TERRAFORM_CONSTRAINT
from operations.errors import OperationError
from operations.state.locks import Lock
from operations.terraform import program
from operations.terraform.program import VARIABLE
from operations.terraform.runner import Terraform


def _write(file: Path, script: str) -> None:
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the programs that a test writes."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


@pytest.mark.parametrize("chosen", [None, ""])
def test_terraform_runs_without_a_choice(folder: Path, monkeypatch: pytest.MonkeyPatch, chosen: str | None) -> None:
    _write(folder / "terraform", "echo terraform ran")
    if chosen is not None:
        monkeypatch.setenv(VARIABLE, chosen)
    assert Terraform(folder).output("show") == "terraform ran\n"


def test_the_chosen_program_runs_and_is_named_in_messages(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(folder / "terraform", "exit 9")
    _write(folder / "tofu", '[ "$1" = show ] && echo tofu ran')
    monkeypatch.setenv(VARIABLE, "tofu")
    tofu = Terraform(folder, folder / "log")
    assert tofu.output("show") == "tofu ran\n"
    with pytest.raises(OperationError, match=r"^tofu apply failed in .* \(status 1\)"):
        tofu.run("apply")
    (folder / "errored.tfstate").touch()
    assert f": tofu -chdir={folder} state push errored.tfstate && rm {folder}/errored.tfstate" in tofu.unsaved_state
    lock = Lock("6f1c", "minji@laptop", "OperationTypeApply", "2026-01-01T00:00:00Z")
    assert f": tofu -chdir={folder} force-unlock 6f1c, then: " in lock.describe(
        folder, datetime(2026, 1, 2, tzinfo=UTC)
    )


def test_a_relative_path_is_one_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs in the folder of a stack."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "stack").mkdir()
    _write(tmp_path / "bin/tofu", "pwd")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "bin/tofu")
    assert Terraform(Path("stack")).output("show") == f"{tmp_path / 'stack'}\n"


def test_a_chosen_program_that_is_not_installed_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "opentofu")
    message = f"^{VARIABLE}: opentofu: not installed; install it, or unset {VARIABLE} to use Terraform$"
    with pytest.raises(OperationError, match=message):
        program.find()


def test_another_program_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(folder / "pulumi", "echo v3.0.0")
    monkeypatch.setenv(VARIABLE, "pulumi")
    with pytest.raises(OperationError, match=r"^pulumi: 'v3\.0\.0': neither Terraform nor OpenTofu; set TERRAFORM_"):
        program.version()


@pytest.mark.parametrize(("fails", "said"), [("echo no >&2; exit 1", "no"), ("exit 3", "status 3")])
def test_a_program_whose_version_fails_is_reported(folder: Path, fails: str, said: str) -> None:
    _write(folder / "terraform", fails)
    message = f"terraform version failed: {said}; install it again, or name another one in {VARIABLE}"
    with pytest.raises(OperationError, match=f"^{message}$"):
        program.version()


@pytest.mark.parametrize("said", ["Terraform v1.11.0", "Terraform v1.15.9", "OpenTofu v1.12.6"])
def test_supported_versions_are_accepted(folder: Path, said: str) -> None:
    _write(folder / "terraform", f"echo {said}")
    program.check()


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("Terraform v1.10.5", "Terraform 1.10.5: not supported (>= 1.11, < 2)"),
        ("Terraform v2.0.0", "Terraform 2.0.0: not supported (>= 1.11, < 2)"),
        ("OpenTofu v1.11.4", "OpenTofu 1.11.4: not supported (>= 1.12, < 2)"),
    ],
)
def test_make_targets_refuse_other_versions_in_one_line(folder: Path, said: str, message: str) -> None:
    _write(folder / "terraform", f"echo {said}")
    module = (sys.executable, "-m", "operations.terraform.program")
    done = subprocess.run(module, check=False, capture_output=True, text=True)
    remedy = f"install a supported one, or name it in {VARIABLE}"
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: terraform: {message}; {remedy}\n"


def test_the_supported_terraform_is_that_of_the_stacks() -> None:
    assert program.SUPPORTED["Terraform"] == TERRAFORM_CONSTRAINT


def test_encrypted_states_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands read the states: they would find no resources in an encrypted one."""
    _write(folder / "tofu", "touch ran")
    monkeypatch.setenv(VARIABLE, "tofu")
    monkeypatch.setenv("TF_ENCRYPTION", "{}")
    with pytest.raises(OperationError, match=r"^TF_ENCRYPTION: state encryption of OpenTofu is not supported"):
        Terraform(folder).output("apply")
    assert not (folder / "ran").exists()
