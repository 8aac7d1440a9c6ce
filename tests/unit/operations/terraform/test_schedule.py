"""The order in which stacks are acted on."""

import os
import signal
import threading
import time

import pytest

from operations.terraform import runner as terraform
from operations.terraform import schedule

_REGION = {"shared": set[str](), "dev": {"shared"}, "staging": {"shared"}, "dev-gitops": {"shared", "dev"}}


def _acted(*failing: str) -> tuple[list[str], dict[str, list[str]]]:
    acted: list[str] = []

    def act(name: str) -> bool:
        acted.append(name)
        return name not in failing

    missed = schedule.run(_REGION, act, at_once=2)
    return acted, missed


def test_each_comes_after_those_that_it_names() -> None:
    acted, missed = _acted()
    assert missed == {}
    assert acted[0] == "shared"
    assert acted.index("dev") < acted.index("dev-gitops")


def test_a_failure_keeps_what_comes_after_it_and_nothing_else() -> None:
    acted, missed = _acted("dev")
    assert sorted(acted) == ["dev", "shared", "staging"]
    assert missed == {"dev-gitops": ["dev"]}


def test_what_was_not_asked_for_is_not_waited_for() -> None:
    assert schedule.run({"dev": {"shared"}}, lambda _: True, at_once=1) == {}


@pytest.mark.parametrize("at_once", [1, 2])
def test_independent_ones_run_at_once_within_the_bound(at_once: int) -> None:
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

    schedule.run({name: set() for name in "abcd"}, act, at_once=at_once)
    assert most == at_once


def test_an_error_that_nobody_expects_comes_through() -> None:
    def act(_: str) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        schedule.run({"a": set()}, act, at_once=1)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_passed_to_terraform_once_and_nobody_else(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted: list[str] = []
    monkeypatch.setattr(terraform, "interrupt", lambda: interrupted.append("interrupted"))
    inherited = signal.signal(number, signal.SIG_DFL)  # the tests themselves may run below `nohup`

    def act(_: str) -> bool:
        os.kill(os.getpid(), number)
        time.sleep(0.2)
        return False

    try:
        assert schedule.run({"a": set(), "b": {"a"}}, act, at_once=1) == {"b": ["a"]}
        assert interrupted == ["interrupted"]
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, inherited)


def test_what_is_to_outlive_its_terminal_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """`nohup` has SIGHUP ignored."""
    monkeypatch.setattr(terraform, "interrupt", lambda: pytest.fail("interrupted"))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def act(_: str) -> bool:
        os.kill(os.getpid(), signal.SIGHUP)
        return True

    try:
        assert schedule.run({"a": set()}, act, at_once=1) == {}
    finally:
        signal.signal(signal.SIGHUP, before)
