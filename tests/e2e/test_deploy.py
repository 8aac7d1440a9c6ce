"""`plan` and `deploy` with real Terraform, on stacks that take seconds."""

import contextlib
import json
import os
import pty
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from operations.local.emulator_process import Emulator
from tests.e2e.tiny import BUCKET, Tiny, emulated

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("aws_provider")]


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulated(tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture
def tiny(tmp_path: Path, emulator: Emulator) -> Iterator[Tiny]:
    made = Tiny(tmp_path, emulator.environment)
    yield made
    assert not list((tmp_path / "tmp").iterdir())  # plans hold the prior state in clear
    for entry in made.client("s3").list_objects_v2(Bucket=BUCKET).get("Contents", []):
        made.client("s3").delete_object(Bucket=BUCKET, Key=entry["Key"])


def _data(value: str, **arguments: Any) -> dict[str, Any]:
    return {"one": {"input": value, **arguments}}


def _running(command: str) -> list[dict[str, Any]]:
    """A provisioner: what runs it is made only if the command succeeds."""
    return [{"local-exec": {"command": command}}]


def _region(tiny: Tiny, *, shared: str = "first", dev: str = "true", staging: str = "true") -> None:
    """Four stacks as the region's; `dev` and `staging` are commands."""
    from_shared = "${data.terraform_remote_state.shared.outputs.value}"
    tiny.stack("shared", outputs={"value": "terraform_data.one.output"}, terraform_data=_data(shared))
    tiny.stack("dev", reads=("shared",), terraform_data=_data(from_shared, provisioner=_running(dev)))
    tiny.stack("staging", reads=("shared",), terraform_data=_data(from_shared, provisioner=_running(staging)))
    tiny.stack("dev-gitops", reads=("shared", "dev"), terraform_data=_data("gitops"))


def _value(tiny: Tiny, stack: str) -> str:
    return str(tiny.state(stack)["terraform_data.one"]["output"]["value"])


def test_each_stack_is_planned_after_those_that_it_reads_from(tiny: Tiny) -> None:
    _region(tiny)
    assert tiny.operations("deploy", "--yes").status == 0
    _region(tiny, shared="second")
    deployed = tiny.operations("deploy", "--yes")
    assert deployed.outcomes == {
        "shared": "applied",
        "dev": "applied",
        "staging": "applied",
        "dev-gitops": "unchanged",
    }
    assert _value(tiny, "dev") == _value(tiny, "staging") == "second"
    assert set(tiny.operations("deploy").outcomes.values()) == {"unchanged"}


def test_after_a_failure_siblings_finish_and_the_command_to_go_on_is_told(tiny: Tiny) -> None:
    flag = tiny.folder / "flag"
    _region(tiny, dev=f"test -e {flag}", staging="sleep 3")
    deployed = tiny.operations("deploy", "--yes")
    assert deployed.status == 1
    assert deployed.outcomes == {
        "shared": "applied",
        "dev": "failed",
        "staging": "applied",
        "dev-gitops": "not reached",
    }
    assert f"Error running command 'test -e {flag}'" in deployed.report["stacks"]["dev"]["what"]
    assert "staging: terraform_data.one created after" in deployed.said

    flag.touch()
    gone_on = tiny.run([*shlex.split(deployed.report["again"]), "--json"])
    assert gone_on.status == 0
    assert gone_on.outcomes == {"dev": "applied", "dev-gitops": "applied"}


def test_an_interrupt_saves_the_state_and_releases_the_lock(tiny: Tiny) -> None:
    _region(tiny)
    begun = _running(f"touch {tiny.folder}/begun; sleep 30")
    two = {"input": "second", "depends_on": ["terraform_data.one"]}
    tiny.stack("dev", reads=("shared",), terraform_data=_data("first", provisioner=begun) | {"two": two})
    command = tiny.command("deploy", "--yes", "--json", "shared", "dev", "dev-gitops")
    with subprocess.Popen(
        command, cwd=tiny.folder, env=tiny.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        stdin=subprocess.DEVNULL, start_new_session=True,
    ) as deploy:  # fmt: skip
        _wait_for(tiny.folder / "begun")
        os.kill(deploy.pid, signal.SIGTERM)
        os.kill(deploy.pid, signal.SIGINT)
        printed, said = deploy.communicate(timeout=60)
    assert "Traceback" not in said
    assert deploy.returncode == 1
    stacks = json.loads(printed)["stacks"]
    assert [entry["outcome"] for entry in stacks.values()] == ["failed", "not reached", "applied"]  # by name
    assert list(tiny.state("dev")) == ["terraform_data.one"]  # half made, and known
    held = tiny.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
    assert sorted(entry["Key"] for entry in held) == ["dev.tfstate", "shared.tfstate"]


def test_a_terminal_that_goes_costs_no_state(tiny: Tiny) -> None:
    """A connection that drops, or a window that is closed, in the middle of an apply."""
    two = {"input": "second", "depends_on": ["terraform_data.one"]}
    begun = _running(f"touch {tiny.folder}/begun; sleep 3")
    tiny.stack("dev", terraform_data=_data("first", provisioner=begun) | {"two": two})
    child, terminal = pty.fork()
    if child == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests themselves may run below `nohup`
        os.chdir(tiny.folder)
        os.execve(sys.executable, tiny.command("deploy", "--yes", "dev"), tiny.environment)  # noqa: S606
    reading = threading.Thread(target=_read_all, args=(terminal,), daemon=True)
    reading.start()
    _wait_for(tiny.folder / "begun")
    os.kill(os.tcgetpgrp(terminal), signal.SIGHUP)  # what the kernel does as the terminal goes
    os.close(terminal)
    os.waitpid(child, 0)
    assert list(tiny.state("dev")) == ["terraform_data.one"]
    held = tiny.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
    assert [entry["Key"] for entry in held] == ["dev.tfstate"]


def _read_all(terminal: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(terminal, 4096):
            pass


def test_what_is_moved_is_applied(tiny: Tiny) -> None:
    """Terraform calls it no-op: without the apply the next plan destroys it and makes it anew."""
    tiny.stack("dev", terraform_data=_data("first"))
    assert tiny.operations("deploy", "dev", "--yes").status == 0
    directory = tiny.stack("dev", terraform_data={"moved": {"input": "first"}})
    file = directory / "cdk.tf.json"
    moved = [{"from": "terraform_data.one", "to": "terraform_data.moved"}]
    file.write_text(json.dumps({**json.loads(file.read_text()), "moved": moved}))
    planned = tiny.operations("plan", "dev", "--all")
    assert planned.report["changes"]["dev"] == [
        {"action": "move", "address": "terraform_data.moved", "why": "from terraform_data.one"}
    ]
    assert tiny.operations("deploy", "dev", "--yes").outcomes == {"dev": "applied"}
    assert list(tiny.state("dev")) == ["terraform_data.moved"]
    assert tiny.operations("plan", "dev", "--all").status == 0


def _wait_for(file: Path) -> None:
    deadline = time.monotonic() + 120
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.1)


@pytest.fixture
def held(tiny: Tiny) -> Iterator[str]:
    """A stack whose lock somebody holds."""
    tiny.stack("shared", terraform_data=_data("first"))
    lock = {
        "ID": "6f1c2d3e-0000-4000-8000-000000000000",
        "Operation": "OperationTypeApply",
        "Who": "minji@laptop",
        "Created": "2026-01-01T00:00:00.123456789Z",
    }
    tiny.client("s3").put_object(Bucket=BUCKET, Key="shared.tfstate.tflock", Body=json.dumps(lock))
    yield "shared"
    tiny.client("s3").delete_object(Bucket=BUCKET, Key="shared.tfstate.tflock")


def test_a_held_lock_says_who_since_when_and_how_to_break_it(tiny: Tiny, held: str) -> None:
    deployed = tiny.operations("deploy", held, "--yes")
    assert deployed.status == 1
    what = deployed.report["stacks"][held]["what"]
    assert what.startswith("minji@laptop holds the lock for apply, since 2026-01-01 00:00:00")
    _, _, breaking = what.rpartition(": ")
    *command, lock = shlex.split(breaking)
    subprocess.run([*command, "-force", lock], cwd=tiny.folder, env=tiny.environment, check=True)
    assert tiny.operations("deploy", held, "--yes").outcomes == {held: "applied"}


def test_a_held_lock_is_waited_for(tiny: Tiny, held: str) -> None:
    released = threading.Timer(
        4, tiny.client("s3").delete_object, kwargs={"Bucket": BUCKET, "Key": "shared.tfstate.tflock"}
    )
    released.start()
    deployed = tiny.operations("deploy", held, "--yes", "--wait-for-lock", "60s")
    released.join()
    assert deployed.outcomes == {held: "applied"}


def test_a_reviewed_plan_is_applied_and_another_is_refused(tiny: Tiny) -> None:
    _region(tiny)
    planned = tiny.operations("plan", "--all")
    assert planned.status == 2
    assert {name: entry["plan"] for name, entry in planned.report["stacks"].items()} == {
        "shared": "1 to create",
        "dev": "planned after shared",
        "staging": "planned after shared",
        "dev-gitops": "planned after shared",
    }
    reviewed = tiny.folder / "reviewed.json"
    reviewed.write_text(json.dumps(planned.report))
    deployed = tiny.operations("deploy", "--reviewed", str(reviewed))
    assert deployed.status == 2
    assert deployed.outcomes == {
        "shared": "applied",
        "dev": "refused",
        "staging": "refused",
        "dev-gitops": "not reached",
    }

    reviewed.write_text(json.dumps(tiny.operations("plan", "--all").report))
    tiny.stack("dev", reads=("shared",), terraform_data=_data("something else"))
    deployed = tiny.operations("deploy", "dev", "staging", "--reviewed", str(reviewed))
    assert deployed.status == 2
    assert deployed.outcomes == {"dev": "refused", "staging": "applied"}
    assert "it is not the plan that was reviewed" in deployed.report["stacks"]["dev"]["what"]


def test_at_a_terminal_a_plan_is_shown_and_asked_for(tiny: Tiny) -> None:
    tiny.stack("shared", terraform_data=_data("first"))
    assert "declined" in _at_a_terminal(tiny, answer="n")
    said = _at_a_terminal(tiny, answer="y")
    assert "will be created" in said
    assert "not the plan" not in said
    assert "1 applied" in said
    assert _value(tiny, "shared") == "first"


def _at_a_terminal(tiny: Tiny, *, answer: str) -> str:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        tiny.command("deploy", "shared"), cwd=tiny.folder, env=tiny.environment | {"TERM": "dumb", "COLUMNS": "200"},
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    ) as deploy:  # fmt: skip
        os.close(theirs)
        said, answered = "", False
        while True:
            try:
                said += os.read(ours, 4096).decode(errors="replace")
            except OSError:  # the other end is closed
                break
            if "Apply it?" in said and not answered:
                os.write(ours, f"{answer}\n".encode())
                answered = True
        deploy.wait()
    os.close(ours)
    return said


def test_the_guard_refuses_whoever_says_yes_until_it_is_overridden(tiny: Tiny) -> None:
    tiny.stack("shared", aws_ecr_repository={"app": {"name": "app"}})
    assert tiny.operations("deploy", "--yes").status == 0
    tiny.stack("shared", outputs={"nothing": "null"}, terraform_data=_data("first"))
    deployed = tiny.operations("deploy", "--yes")
    assert (deployed.status, deployed.outcomes) == (2, {"shared": "refused"})
    assert "destroy aws_ecr_repository.app: the images in it are lost" in deployed.report["stacks"]["shared"]["what"]

    override = (
        'stack = "shared"\naddress = "aws_ecr_repository.app"\nwho = "minji"\nwhy = "moved"\nuntil = 2999-01-01\n'
    )
    (tiny.folder / "guard-overrides.toml").write_text(f"[[override]]\n{override}")
    assert tiny.operations("deploy", "--yes").outcomes == {"shared": "applied"}
