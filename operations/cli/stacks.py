"""The commands for stacks: list, plan, guard, deploy, recover, adopt, drift, destroy, preflight and more."""

import json
import select
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from operations.cli.console import AsJson, Output, Stacks, errors_for_people, reported, say
from operations.clients.github import set_output
from operations.errors import OperationError
from operations.terraform import synthesis
from operations.terraform.stacks import all_producers, read_platform, read_stacks, select_stacks

if TYPE_CHECKING:
    from operations.guard.guard import Override
    from operations.output.report import Report
    from operations.terraform.stacks import Stack

app = typer.Typer(add_completion=False)

Overrides = Annotated[Path, typer.Option(help="The reviewed file of changes that the guard accepts.")]
Parallelism = Annotated[int, typer.Option(min=1, help="The number of stacks to process at once.")]
_PARALLELISM = 4
_NO_WAIT = "0s"
_OVERRIDES = Path("guard-overrides.toml")
_EXCEPTIONS = Path("scanner-exceptions.toml")
_TIMEOUT_MINUTES = 15
_POLL_SECONDS = 0.2


@app.command()
def synth(
    output: Output = Path("cdktf.out"),
    *,
    force: Annotated[bool, typer.Option("--force", help="Synthesize even if no input has changed.")] = False,
) -> None:
    """Synthesize all stacks, and list them. Does nothing if no input of the synthesis has changed.

    Inputs are the files, folders and environment variables that `main.py` reads, the installed packages, and the day.
    Example: python -m operations synth
    """
    with errors_for_people():
        changed = synthesis.synthesize(output, force=force)
        if changed is None:
            say(f"{output} is up to date")
        for warning in synthesis.warnings(output):
            typer.secho(f"warning: {warning}", fg="yellow", err=True)
    stacks(output)


@app.command()
def stacks(output: Output = Path("cdktf.out")) -> None:
    """List the synthesized stacks, one per row, each after the stacks that it depends on.

    Example: python -m operations stacks
    """
    with errors_for_people():
        for line in synthesis.listing(output):
            typer.echo(line)


@app.command("plan")
def plan_(
    stacks: Stacks = None,
    *,
    output: Output = Path("cdktf.out"),
    base: Annotated[str | None, typer.Option(help="Plan the stacks that differ from this revision.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Plan all stacks, whether they differ or not.")] = False,
    listing: Annotated[
        bool, typer.Option("--list", help="Only list the stacks to plan, which needs no access to AWS.")
    ] = False,
    overrides: Overrides = _OVERRIDES,
    parallelism: Parallelism = _PARALLELISM,
    as_json: AsJson = False,
) -> None:
    """Plan the stacks that differ from the merge base with origin/main, and check the plans with the guard.

    Exits with status 2 if there are changes. With --list, sets the output `places` of a workflow step, which has the
    stacks by region and account.

    Example: python -m operations plan 'ap-northeast-2-*' --json > reviewed.json
    """
    from operations.deploy import plan  # noqa: PLC0415
    from operations.output.progress import Progress  # noqa: PLC0415
    from operations.repository import revision  # noqa: PLC0415

    with reported(as_json=as_json) as report:
        allowed = _allowed(overrides)
        compared = None if everything else base or revision.default_base()
        chosen = plan.selection(output, stacks or [], compared)
        if listing and chosen.differs:
            listed = plan.listing(chosen)
            set_output("places", json.dumps(listed.data["places"]))
            report(listed)
            return
        report(plan.plan(chosen, allowed, Progress(), parallelism=parallelism, logs=output / "logs"))


@app.command("guard")
def guard_(
    plans: Annotated[list[Path], typer.Argument(metavar="PLAN.json...", help="The plans, each named after its stack.")],
    *,
    overrides: Overrides = _OVERRIDES,
    as_json: AsJson = False,
) -> None:
    """Check plans from `terraform show -json` for changes that lose data, widen access or lower protection.

    Exits with status 2 if a change is refused or needs review.

    Example: python -m operations guard ap-northeast-2-dev.json
    """
    from operations.guard import guard  # noqa: PLC0415

    with reported(as_json=as_json) as report:
        report(guard.guard(plans, _allowed(overrides)))


@app.command("deploy")
def deploy_(
    stacks: Stacks = None,
    *,
    output: Output = Path("cdktf.out"),
    reviewed: Annotated[
        Path | None, typer.Option(help="The output of `plan --json`: apply these plans without confirmation.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Apply unreviewed plans without confirmation, unless the guard refuses them.")
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="First roll back Helm releases whose last operation was interrupted.")
    ] = False,
    wait_for_lock: Annotated[str, typer.Option(help="How long to wait for a locked state, such as 10m.")] = _NO_WAIT,
    overrides: Overrides = _OVERRIDES,
    parallelism: Parallelism = _PARALLELISM,
    as_json: AsJson = False,
) -> None:
    """Deploy stacks in the order of their dependencies. Each is planned after the stacks that it depends on.

    A plan that was not reviewed needs confirmation; without a terminal it is refused, with exit status 2.

    Example: python -m operations deploy ap-northeast-2-shared 'ap-northeast-2-dev*' --reviewed reviewed.json
    """
    from operations.deploy import deploy  # noqa: PLC0415
    from operations.output.progress import Progress  # noqa: PLC0415

    given = _given(
        {
            "--output": (output, Path("cdktf.out")),
            "--reviewed": (reviewed, None),
            "--overrides": (overrides, _OVERRIDES),
            "--wait-for-lock": (wait_for_lock, _NO_WAIT),
            "--parallelism": (parallelism, _PARALLELISM),
            "--repair": (repair, False),
            "--yes": (yes, False),
        }
    )

    def resume_command(names: Sequence[str]) -> str:
        return _command("deploy", *names, *given)

    with reported(as_json=as_json) as report:
        found = read_stacks(output)
        options = deploy.Options(
            reviewed=deploy.reviewed(reviewed) if reviewed else {},
            allowed=_allowed(overrides),
            applies_unreviewed=yes,
            repairs=repair,
            ask=_ask if sys.stdin.isatty() and sys.stderr.isatty() else None,
            lock_timeout=wait_for_lock,
            parallelism=parallelism,
            logs=output / "logs",
        )
        chosen, producers = select_stacks(found, stacks or []), all_producers(found)
        report(deploy.deploy(chosen, producers, options, Progress(), resume_command))


@app.command("recover")
def recover_(
    stacks: Annotated[list[str], typer.Argument(metavar="STACK...", help="Names or glob patterns.")],
    *,
    output: Output = Path("cdktf.out"),
    yes: Annotated[
        bool, typer.Option("--yes", help="Apply the plans without confirmation, unless they are refused.")
    ] = False,
    wait_for_lock: Annotated[str, typer.Option(help="How long to wait for a locked state, such as 10m.")] = _NO_WAIT,
    overrides: Overrides = _OVERRIDES,
    as_json: AsJson = False,
) -> None:
    """Bring resources that exist back into the state, after Terraform was killed during an apply.

    Finds them in AWS by their names and tags, and applies a plan that imports them and creates what is missing.
    Keeps resources whose creation did not end, after confirmation. Refuses a plan that would replace or destroy another
    resource. Safe to run again.

    Example: python -m operations recover ap-northeast-2-dev
    """
    with reported(as_json=as_json) as report:
        found = read_stacks(output)
        with_options = _Importing(output, wait_for_lock, overrides, applies_unreviewed=yes)
        report(with_options.deploy("recover", select_stacks(found, stacks), found, is_recovery=True))


@app.command("adopt")
def adopt_(
    stack: Annotated[str, typer.Argument(help="The name of the stack.")],
    *,
    ids: Annotated[
        list[str] | None,
        typer.Option("--id", metavar="ADDRESS=ID", help="The import ID of a resource; empty if none of them is meant."),
    ] = None,
    output: Output = Path("cdktf.out"),
    yes: Annotated[
        bool, typer.Option("--yes", help="Apply the plan without confirmation, unless it is refused.")
    ] = False,
    wait_for_lock: Annotated[str, typer.Option(help="How long to wait for a locked state, such as 10m.")] = _NO_WAIT,
    overrides: Overrides = _OVERRIDES,
    as_json: AsJson = False,
) -> None:
    """Take over resources that others made, such as by hand, under the names in the settings.

    Finds them in AWS by these names, shows a plan that imports them and creates what is missing, and applies it.
    Refuses a plan that would replace or destroy what it imports. Safe to run again.

    Example: python -m operations adopt ap-northeast-2-dev --id aws_kms_key.key_F64E54E4=1234abcd
    """
    from operations.deploy import adopt  # noqa: PLC0415

    with reported(as_json=as_json) as report:
        found = read_stacks(output)
        (chosen, *others) = select_stacks(found, [stack])
        if others:
            raise OperationError(f"{stack}: matches {len(others) + 1} stacks; name one")
        adoption = adopt.Adoption(chosen, adopt.parse_ids(chosen, ids or []), found)
        given = [part for one in ids or [] for part in ("--id", one)]
        with_options = _Importing(output, wait_for_lock, overrides, applies_unreviewed=yes)
        report(with_options.deploy("adopt", [chosen], found, *given, adoption=adoption))


@app.command("drift")
def drift_(
    stacks: Stacks = None,
    *,
    output: Output = Path("cdktf.out"),
    ignored: Annotated[Path, typer.Option(help="The reviewed list of ignored drift.")] = Path("drift-ignored.toml"),
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1, help="The number of plans to run at once; by default as many as CPU cores and memory allow."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find changes made outside of Terraform, including resources in no Terraform state. Takes no state lock.

    Exits with status 2 if there is drift. Changes in Git that are not yet applied are reported, but are not drift.

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
    stacks: Annotated[list[str], typer.Argument(metavar="STACK...", help="Names or glob patterns.")],
    *,
    output: Output = Path("cdktf.out"),
    confirm: Annotated[
        str | None, typer.Option(help="The environments to destroy, separated by commas, instead of typing them.")
    ] = None,
    timeout_minutes: Annotated[
        int, typer.Option("--patience", min=1, help="Minutes to wait for each step in a cluster.")
    ] = _TIMEOUT_MINUTES,
    parallelism: Parallelism = _PARALLELISM,
    as_json: AsJson = False,
) -> None:
    """Destroy stacks in reverse order of their dependencies, clear their clusters first, and find remaining resources.

    Asks for the names of the environments as confirmation, with their regions if several regions have them.
    Exits with status 2 if resources remain. Safe to run again.

    Example: python -m operations destroy 'ap-northeast-2-dev*' --confirm dev
    """
    from operations.destroy import destroy  # noqa: PLC0415
    from operations.output.progress import Progress  # noqa: PLC0415

    given_options = ["--output", str(output)] if output != Path("cdktf.out") else []
    given_options += ["--patience", str(timeout_minutes)] if timeout_minutes != _TIMEOUT_MINUTES else []
    given_options += ["--parallelism", str(parallelism)] if parallelism != _PARALLELISM else []

    def resume_command(left: "Sequence[Stack]") -> str:
        confirmed = ["--confirm", ",".join(destroy.environments(left, every))] if confirm else []
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
    """Check that a deploy can succeed: tools, credentials, settings, state, names, quotas and offerings.

    Changes nothing. Exits with status 1 if the deploy would fail, and with status 2 if it may fail.

    Example: python -m operations preflight 'ap-northeast-2-*'
    """
    from operations.preflight import preflight  # noqa: PLC0415

    with reported(as_json=as_json) as report:
        platform = read_platform(output)
        chosen = select_stacks(platform.stacks, stacks or [])
        report(preflight.preflight(chosen, platform.placeholders, Path()))


@app.command("upgrade")
def upgrade_(
    environment: Annotated[str, typer.Argument(help="The environment; its stack if several regions have it.")],
    version: Annotated[str, typer.Argument(help="The Kubernetes version, such as 1.36.")],
    *,
    write: Annotated[bool, typer.Option("--write", help="Write the settings file if no check failed.")] = False,
    output: Output = Path("cdktf.out"),
    as_json: AsJson = False,
) -> None:
    """Check whether an environment can get another Kubernetes version, and show the change of its settings.

    Changes nothing in AWS. A version that is older than the running one is the way back. Exits with status 1 if a check
    failed, and with status 2 if one warns.

    Example: python -m operations upgrade dev 1.36
    """
    from operations.upgrade import upgrade  # noqa: PLC0415

    with reported(as_json=as_json) as report:
        report(upgrade.upgrade(read_platform(output), environment, version, Path(), write=write))


@app.command("ami-releases")
def ami_releases_(
    stacks: Stacks = None,
    *,
    output: Output = Path("cdktf.out"),
    as_json: AsJson = False,
) -> None:
    """Write the newest AMI release of each managed node group into the settings.

    Example: python -m operations ami-releases ap-northeast-2-dev
    """
    from operations import ami_releases  # noqa: PLC0415

    with reported(as_json=as_json) as report:
        report(ami_releases.pin(select_stacks(read_stacks(output), stacks or []), Path()))


@app.command("validate")
def validate_(
    stacks: Stacks = None,
    *,
    output: Output = Path("cdktf.out"),
    as_json: AsJson = False,
) -> None:
    """Run the checks of the pipelines that need no AWS account: stacks, style, manifests and workflows.

    Exits with status 2 if a check had to be skipped.

    Example: python -m operations validate --json
    """
    from operations import validate  # noqa: PLC0415

    def say(text: str) -> None:
        typer.secho(text, err=True)

    with reported(as_json=as_json) as report:
        every = read_stacks(output)
        report(validate.validate(select_stacks(every, stacks or []), every, output / "plans", say))


@app.command("scan")
def scan_(
    plans: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PLAN.json...]", help="Existing plans, each named after its stack."),
    ] = None,
    *,
    output: Output = Path("cdktf.out"),
    exceptions: Annotated[Path, typer.Option(help="The reviewed file of failed checks that are right.")] = _EXCEPTIONS,
    as_json: AsJson = False,
) -> None:
    """Check plans with checkov, without the network. Without plans, all AWS stacks are planned, which must be deployed.

    Exits with status 1 if a failed check has no reason, or a reason is not needed. Needs `make checkov`.

    Example: python -m operations scan ap-northeast-2-dev.json
    """
    from operations.scanner import scanner  # noqa: PLC0415
    from operations.terraform.runner import plan_folder  # noqa: PLC0415

    with reported(as_json=as_json) as report, plan_folder() as folder:
        allowed = scanner.reasons(exceptions, datetime.now(UTC).date())
        stacks = [stack for stack in read_stacks(output) if not stack.is_in_cluster]
        files = plans or scanner.write_plans(stacks, folder, output / "logs")
        report(scanner.scan(files, allowed, [stack.name for stack in stacks]))


def _allowed(file: Path) -> "list[Override]":
    from operations.guard import guard  # noqa: PLC0415

    return guard.overrides(file, datetime.now(UTC).date())


class _Importing(NamedTuple):
    """The options of the commands that deploy with the import of what exists."""

    output: Path
    wait_for_lock: str
    overrides: Path
    applies_unreviewed: bool

    def deploy(
        self, command: str, chosen: Sequence["Stack"], found: Sequence["Stack"], *given: str, **how: Any
    ) -> "Report":
        """Deploy the chosen stacks of those found. `how` are the options of the deploy that say what is imported."""
        from operations.deploy import deploy  # noqa: PLC0415
        from operations.output.progress import Progress  # noqa: PLC0415

        options = deploy.Options(
            allowed=_allowed(self.overrides),
            applies_unreviewed=self.applies_unreviewed,
            ask=_ask if sys.stdin.isatty() and sys.stderr.isatty() else None,
            lock_timeout=self.wait_for_lock,
            logs=self.output / "logs",
            **how,
        )
        again = _given(
            {
                "--output": (self.output, Path("cdktf.out")),
                "--overrides": (self.overrides, _OVERRIDES),
                "--wait-for-lock": (self.wait_for_lock, _NO_WAIT),
                "--yes": (self.applies_unreviewed, False),
            }
        )
        return deploy.deploy(
            chosen,
            all_producers(found),
            options,
            Progress(),
            lambda names: _command(command, *names, *again, *given),
        )


def _command(*arguments: str) -> str:
    """An `operations` command line that the user can run from the current folder."""
    python = Path(sys.executable)
    known = python.relative_to(Path.cwd()) if python.is_relative_to(Path.cwd()) else python
    return shlex.join([str(known), "-m", "operations", *arguments])


def _given(options: Mapping[str, tuple[object, object]]) -> list[str]:
    """The options, given by value and default, that are not the defaults, as arguments of a command line."""
    given = {name: value for name, (value, default) in options.items() if value != default}
    return [part for name, value in given.items() for part in ([name] if value is True else [name, str(value)])]


def _confirm(expected: str, summary: str, given: str | None) -> None:
    """Require confirmation: `--confirm`, or the names of the environments typed at a terminal."""
    if given is None:
        if not sys.stdin.isatty():
            raise OperationError(f"destroy: needs confirmation, and there is no terminal; add --confirm {expected}")
        typer.echo(summary, err=True)
        given = typer.prompt(f"All resources will be destroyed. Type {expected} to continue", err=True)
    if given != expected:
        raise OperationError(f"confirmation: got {given!r}, expected {expected!r}; nothing was changed")


def _ask(question: str, plan: str) -> bool:
    """Ask for confirmation in any thread. An interrupt, which the main thread handles, counts as a no."""
    from operations.terraform import runner as terraform  # noqa: PLC0415

    typer.echo(f"{plan}\n{question}. Apply it? [y/N]: ", nl=False, err=True)
    while not terraform.is_interrupted():
        if select.select([sys.stdin], [], [], _POLL_SECONDS)[0]:
            return sys.stdin.readline().strip().lower() in {"y", "yes"}
    return False
