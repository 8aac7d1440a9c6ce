"""Running Terraform, which a script replaces."""

import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from operations.errors import OperationError
from operations.terraform import runner as terraform
from operations.terraform.runner import Terraform, TerraformError


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of the script that replaces Terraform."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    yield tmp_path / "bin/terraform"
    terraform._interrupted.clear()


def _write(program: Path, script: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def _event(message: str, **fields: Any) -> str:
    return f"echo '{json.dumps({'@message': message, **fields})}'"


_ERROR = {"severity": "error", "summary": "AccessDenied", "detail": "by a policy of the organisation"}


def test_stream_passes_on_every_event_and_logs_its_message(program: Path, tmp_path: Path) -> None:
    _write(program, f'echo "$@" > {tmp_path}/arguments\necho warning: text\n{_event("created", type="apply_complete")}')
    events: list[Mapping[str, Any]] = []
    Terraform(tmp_path).stream(tmp_path / "log", events.append, "apply", "-input=false")
    assert (tmp_path / "arguments").read_text() == "apply -json -input=false\n"
    assert [event["type"] for event in events] == ["text", "apply_complete"]
    assert (tmp_path / "log").read_text() == "warning: text\ncreated\n"


def test_terraform_finishes_although_the_event_handler_fails(program: Path, tmp_path: Path) -> None:
    """If the pipe closed in the middle of an apply, Terraform would not save its state."""
    _write(program, f"{_event('one')}\nsleep 0.1\n{_event('two')}\ntouch {tmp_path}/saved")

    def on_event(_: Mapping[str, Any]) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        Terraform(tmp_path).stream(tmp_path / "log", on_event, "apply")
    assert (tmp_path / "saved").exists()
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


def test_without_terraform_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OperationError, match="terraform: not installed; install"):
        Terraform(tmp_path).stream(tmp_path / "log", lambda _: None, "plan")
    with pytest.raises(OperationError, match="terraform: not installed; install"):
        Terraform(tmp_path).output("show")


def test_a_terraform_that_cannot_be_run_is_reported(program: Path, tmp_path: Path) -> None:
    program.write_bytes(b"\0")
    program.chmod(0o755)
    message = "^terraform: cannot be run: Exec format error; install Terraform"
    with pytest.raises(OperationError, match=message):
        Terraform(tmp_path).stream(tmp_path / "log", lambda _: None, "plan")
    with pytest.raises(OperationError, match=message):
        Terraform(tmp_path).output("show")


def test_failure_contains_each_error_of_terraform_once(program: Path, tmp_path: Path) -> None:
    error = _event("Error", diagnostic=_ERROR)
    warning = _event("Warning", diagnostic={"severity": "warning", "summary": "deprecated"})
    _write(program, f"{error}\n{warning}\n{error}\nexit 1")
    with pytest.raises(TerraformError) as raised:
        Terraform(tmp_path).stream(tmp_path / "log", lambda _: None, "apply")
    assert str(raised.value) == f"{tmp_path.name}: AccessDenied\nby a policy of the organisation"
    assert raised.value.details == ["AccessDenied\nby a policy of the organisation"]


def test_failure_of_a_data_source_names_it(program: Path, tmp_path: Path) -> None:
    found = {"severity": "error", "summary": "no matching EC2 Subnet found", "detail": ""}
    events = [
        _event("Error", diagnostic={**found, "address": f"{address}.public-a"})
        for address in ("data.aws_subnet", "aws_subnet")
    ]
    _write(program, "\n".join([*events, "exit 1"]))
    with pytest.raises(TerraformError) as raised:
        Terraform(tmp_path).stream(tmp_path / "log", lambda _: None, "plan")
    assert raised.value.details == [
        "no matching EC2 Subnet found\nwith data.aws_subnet.public-a",
        "no matching EC2 Subnet found",
    ]


def test_failure_without_diagnostics_names_the_log(program: Path, tmp_path: Path) -> None:
    _write(program, "echo killed; exit 1")
    with pytest.raises(TerraformError, match=rf"terraform failed; see {tmp_path}/log"):
        Terraform(tmp_path).stream(tmp_path / "log", lambda _: None, "apply")


def test_interrupt_is_sent_once_and_no_terraform_starts_after_it(program: Path, tmp_path: Path) -> None:
    count = f"trap 'echo signal >> {tmp_path}/signals' INT"
    _write(program, f"{count}\ntouch {tmp_path}/started\nsleep 0.3 & wait $!; wait\nexit 1")
    failures: list[str] = []

    def run() -> None:
        with pytest.raises(TerraformError) as raised:
            Terraform(tmp_path).stream(tmp_path / "log", lambda _: None, "apply")
        failures.append(str(raised.value))

    thread = threading.Thread(target=run)
    thread.start()
    while not (tmp_path / "started").exists():
        time.sleep(0.01)
    terraform.interrupt()
    terraform.interrupt()
    thread.join()
    run()
    assert (tmp_path / "signals").read_text() == "signal\n"
    assert failures[1] == f"{tmp_path.name}: interrupted before it started"


def test_run_appends_the_output_to_the_log_without_colors(program: Path, tmp_path: Path) -> None:
    _write(program, 'echo "$* in $PWD"; echo warning >&2')
    (tmp_path / "log").write_text("before\n")
    Terraform(tmp_path, tmp_path / "log").run("init", "-reconfigure")
    assert (tmp_path / "log").read_text() == f"before\ninit -reconfigure -no-color in {tmp_path}\nwarning\n"


def test_run_without_a_log_shows_the_output(program: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _write(program, 'echo "$*"; echo warning >&2')
    Terraform(tmp_path).run("apply", "-auto-approve")
    assert capfd.readouterr() == ("apply -auto-approve\nwarning\n", "")


def test_output_returns_the_output_and_shows_errors(
    program: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _write(program, "echo aws_vpc.vpc; echo warning >&2")
    assert Terraform(tmp_path).output("state", "list") == "aws_vpc.vpc\n"
    assert capfd.readouterr() == ("", "warning\n")


def test_a_failed_run_names_the_place_of_its_output(program: Path, tmp_path: Path) -> None:
    _write(program, "exit 3")
    with pytest.raises(OperationError, match=rf"^terraform init failed in {tmp_path} \(status 3\); see above$"):
        Terraform(tmp_path).run("init")
    with pytest.raises(
        OperationError, match=rf"^terraform init failed in {tmp_path} \(status 3\); see {tmp_path}/log$"
    ):
        Terraform(tmp_path, tmp_path / "log").run("init")


def test_terraform_runs_without_prompts_and_update_checks(program: Path, tmp_path: Path) -> None:
    _write(program, 'echo "$TF_INPUT $TF_IN_AUTOMATION $CHECKPOINT_DISABLE"')
    assert Terraform(tmp_path).output("version") == "0 1 1\n"


def test_ctrl_c_is_passed_on_to_run_once_and_waits_for_terraform(program: Path, tmp_path: Path) -> None:
    """On a second signal, Terraform would exit without saving its state."""
    count = f"trap 'echo signal >> {tmp_path}/signals' INT"
    _write(program, f"{count}\ntouch {tmp_path}/started\nsleep 0.3 & wait $!; wait\ntouch {tmp_path}/saved")

    def press_ctrl_c() -> None:
        while not (tmp_path / "started").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    # Pytest may run in the background, where SIGINT is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Thread(target=press_ctrl_c).start()
        with pytest.raises(KeyboardInterrupt):
            Terraform(tmp_path).run("apply")
    finally:
        signal.signal(signal.SIGINT, before)
    assert (tmp_path / "signals").read_text() == "signal\n"
    assert (tmp_path / "saved").exists()


def test_plan_initializes_the_stack_and_returns_the_plan(program: Path, tmp_path: Path) -> None:
    _write(program, f'echo "$*" >> {tmp_path}/calls; [ $1 != show ] || echo \'{{"resource_changes": []}}\'')
    terraform_, file = Terraform(tmp_path), tmp_path / "plan"
    assert terraform_.stream_plan(file, tmp_path / "log", lambda _: None, "-lock=false") == {"resource_changes": []}
    assert (tmp_path / "calls").read_text().splitlines() == [
        "init -json -input=false -upgrade",
        f"plan -json -input=false -out={file} -lock=false",
        f"show -json {file}",
    ]


@pytest.mark.parametrize("shared", ["variable", "file", None])
def test_only_one_init_runs_at_a_time_in_a_shared_plugin_cache(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: str | None
) -> None:
    """Terraform does not support concurrent ones there; elsewhere they run at once."""
    configuration = tmp_path / "terraformrc"
    configuration.write_text('plugin_cache_dir = "/cache"' if shared == "file" else "")
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(configuration))
    monkeypatch.setenv("TF_PLUGIN_CACHE_DIR", "/cache" if shared == "variable" else "")
    _write(program, f"mkdir {tmp_path}/running || exit 1\nsleep 0.2\nrmdir {tmp_path}/running")

    def init(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            Terraform(folder).stream_init(folder / "log", lambda _: None)
        except TerraformError as error:
            failures.append(error)

    failures: list[TerraformError] = []
    threads = [threading.Thread(target=init, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bool(failures) == (shared is None)


def test_without_a_configuration_there_is_no_shared_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_PLUGIN_CACHE_DIR", raising=False)
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(tmp_path / "none"))
    assert not terraform._shares_plugins()


_SUMMARY = '{"@message": "", "type": "change_summary"}'
_SAME_OUTPUT = '{"@message": "", "type": "outputs", "outputs": {"a": {"action": "noop"}}}'
_DRIFT = '{"@message": "", "type": "resource_drift", "change": {"resource": {"resource_type": "aws_vpc_endpoint"}}}'


@pytest.mark.parametrize(
    ("events", "shown"),
    [
        ([_SUMMARY, _SAME_OUTPUT], False),
        ([_SUMMARY, _SAME_OUTPUT, _DRIFT.replace("vpc_endpoint", "vpc")], False),
        ([_SUMMARY, _SAME_OUTPUT, _DRIFT], True),
        ([_SUMMARY, '{"@message": "", "type": "planned_change"}'], True),
        ([_SUMMARY, '{"@message": "", "type": "outputs", "outputs": {"a": {"action": "update"}}}'], True),
        ([_SAME_OUTPUT], True),  # a version of Terraform that summarizes nothing
    ],
)
def test_a_plan_is_shown_only_if_it_changes_something(
    program: Path,
    tmp_path: Path,
    events: list[str],
    shown: bool,  # noqa: FBT001
) -> None:
    """`terraform show` starts the providers again."""
    lines = "".join(f"echo '{event}'\n" for event in events)
    _write(program, f"case $1 in plan) {lines} ;; show) echo '{{\"shown\": true}}' ;; esac")
    document = Terraform(tmp_path).stream_plan(
        tmp_path / "plan", tmp_path / "log", lambda _: None, drifting=["aws_vpc_endpoint"]
    )
    assert document == ({"shown": True} if shown else {})


def test_an_interrupt_is_remembered(program: Path, tmp_path: Path) -> None:
    _write(program, "exit 0")
    assert not terraform.is_interrupted()
    terraform.interrupt()
    assert terraform.is_interrupted()
    with pytest.raises(TerraformError, match="interrupted before it started"):
        Terraform(tmp_path).stream(tmp_path / "log", lambda _: None, "plan")


def test_the_folder_of_plans_is_private_and_temporary() -> None:
    with terraform.plan_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "plan").write_text("secret")
    assert not folder.exists()


def test_folders_of_plans_that_killed_commands_left_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "plans-left").mkdir()
    (tmp_path / "plans-left/dev.tfplan").touch()
    os.utime(tmp_path / "plans-left", (0, 0))
    (tmp_path / "plans-new").mkdir()  # of a command that has not locked it yet
    with terraform.plan_folder() as first, terraform.plan_folder() as second:
        assert {path.name for path in tmp_path.iterdir()} == {"plans-new", first.name, second.name}


def test_a_state_that_could_not_be_saved_is_not_ignored(program: Path, tmp_path: Path) -> None:
    """Another apply would create everything in it again."""
    _write(program, f"touch {tmp_path}/called")
    (tmp_path / "errored.tfstate").touch()
    with pytest.raises(OperationError, match=r"state push errored\.tfstate && rm "):
        Terraform(tmp_path).stream_plan(tmp_path / "plan", tmp_path / "log", lambda _: None)
    assert not (tmp_path / "called").exists()


def test_a_new_log_is_empty(tmp_path: Path) -> None:
    log = terraform.new_log(tmp_path / "logs", "dev")
    log.write_text("old")
    assert terraform.new_log(tmp_path / "logs", "dev") == log == tmp_path / "logs/dev.log"
    assert log.read_text() == ""
