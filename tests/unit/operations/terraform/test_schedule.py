"""The order in which an action runs on stacks."""

import os
import signal
import threading
import time

import pytest

from operations.terraform import runner as terraform
from operations.terraform import schedule

_REGION = {"shared": set[str](), "dev": {"shared"}, "staging": {"shared"}, "dev-gitops": {"shared", "dev"}}


def _run(*failing: str) -> tuple[list[str], dict[str, list[str]]]:
    started: list[str] = []

    def act(name: str) -> bool:
        started.append(name)
        return name not in failing

    skipped = schedule.run_in_order(_REGION, act, parallelism=2)
    return started, skipped


def test_each_stack_starts_after_its_dependencies() -> None:
    started, skipped = _run()
    assert skipped == {}
    assert started[0] == "shared"
    assert started.index("dev") < started.index("dev-gitops")


def test_a_failure_stops_only_dependent_stacks() -> None:
    started, skipped = _run("dev")
    assert sorted(started) == ["dev", "shared", "staging"]
    assert skipped == {"dev-gitops": ["dev"]}


def test_dependencies_that_are_not_selected_are_ignored() -> None:
    assert schedule.run_in_order({"dev": {"shared"}}, lambda _: True, parallelism=1) == {}


@pytest.mark.parametrize("parallelism", [1, 2])
def test_independent_stacks_run_in_parallel_within_the_limit(parallelism: int) -> None:
    running, most, lock = 0, 0, threading.Lock()

    def act(_: str) -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.05)
        with lock:
            running -= 1
        return True

    schedule.run_in_order({name: set() for name in "abcd"}, act, parallelism=parallelism)
    assert most == parallelism


def test_unexpected_errors_are_raised() -> None:
    def act(_: str) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        schedule.run_in_order({"a": set()}, act, parallelism=1)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts_terraform_once_and_does_not_end_this_process(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted: list[str] = []
    monkeypatch.setattr(terraform, "interrupt", lambda: interrupted.append("interrupted"))
    inherited = signal.signal(number, signal.SIG_DFL)  # the tests themselves may run with `nohup`

    def act(_: str) -> bool:
        os.kill(os.getpid(), number)
        time.sleep(0.2)
        return False

    try:
        assert schedule.run_in_order({"a": set(), "b": {"a"}}, act, parallelism=1) == {"b": ["a"]}
        assert interrupted == ["interrupted"]
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, inherited)


def test_hangup_is_ignored_below_nohup(monkeypatch: pytest.MonkeyPatch) -> None:
    """`nohup` starts programs with SIGHUP ignored."""
    monkeypatch.setattr(terraform, "interrupt", lambda: pytest.fail("interrupted"))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def act(_: str) -> bool:
        os.kill(os.getpid(), signal.SIGHUP)
        return True

    try:
        assert schedule.run_in_order({"a": set()}, act, parallelism=1) == {}
    finally:
        signal.signal(signal.SIGHUP, before)
