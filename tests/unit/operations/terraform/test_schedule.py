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

    skipped = schedule.run_in_order(_REGION, act, parallelism=2)
    return acted, skipped


def test_each_comes_after_those_that_it_names() -> None:
    acted, skipped = _acted()
    assert skipped == {}
    assert acted[0] == "shared"
    assert acted.index("dev") < acted.index("dev-gitops")


def test_a_failure_keeps_what_comes_after_it_and_nothing_else() -> None:
    acted, skipped = _acted("dev")
    assert sorted(acted) == ["dev", "shared", "staging"]
    assert skipped == {"dev-gitops": ["dev"]}


def test_what_was_not_asked_for_is_not_waited_for() -> None:
    assert schedule.run_in_order({"dev": {"shared"}}, lambda _: True, parallelism=1) == {}


@pytest.mark.parametrize("parallelism", [1, 2])
def test_independent_ones_run_at_once_within_the_bound(parallelism: int) -> None:
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


def test_an_error_that_nobody_expects_comes_through() -> None:
    def act(_: str) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        schedule.run_in_order({"a": set()}, act, parallelism=1)


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
        assert schedule.run_in_order({"a": set(), "b": {"a"}}, act, parallelism=1) == {"b": ["a"]}
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
        assert schedule.run_in_order({"a": set()}, act, parallelism=1) == {}
    finally:
        signal.signal(signal.SIGHUP, before)
