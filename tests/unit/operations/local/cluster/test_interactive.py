"""The interactive local cluster, with fake programs."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from operations.errors import OperationError
from operations.local.cluster import interactive, programs
from tests.unit.operations.local.cluster.fake_programs import FakePrograms

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """Restores the signal handlers of the test process."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def output(platform: object, platform_folder: Path, fakes: FakePrograms, monkeypatch: pytest.MonkeyPatch) -> Path:
    del platform, fakes
    monkeypatch.setattr(programs, "build_all", lambda say: say("building"))
    return platform_folder


def _sleep(monkeypatch: pytest.MonkeyPatch, signal_number: int) -> None:
    """Send a signal instead of sleeping."""
    sleep = SimpleNamespace(sleep=lambda _: os.kill(os.getpid(), signal_number))
    monkeypatch.setattr(interactive, "time", sleep)


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_cluster_runs_until_a_signal_and_leaves_no_files(
    output: Path, fakes: FakePrograms, monkeypatch: pytest.MonkeyPatch, signal_number: int
) -> None:
    _sleep(monkeypatch, signal_number)
    messages: list[str] = []
    shown: list[str] = []
    interactive.run_cluster(output, messages.append, shown.append)
    assert (messages[0], messages[-1]) == ("building", "stopped")
    (kubeconfig,) = [line.partition("=")[2] for line in shown if "KUBECONFIG" in line]
    assert not Path(kubeconfig).parent.exists()
    assert any("--username admin --password s3cret" in line for line in shown)
    kinds = {manifest["kind"] for manifest in fakes.applied()}
    assert {"Application", "AppProject", "Secret"} <= kinds


def test_a_program_that_exits_ends_the_cluster(
    output: Path, fakes: FakePrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill_redis(_: float) -> None:
        for redis in fakes.calls_of("redis"):
            os.kill(redis.pid, signal.SIGKILL)

    monkeypatch.setattr(interactive, "time", SimpleNamespace(sleep=kill_redis))
    with pytest.raises(OperationError, match=r"^redis exited unexpectedly \(status -9\)"):
        interactive.run_cluster(output, lambda _: None, lambda _: None)
