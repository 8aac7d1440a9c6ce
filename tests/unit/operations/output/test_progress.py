"""Progress, at a terminal and elsewhere."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from operations.output.progress import Progress


def _progress(*, terminal: bool) -> tuple[Progress, Callable[[], str]]:
    """A progress display, and a function that returns what it printed."""
    file = io.StringIO()
    return Progress(Console(file=file, force_terminal=terminal, width=120, soft_wrap=True)), file.getvalue


def _event(kind: str, address: str, action: str = "create", seconds: int = 0) -> dict[str, Any]:
    return {"type": kind, "hook": {"resource": {"addr": address}, "action": action, "elapsed_seconds": seconds}}


def _doing(progress: Progress) -> str:
    """The text beside the bar of the only stack."""
    return str(progress._bars.tasks[0].fields["doing"])


def test_without_a_terminal_each_change_is_a_line() -> None:
    progress, printed = _progress(terminal=False)
    with progress, progress.stack("dev", "applying", 2) as on_event:
        on_event(_event("apply_start", "aws_vpc.vpc"))
        on_event(_event("apply_complete", "aws_vpc.vpc", seconds=3))
        on_event(_event("apply_start", "aws_eip.eip", "delete"))
        on_event(_event("apply_errored", "aws_eip.eip", "delete", seconds=9))
        progress.end("dev", "failed")
    assert printed().splitlines() == [
        "dev: applying",
        "dev: aws_vpc.vpc created after 3 s",
        "dev: aws_eip.eip failed after 9 s",
        "dev: failed",
    ]


def test_long_changes_are_reported_every_minute() -> None:
    progress, printed = _progress(terminal=False)
    with progress, progress.stack("dev", "applying") as on_event:
        on_event(_event("apply_start", "aws_eks_cluster.cluster"))
        for seconds in range(10, 130, 10):
            on_event(_event("apply_progress", "aws_eks_cluster.cluster", seconds=seconds))
    assert printed().splitlines() == [
        "dev: applying",
        "dev: aws_eks_cluster.cluster still creating, 60 s",
        "dev: aws_eks_cluster.cluster still creating, 120 s",
    ]


def test_long_changes_are_reported_every_minute_although_the_seconds_drift() -> None:
    """Terraform reports every ten seconds and a little more: 120 s, then 131 s."""
    progress, printed = _progress(terminal=False)
    with progress, progress.stack("dev", "applying") as on_event:
        on_event(_event("apply_start", "aws_eks_cluster.cluster"))
        for seconds in (*range(10, 130, 10), *range(131, 250, 10)):
            on_event(_event("apply_progress", "aws_eks_cluster.cluster", seconds=seconds))
    assert [line.rpartition(", ")[2] for line in printed().splitlines()[1:]] == ["60 s", "120 s", "181 s", "241 s"]


def test_reads_and_other_events_are_not_reported() -> None:
    progress, printed = _progress(terminal=False)
    with progress, progress.stack("dev", "planning") as on_event:
        on_event({"type": "version", "@message": "Terraform 1.11.4"})
        on_event(_event("apply_start", "data.aws_region.current", "read"))
        on_event(_event("refresh_start", "aws_vpc.vpc", "create"))
    assert printed() == "dev: planning\n"


def test_at_a_terminal_a_bar_shows_the_running_changes_of_a_stack() -> None:
    progress, printed = _progress(terminal=True)
    with progress, progress.stack("dev", "applying", 3) as on_event:
        assert _doing(progress) == "applying"
        on_event(_event("apply_start", "aws_vpc.vpc"))
        assert _doing(progress) == "creating aws_vpc.vpc"
        on_event(_event("apply_start", "aws_eip.eip", "update"))
        assert _doing(progress) == "creating aws_vpc.vpc and 1 more"
        on_event(_event("apply_complete", "aws_vpc.vpc"))
        assert _doing(progress) == "updating aws_eip.eip"
        on_event(_event("apply_errored", "aws_eip.eip", "update"))
        assert _doing(progress) == "applying"
        assert progress._bars.tasks[0].completed == 1  # a failed change is not complete
        progress.end("dev", "failed")
        assert _doing(progress) == "failed"
        assert progress._bars.tasks[0].stop_time is not None
    assert "created after" not in printed()
    assert "1/3" in printed()


def test_the_bar_of_a_stack_starts_again_for_its_next_step() -> None:
    progress, _ = _progress(terminal=True)
    with progress:
        with progress.stack("dev", "planning", 1) as on_event:
            on_event(_event("apply_complete", "aws_vpc.vpc"))
        with progress.stack("dev", "applying", 4):
            (bar,) = progress._bars.tasks
            assert (bar.completed, bar.total, bar.fields["doing"]) == (0, 4, "applying")


def test_the_outcome_of_a_stack_that_never_started_is_shown() -> None:
    progress, printed = _progress(terminal=False)
    with progress:
        progress.end("dev", "skipped")
    assert printed() == "dev: skipped\n"
    assert progress._bars.tasks == []


@pytest.mark.parametrize("terminal", [True, False])
def test_messages_are_printed_as_they_are(*, terminal: bool) -> None:
    """Addresses such as `aws_subnet.private["a"]` are no markup."""
    progress, printed = _progress(terminal=terminal)
    with progress:
        progress.say("dev", 'aws_subnet.private["a"] [bold]')
    assert 'dev: aws_subnet.private["a"] [bold]\n' in printed()


def test_while_it_is_paused_the_bars_do_not_overwrite_a_question() -> None:
    progress, printed = _progress(terminal=True)
    with progress:
        with progress.paused() as console:
            started = [progress._bars.live.is_started]
            console.print("Apply it? ", end="")
        started.append(progress._bars.live.is_started)
    started.append(progress._bars.live.is_started)
    assert started == [False, True, False]
    assert "Apply it? " in printed()
