"""The commands for Terraform state."""

from pathlib import Path
from unittest.mock import Mock

import pytest

from operations.clients.aws import OtherAccountError
from operations.errors import OperationError
from operations.output.report import Report, Status
from operations.state import bootstrap, restore
from operations.terraform.stacks import Stack
from tests.stacks import REGION, make_stack, write_output
from tests.unit.operations.cli.conftest import run

DEV = f"{REGION}-dev"


@pytest.mark.parametrize("command", ["bootstrap", "unbootstrap"])
def test_the_state_bucket_of_every_region_is_created_or_destroyed(
    output: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    called = Mock()
    monkeypatch.setattr(bootstrap, command, called)
    run(command, "--output", output)
    ((stack, home, _),) = [call.args for call in called.call_args_list]
    assert (stack.name, home) == (f"{REGION}-backend", Path(".bootstrap"))


@pytest.mark.parametrize("command", ["bootstrap", "unbootstrap"])
def test_the_account_of_the_credentials_is_done_and_others_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    names = {"backend": "123456789012", "backend-production": "210987654321"}
    stacks = [
        make_stack("backend", tmp_path / name, kind="backend", name=f"{REGION}-{name}", account_id=account_id)
        for name, account_id in names.items()
    ]
    write_output(tmp_path, stacks)
    valid = "210987654321"

    def act(stack: Stack, *_: object) -> None:
        if stack.account_id != valid:
            raise OtherAccountError(f"{stack.name}: of another account")

    monkeypatch.setattr(bootstrap, command, act)
    said = run(command, "--output", tmp_path).output
    # The first one is refused before it is known that the second one has the account of the credentials.
    assert said == f"{REGION}-backend: left as it is: run this again with credentials of account 123456789012\n"
    valid = "111111111111"
    refused = run(command, "--output", tmp_path, status=1).stderr
    assert refused == (
        f"error: {REGION}-backend: of another account\nerror: {REGION}-backend-production: of another account\n"
    )


@pytest.mark.parametrize("command", ["bootstrap", "unbootstrap"])
def test_an_output_without_a_backend_is_refused(tmp_path: Path, command: str) -> None:
    write_output(tmp_path, [make_stack("dev", tmp_path / "dev")])
    refused = run(command, "--output", tmp_path, status=1).stderr
    assert refused == f"error: {tmp_path}: has no backend stack; synthesize again: make synth\n"


def test_errors_of_bootstrap_are_printed_as_messages(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "bootstrap", Mock(side_effect=OperationError("state: bucket exists")))
    assert run("bootstrap", "--output", output, status=1).stderr == "error: state: bucket exists\n"


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> Mock:
    monkeypatch.setattr(Stack, "aws_session", Mock())
    versions = Mock(return_value=Report("3 versions", Status.FINE, {}))
    monkeypatch.setattr(restore, "show_versions", versions)
    return versions


@pytest.mark.parametrize(("options", "limit"), [([], 20), (["--all"], None)])
def test_restore_state_lists_the_newest_versions_or_all(
    versions: Mock, output: Path, options: list[str], limit: int | None
) -> None:
    assert "3 versions" in run("restore-state", DEV, "--output", output, *options).stdout
    _, stack, at_most = versions.call_args.args
    assert (stack.name, at_most) == (DEV, limit)


@pytest.mark.usefixtures("versions")
def test_restore_state_restores_a_version(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    restored = Mock(return_value=Report("restored", Status.FINE, {}))
    monkeypatch.setattr(restore, "restore", restored)
    run("restore-state", DEV, "--output", output, "--version", "v1", "--lineage", "abc")
    _, stack, version, log, lineage = restored.call_args.args
    assert (stack.name, version, lineage) == (DEV, "v1", "abc")
    assert log.parent == output / "logs"


def test_restore_state_rejects_a_pattern_that_matches_several_stacks(versions: Mock, output: Path) -> None:
    errors = run("restore-state", f"{DEV}*", "--output", output, status=1).stderr
    assert errors == f"error: {DEV}*: matches 2 stacks; name one\n"
    versions.assert_not_called()
