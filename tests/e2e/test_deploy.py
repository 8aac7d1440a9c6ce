"""`plan` and `deploy` with real Terraform, on small stacks."""

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
    assert not list((tmp_path / "tmp").iterdir())  # plan files hold the prior state in plaintext
    for entry in made.client("s3").list_objects_v2(Bucket=BUCKET).get("Contents", []):
        made.client("s3").delete_object(Bucket=BUCKET, Key=entry["Key"])


def _data(value: str, **arguments: Any) -> dict[str, Any]:
    return {"one": {"input": value, **arguments}}


def _running(command: str) -> list[dict[str, Any]]:
    """A provisioner: its resource is created only if the command succeeds."""
    return [{"local-exec": {"command": command}}]


def _region(tiny: Tiny, *, shared: str = "first", dev: str = "true", staging: str = "true") -> None:
    """Four stacks like those of the region; `dev` and `staging` are commands that their provisioners run."""
    from_shared = "${data.terraform_remote_state.shared.outputs.value}"
    tiny.stack("shared", outputs={"value": "terraform_data.one.output"}, terraform_data=_data(shared))
    tiny.stack("dev", reads=("shared",), terraform_data=_data(from_shared, provisioner=_running(dev)))
    tiny.stack("staging", reads=("shared",), terraform_data=_data(from_shared, provisioner=_running(staging)))
    tiny.stack("dev-gitops", reads=("shared", "dev"), terraform_data=_data("gitops"))


def _value(tiny: Tiny, stack: str) -> str:
    return str(tiny.state(stack)["terraform_data.one"]["output"]["value"])


def test_each_stack_is_planned_after_its_producers(tiny: Tiny) -> None:
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


def test_after_a_failure_independent_stacks_finish_and_the_command_to_continue_is_reported(tiny: Tiny) -> None:
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
    assert "staging: terraform_data.one created after" in deployed.output

    flag.touch()
    continued = tiny.run([*shlex.split(deployed.report["again"]), "--json"])
    assert continued.status == 0
    assert continued.outcomes == {"dev": "applied", "dev-gitops": "applied"}


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
        stdout, stderr = deploy.communicate(timeout=60)
    assert "Traceback" not in stderr
    assert deploy.returncode == 1
    stacks = json.loads(stdout)["stacks"]
    assert [entry["outcome"] for entry in stacks.values()] == ["failed", "not reached", "applied"]  # by name
    assert list(tiny.state("dev")) == ["terraform_data.one"]  # partly applied, and in the state
    held = tiny.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
    assert sorted(entry["Key"] for entry in held) == ["dev.tfstate", "shared.tfstate"]


def test_a_closed_terminal_does_not_lose_the_state(tiny: Tiny) -> None:
    """Such as a dropped connection or a closed window during an apply."""
    two = {"input": "second", "depends_on": ["terraform_data.one"]}
    begun = _running(f"touch {tiny.folder}/begun; sleep 3")
    tiny.stack("dev", terraform_data=_data("first", provisioner=begun) | {"two": two})
    child, terminal = pty.fork()
    if child == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under `nohup`
        os.chdir(tiny.folder)
        os.execve(sys.executable, tiny.command("deploy", "--yes", "dev"), tiny.environment)  # noqa: S606
    reading = threading.Thread(target=_read_all, args=(terminal,), daemon=True)
    reading.start()
    _wait_for(tiny.folder / "begun")
    os.kill(os.tcgetpgrp(terminal), signal.SIGHUP)  # as the kernel does when a terminal is closed
    os.close(terminal)
    os.waitpid(child, 0)
    assert list(tiny.state("dev")) == ["terraform_data.one"]
    held = tiny.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
    assert [entry["Key"] for entry in held] == ["dev.tfstate"]


def _read_all(terminal: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(terminal, 4096):
            pass


def test_a_moved_resource_is_applied(tiny: Tiny) -> None:
    """Terraform reports a no-op, but without the apply the next plan would destroy and recreate the resource."""
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
    """A stack whose state is locked by another user."""
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


def test_a_held_lock_is_reported_with_its_owner_and_the_command_to_break_it(tiny: Tiny, held: str) -> None:
    deployed = tiny.operations("deploy", held, "--yes")
    assert deployed.status == 1
    what = deployed.report["stacks"][held]["what"]
    assert what.startswith("minji@laptop holds the lock for apply, since 2026-01-01 00:00:00")
    _, _, unlock = what.removesuffix(f", then: make recover STACK={held}").rpartition(": ")
    *command, lock = shlex.split(unlock)
    subprocess.run([*command, "-force", lock], cwd=tiny.folder, env=tiny.environment, check=True)
    assert tiny.operations("deploy", held, "--yes").outcomes == {held: "applied"}


def test_waits_for_a_held_lock(tiny: Tiny, held: str) -> None:
    released = threading.Timer(
        4, tiny.client("s3").delete_object, kwargs={"Bucket": BUCKET, "Key": "shared.tfstate.tflock"}
    )
    released.start()
    deployed = tiny.operations("deploy", held, "--yes", "--wait-for-lock", "60s")
    released.join()
    assert deployed.outcomes == {held: "applied"}


def test_a_reviewed_plan_is_applied_and_a_different_one_is_refused(tiny: Tiny) -> None:
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
    assert "the plan differs from the reviewed plan" in deployed.report["stacks"]["dev"]["what"]


def test_at_a_terminal_a_plan_is_shown_and_must_be_confirmed(tiny: Tiny) -> None:
    tiny.stack("shared", terraform_data=_data("first"))
    assert "declined" in _at_a_terminal(tiny, answer="n")
    output = _at_a_terminal(tiny, answer="y")
    assert "will be created" in output
    assert "differs from" not in output
    assert "1 applied" in output
    assert _value(tiny, "shared") == "first"


def _at_a_terminal(tiny: Tiny, *, answer: str) -> str:
    terminal, other_end = pty.openpty()
    with subprocess.Popen(
        tiny.command("deploy", "shared"), cwd=tiny.folder, env=tiny.environment | {"TERM": "dumb", "COLUMNS": "200"},
        stdin=other_end, stdout=other_end, stderr=other_end, start_new_session=True,
    ) as deploy:  # fmt: skip
        os.close(other_end)
        output, answered = "", False
        while True:
            try:
                output += os.read(terminal, 4096).decode(errors="replace")
            except OSError:  # the other end is closed
                break
            if "Apply it?" in output and not answered:
                os.write(terminal, f"{answer}\n".encode())
                answered = True
        deploy.wait()
    os.close(terminal)
    return output


def test_the_guard_refuses_a_plan_despite_yes_until_it_is_overridden(tiny: Tiny) -> None:
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
