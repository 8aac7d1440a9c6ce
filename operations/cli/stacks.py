"""The commands for stacks: list, plan, judge, deploy, find drift, destroy, preflight and validate."""

import select
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from operations.cli.console import AsJson, Output, Stacks, errors_for_people, reported
from operations.errors import OperationError
from operations.terraform.stacks import all_producers, read_platform, read_stacks, select_stacks

if TYPE_CHECKING:
    from operations.guard.guard import Override
    from operations.terraform.stacks import Stack

app = typer.Typer(add_completion=False)

Overrides = Annotated[Path, typer.Option(help="The reviewed file of what the guard lets pass.")]
Parallelism = Annotated[int, typer.Option(min=1, help="How many stacks at once.")]
_PARALLELISM = 4
_NO_WAIT = "0s"
_OVERRIDES = Path("guard-overrides.toml")
_TIMEOUT_MINUTES = 15
_LOOKS_EVERY_SECONDS = 0.2


@app.command()
def stacks(output: Output = Path("cdktf.out")) -> None:
    """List what was synthesized: one stack a row, each after the stacks that it reads from.

    Example: python -m operations stacks
    """
    with errors_for_people():
        found = read_stacks(output)
        width = max((len(stack.name) for stack in found), default=0)
        for stack in found:
            reads = f"  reads {', '.join(stack.dependencies)}" if stack.dependencies else ""
            typer.echo(f"{stack.name:{width}}  {sum(1 for _ in stack.resources()):3} resources{reads}")


@app.command("plan")
def plan_(
    stacks: Stacks = None,
    *,
    output: Output = Path("cdktf.out"),
    base: Annotated[str | None, typer.Option(help="Plan what differs from this revision.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Plan what does not differ, too.")] = False,
    overrides: Overrides = _OVERRIDES,
    parallelism: Parallelism = _PARALLELISM,
    as_json: AsJson = False,
) -> None:
    """Plan the stacks that differ from where this branch left origin/main, and let the guard judge.

    Ends with 2 where there are changes. Example: python -m operations plan 'ap-northeast-2-*' --json > reviewed.json
    """
    from operations.deploy import plan  # noqa: PLC0415
    from operations.output.progress import Progress  # noqa: PLC0415
    from operations.repository import revision  # noqa: PLC0415

    with reported(as_json=as_json) as report:
        allowed = _allowed(overrides)
        compared = None if everything else base or revision.default_base()
        chosen = plan.selection(output, stacks or [], compared)
        report(plan.plan(chosen, allowed, Progress(), parallelism=parallelism, logs=output / "logs"))


@app.command("guard")
def guard_(
    plans: Annotated[list[Path], typer.Argument(metavar="PLAN.json...", help="Named after their stacks.")],
    *,
    overrides: Overrides = _OVERRIDES,
    as_json: AsJson = False,
) -> None:
    """Judge plans, as `terraform show -json` writes them: what loses data, widens access or lowers protection.

    Ends with 2 where something is refused or for review. Example: python -m operations guard ap-northeast-2-dev.json
    """
    from operations.guard import guard  # noqa: PLC0415

    with reported(as_json=as_json) as report:
        report(guard.guard(plans, _allowed(overrides)))


@app.command("deploy")
def deploy_(
    stacks: Stacks = None,
    *,
    output: Output = Path("cdktf.out"),
    reviewed: Annotated[Path | None, typer.Option(help="What `plan --json` printed: apply that unasked.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Apply unasked what nobody reviewed; the guard stays.")] = False,
    wait_for_lock: Annotated[str, typer.Option(help="How long to wait for a held lock, such as 10m.")] = _NO_WAIT,
    overrides: Overrides = _OVERRIDES,
    parallelism: Parallelism = _PARALLELISM,
    as_json: AsJson = False,
) -> None:
    """Deploy stacks in the order of their dependencies, each planned after those that it reads from.

    A plan that nobody reviewed is shown and asked for at a terminal, and refused (2) elsewhere.
    Example: python -m operations deploy ap-northeast-2-shared 'ap-northeast-2-dev*' --reviewed reviewed.json
    """
    from operations.deploy import deploy  # noqa: PLC0415
    from operations.output.progress import Progress  # noqa: PLC0415

    given = {
        "--output": (output, Path("cdktf.out")), "--reviewed": (reviewed, None), "--overrides": (overrides, _OVERRIDES),
        "--wait-for-lock": (wait_for_lock, _NO_WAIT), "--parallelism": (parallelism, _PARALLELISM),
    }  # fmt: skip
    given_options = [
        part for name, (value, default) in given.items() if value != default for part in (name, str(value))
    ]
    given_options += ["--yes"] if yes else []

    def resume_command(names: Sequence[str]) -> str:
        return _command("deploy", *names, *given_options)

    with reported(as_json=as_json) as report:
        found = read_stacks(output)
        options = deploy.Options(
            reviewed=deploy.reviewed(reviewed) if reviewed else {},
            allowed=_allowed(overrides),
            applies_unreviewed=yes,
            ask=_ask if sys.stdin.isatty() and sys.stderr.isatty() else None,
            lock_timeout=wait_for_lock,
            parallelism=parallelism,
            logs=output / "logs",
        )
        chosen, producers = select_stacks(found, stacks or []), all_producers(found)
        report(deploy.deploy(chosen, producers, options, Progress(), resume_command))


@app.command("drift")
def drift_(
    stacks: Stacks = None,
    *,
    output: Output = Path("cdktf.out"),
    ignored: Annotated[Path, typer.Option(help="The reviewed list of what is left alone.")] = Path(
        "drift-ignored.toml"
    ),
    jobs: Annotated[
        int | None, typer.Option(min=1, help="How many plans at once; as many as cores and memory carry, if not given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find what differs between AWS and what was applied last, what is in no state included. Takes no lock.

    Ends with 2 where there is drift; what was changed in Git and waits to be applied is told, and is none.
    Example: python -m operations drift 'ap-northeast-2-prod*'
    """
    from operations.drift import drift  # noqa: PLC0415
    from operations.drift import ignored as listed  # noqa: PLC0415
    from operations.output.progress import Progress  # noqa: PLC0415

    with reported(as_json=as_json) as report:
        every = read_stacks(output)
        chosen = select_stacks(every, stacks or [])
        entries = listed.read_ignored(ignored)
        report(drift.drift(chosen, every, entries, Progress(), parallelism=jobs or drift.jobs(), logs=output / "logs"))


@app.command("destroy")
def destroy_(
    stacks: Annotated[list[str], typer.Argument(metavar="STACK...", help="Names or globs.")],
    *,
    output: Output = Path("cdktf.out"),
    confirm: Annotated[str | None, typer.Option(help="The environments, as they are asked for.")] = None,
    timeout_minutes: Annotated[
        int, typer.Option("--patience", min=1, help="Minutes to wait for each step in a cluster.")
    ] = _TIMEOUT_MINUTES,
    parallelism: Parallelism = _PARALLELISM,
    as_json: AsJson = False,
) -> None:
    """Destroy stacks, consumers before producers; clear their clusters before, and look for what is left after.

    Asks for the names of the environments to be typed. Ends with 2 where something is left. Safe to run again.
    Example: python -m operations destroy 'ap-northeast-2-dev*' --confirm dev
    """
    from operations.destroy import destroy  # noqa: PLC0415
    from operations.output.progress import Progress  # noqa: PLC0415

    given_options = ["--output", str(output)] if output != Path("cdktf.out") else []
    given_options += ["--patience", str(timeout_minutes)] if timeout_minutes != _TIMEOUT_MINUTES else []

    def resume_command(left: "Sequence[Stack]") -> str:
        confirmed = ["--confirm", ",".join(destroy.environments(left))] if confirm else []
        return _command("destroy", *(stack.name for stack in left), *given_options, *confirmed)

    with reported(as_json=as_json) as report:
        every = read_stacks(output)
        destruction = destroy.prepare(select_stacks(every, stacks), every)
        _confirm(",".join(destruction.environments), destruction.summary, confirm)
        options = destroy.Options(
            resume_command, parallelism=parallelism, logs=output / "logs", timeout_seconds=timeout_minutes * 60
        )
        report(destroy.destroy(destruction, options, Progress()))


@app.command("preflight")
def preflight_(
    stacks: Stacks = None,
    *,
    output: Output = Path("cdktf.out"),
    as_json: AsJson = False,
) -> None:
    """Find in a minute what would fail an hour later: tools, credentials, settings, state, names, quotas, offers.

    Nothing is changed. Ends with 1 where something would fail, and with 2 where something may.
    Example: python -m operations preflight 'ap-northeast-2-*'
    """
    from operations.preflight import preflight  # noqa: PLC0415

    with reported(as_json=as_json) as report:
        platform = read_platform(output)
        chosen = select_stacks(platform.stacks, stacks or [])
        report(preflight.preflight(chosen, platform.placeholders, Path()))


@app.command("validate")
def validate_(
    stacks: Stacks = None,
    *,
    output: Output = Path("cdktf.out"),
    as_json: AsJson = False,
) -> None:
    """Check what pipelines check, without an account: stacks, style, manifests, workflows.

    Ends with 2 where something could not be checked here. Example: python -m operations validate --json
    """
    from operations import validate  # noqa: PLC0415

    def say(text: str) -> None:
        typer.secho(text, err=True)

    with reported(as_json=as_json) as report:
        chosen = select_stacks(read_stacks(output), stacks or [])
        report(validate.validate(chosen, say))


def _allowed(file: Path) -> "list[Override]":
    from operations.guard import guard  # noqa: PLC0415

    return guard.overrides(file, datetime.now(UTC).date())


def _command(*arguments: str) -> str:
    """A command of ours, for whoever repeats it from this folder."""
    python = Path(sys.executable)
    known = python.relative_to(Path.cwd()) if python.is_relative_to(Path.cwd()) else python
    return shlex.join([str(known), "-m", "operations", *arguments])


def _confirm(wanted: str, told: str, given: str | None) -> None:
    """Let a person type what will be gone, or a pipeline name it."""
    if given is None:
        if not sys.stdin.isatty():
            raise OperationError(f"nobody is there to be asked; name what will be gone: --confirm {wanted}")
        typer.echo(told, err=True)
        given = typer.prompt(f"All of it will be gone. Type {wanted} to go on", err=True)
    if given != wanted:
        raise OperationError(f"confirmed was {given!r}, and not {wanted!r}; nothing was touched")


def _ask(question: str, plan: str) -> bool:
    """Ask in whatever thread this is: an interrupt, which another thread hears, ends the waiting."""
    from operations.terraform import runner as terraform  # noqa: PLC0415

    typer.echo(f"{plan}\n{question}. Apply it? [y/N]: ", nl=False, err=True)
    while not terraform.is_interrupted():
        if select.select([sys.stdin], [], [], _LOOKS_EVERY_SECONDS)[0]:
            return sys.stdin.readline().strip().lower() in {"y", "yes"}
    return False
