"""The command line: every command says what it does by `--help`.

It ends with 0 (fine), 1 (an error) or 2 (there is something to look at).
"""

import os
import select
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from operations import cli_delivery, cli_safety
from operations.console import AsJson, Output, Stacks, errors_for_people, reported, say
from operations.errors import OperationError

if TYPE_CHECKING:
    from operations.guard import Override
    from operations.synthesized import Stack

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(cli_delivery.app)
app.add_typer(cli_safety.app)

_HOME = Path(".bootstrap")


@app.command()
def stacks(output: Output = Path("cdktf.out")) -> None:
    """List what was synthesized: one stack a row, each after the stacks that it reads from.

    Example: python -m operations stacks
    """
    from operations import synthesized  # noqa: PLC0415

    with errors_for_people():
        found = synthesized.stacks(output)
        width = max((len(stack.name) for stack in found), default=0)
        for stack in found:
            reads = f"  reads {', '.join(stack.dependencies)}" if stack.dependencies else ""
            typer.echo(f"{stack.name:{width}}  {sum(1 for _ in stack.resources()):3} resources{reads}")


@app.command("bootstrap")
def bootstrap_(output: Output = Path("cdktf.out")) -> None:
    """Make the state bucket of every region, and move its own state into it. Safe to run again.

    Example: make bootstrap
    """
    from operations import bootstrap  # noqa: PLC0415

    _for_every_backend(output, bootstrap.bootstrap)


@app.command("unbootstrap")
def unbootstrap_(output: Output = Path("cdktf.out")) -> None:
    """Destroy the state bucket of every region, after every other stack is destroyed. Safe to run again.

    Example: make unbootstrap
    """
    from operations import bootstrap  # noqa: PLC0415

    _for_every_backend(output, bootstrap.unbootstrap)


def _for_every_backend(output: Path, act: Callable[..., None]) -> None:
    from operations import synthesized  # noqa: PLC0415

    with errors_for_people():
        for stack in synthesized.backend_stacks(output):
            act(stack, _HOME, say)


@app.command()
def local() -> None:
    """Deploy every AWS stack to an emulated AWS on this machine. No account is needed, and none is touched.

    With KUBECONFIG set, goes on to the in-cluster stack of dev, in the cluster of that file's current context.
    Example: make local
    """
    from operations import local as platform  # noqa: PLC0415

    with errors_for_people():
        outputs = platform.up(say)
    _show(outputs)
    say("\nNext:")
    typer.echo(f"  source {platform.ENVIRONMENT_FILE}    # points the AWS command line and Terraform at it")
    typer.echo("  aws eks list-clusters")
    typer.echo(f"  .venv/bin/python -m operations plan --all ap-northeast-2-dev --output {platform.OUTPUT}")
    if "KUBECONFIG" in os.environ:
        typer.echo("  kubectl --namespace argocd get applications")
        typer.echo(
            "  kubectl --namespace argocd port-forward service/argocd-server 8080:80    # then http://localhost:8080"
        )
    else:
        typer.echo("  KUBECONFIG=FILE make local    # goes on into a cluster of yours, such as one of kind or k3d")
    typer.echo("  make local         # again, after a change of settings")
    typer.echo("  make local-down    # destroys everything and stops the emulated AWS")


@app.command()
def local_down() -> None:
    """Destroy what `local` deployed, and stop the emulated AWS.

    Example: make local-down
    """
    from operations import local as platform  # noqa: PLC0415

    with errors_for_people():
        platform.down(say)


@app.command()
def remove_crds() -> None:
    """Remove the custom resource definitions that a destroyed in-cluster stack leaves in the current cluster.

    Refuses while any instance exists. Example: KUBECONFIG=FILE make remove-crds
    """
    from operations import crds  # noqa: PLC0415

    with errors_for_people():
        crds.remove(say)


Overrides = Annotated[Path, typer.Option(help="The reviewed file of what the guard lets pass.")]
AtOnce = Annotated[int, typer.Option(min=1, help="How many stacks at once.")]
_AT_ONCE = 4
_NO_WAIT = "0s"
_OVERRIDES = Path("guard-overrides.toml")


@app.command("plan")
def plan_(
    stacks: Stacks = None,
    *,
    output: Output = Path("cdktf.out"),
    base: Annotated[str | None, typer.Option(help="Plan what differs from this revision.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Plan what does not differ, too.")] = False,
    overrides: Overrides = _OVERRIDES,
    parallelism: AtOnce = _AT_ONCE,
    as_json: AsJson = False,
) -> None:
    """Plan the stacks that differ from where this branch left origin/main, and let the guard judge.

    Ends with 2 where there are changes. Example: python -m operations plan 'ap-northeast-2-*' --json > reviewed.json
    """
    from operations import plan, revision  # noqa: PLC0415
    from operations.progress import Progress  # noqa: PLC0415

    with reported(as_json=as_json) as report:
        allowed = _allowed(overrides)
        compared = None if everything else base or revision.default_base()
        chosen = plan.selection(output, stacks or [], compared)
        report(plan.plan(chosen, allowed, Progress(), at_once=parallelism, logs=output / "logs"))


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
    from operations import guard  # noqa: PLC0415

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
    parallelism: AtOnce = _AT_ONCE,
    as_json: AsJson = False,
) -> None:
    """Deploy stacks in the order of their dependencies, each planned after those that it reads from.

    A plan that nobody reviewed is shown and asked for at a terminal, and refused (2) elsewhere.
    Example: python -m operations deploy ap-northeast-2-shared 'ap-northeast-2-dev*' --reviewed reviewed.json
    """
    from operations import deploy, synthesized  # noqa: PLC0415
    from operations.progress import Progress  # noqa: PLC0415

    given = {
        "--output": (output, Path("cdktf.out")), "--reviewed": (reviewed, None), "--overrides": (overrides, _OVERRIDES),
        "--wait-for-lock": (wait_for_lock, _NO_WAIT), "--parallelism": (parallelism, _AT_ONCE),
    }  # fmt: skip
    options = [part for name, (value, default) in given.items() if value != default for part in (name, str(value))]
    options += ["--yes"] if yes else []

    def again(names: Sequence[str]) -> str:
        return _command("deploy", *names, *options)

    with reported(as_json=as_json) as report:
        found = synthesized.stacks(output)
        terms = deploy.Terms(
            reviewed=deploy.reviewed(reviewed) if reviewed else {},
            allowed=_allowed(overrides),
            applies_unreviewed=yes,
            ask=_ask if sys.stdin.isatty() and sys.stderr.isatty() else None,
            lock_timeout=wait_for_lock,
            at_once=parallelism,
            logs=output / "logs",
        )
        chosen, producers = synthesized.selected(found, stacks or []), synthesized.producers(found)
        report(deploy.deploy(chosen, producers, terms, Progress(), again))


_VERSIONS = 20


@app.command("restore-state")
def restore_state_(
    stack: Annotated[str, typer.Argument(help="The name of the stack.")],
    *,
    version: Annotated[str | None, typer.Option(help="Which version to restore; without, they are listed.")] = None,
    lineage: Annotated[str | None, typer.Option(help="Its lineage, where that is not the newest version's.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="List all, and not the newest 20 alone.")] = False,
    output: Output = Path("cdktf.out"),
    as_json: AsJson = False,
) -> None:
    """List the older versions of a stack's state, or make one the newest again; what is in use now is kept.

    Example: python -m operations restore-state ap-northeast-2-dev --version 3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY
    """
    from operations import aws, plan, restore_state, synthesized  # noqa: PLC0415

    with reported(as_json=as_json) as report:
        (chosen, *others) = synthesized.selected(synthesized.stacks(output), [stack])
        if others:
            raise OperationError(f"{stack}: names {len(others) + 1} stacks; name one")
        session = aws.session(chosen)
        if version is None:
            report(restore_state.show(session, chosen, None if everything else _VERSIONS))
        else:
            log = plan.new_log(output / "logs", chosen.name)
            report(restore_state.restore(session, chosen, version, log, lineage))


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
    from operations import drift, synthesized  # noqa: PLC0415
    from operations import ignored as listed  # noqa: PLC0415
    from operations.progress import Progress  # noqa: PLC0415

    with reported(as_json=as_json) as report:
        every = synthesized.stacks(output)
        chosen = synthesized.selected(every, stacks or [])
        entries = listed.read(ignored)
        report(drift.drift(chosen, every, entries, Progress(), at_once=jobs or drift.jobs(), logs=output / "logs"))


_PATIENCE = 15


@app.command("destroy")
def destroy_(
    stacks: Annotated[list[str], typer.Argument(metavar="STACK...", help="Names or globs.")],
    *,
    output: Output = Path("cdktf.out"),
    confirm: Annotated[str | None, typer.Option(help="The environments, as they are asked for.")] = None,
    patience: Annotated[int, typer.Option(min=1, help="Minutes to wait for each step in a cluster.")] = _PATIENCE,
    parallelism: AtOnce = _AT_ONCE,
    as_json: AsJson = False,
) -> None:
    """Destroy stacks, consumers before producers; clear their clusters before, and look for what is left after.

    Asks for the names of the environments to be typed. Ends with 2 where something is left. Safe to run again.
    Example: python -m operations destroy 'ap-northeast-2-dev*' --confirm dev
    """
    from operations import destroy, synthesized  # noqa: PLC0415
    from operations.progress import Progress  # noqa: PLC0415

    options = ["--output", str(output)] if output != Path("cdktf.out") else []
    options += ["--patience", str(patience)] if patience != _PATIENCE else []

    def again(left: "Sequence[Stack]") -> str:
        confirmed = ["--confirm", ",".join(destroy.environments(left))] if confirm else []
        return _command("destroy", *(stack.name for stack in left), *options, *confirmed)

    with reported(as_json=as_json) as report:
        every = synthesized.stacks(output)
        destruction = destroy.prepare(synthesized.selected(every, stacks), every)
        _confirm(",".join(destruction.environments), destruction.told, confirm)
        terms = destroy.Terms(again, at_once=parallelism, logs=output / "logs", patience=patience * 60)
        report(destroy.destroy(destruction, terms, Progress()))


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


_LOOKS_EVERY_SECONDS = 0.2


def _ask(question: str, plan: str) -> bool:
    """Ask in whatever thread this is: an interrupt, which another thread hears, ends the waiting."""
    from operations import terraform  # noqa: PLC0415

    typer.echo(f"{plan}\n{question}. Apply it? [y/N]: ", nl=False, err=True)
    while not terraform.is_interrupted():
        if select.select([sys.stdin], [], [], _LOOKS_EVERY_SECONDS)[0]:
            return sys.stdin.readline().strip().lower() in {"y", "yes"}
    return False


def _allowed(file: Path) -> "list[Override]":
    from operations import guard  # noqa: PLC0415

    return guard.overrides(file, datetime.now(UTC).date())


@app.command()
def service(
    name: Annotated[str, typer.Argument(help="Its name: of its objects, namespaces, hosts and image repository.")],
    team: Annotated[str, typer.Option(help="The team that owns it; a new one gets its project and its rights.")],
    like: Annotated[str, typer.Option(help="The service whose shape it gets: bubblepool, or blue/green guestbook.")] = (
        "bubblepool"
    ),
    repository_id: Annotated[
        int | None, typer.Option(help="GitHub's number of the repository that pushes its images; or a placeholder.")
    ] = None,
) -> None:
    """Write a new service into the Git tree: its folder, its team's project and rights, its image repository.

    All of it is written or nothing. Example: make service NAME=shop TEAM=sales
    """
    from operations import scaffold  # noqa: PLC0415

    with errors_for_people():
        new = scaffold.NewService(name=name, team=team, like=like, repository_id=repository_id)
        scaffold.write(Path(), new, typer.echo)
    say("\nNext:")
    typer.echo("  make snapshots    # the image repository is new in the stacks\n  git diff")
    if repository_id is None:
        typer.echo(f"  gh api repos/OWNER/{name} --jq .id    # for pushed_by.id in stacks/*/shared.py: a placeholder")


@app.command("chart-readme")
def chart_readme_() -> None:
    """Write the table of values in the README of the Helm chart anew, from the comments in its values.yaml.

    Example: make chart-readme
    """
    from operations import chart_readme  # noqa: PLC0415

    chart_readme.write()


@app.command()
def tools() -> None:
    """Build what `cluster` and the tests run, Kubernetes and Argo CD among it. Needs Go, and minutes the first time.

    Example: make tools
    """
    from operations.cluster import programs  # noqa: PLC0415

    with errors_for_people():
        programs.build_all(say)


@app.command()
def cluster(output: Output = Path("cdktf.out")) -> None:
    """Run Kubernetes and Argo CD on this machine until Ctrl-C, without Docker and without an account. Needs Go.

    Argo CD follows what is committed here, as that of dev does. Example: make cluster
    """
    from operations.cluster import interactive  # noqa: PLC0415

    with errors_for_people():
        interactive.run(output, say, typer.echo)


def _show(outputs: Mapping[str, Mapping[str, object]]) -> None:
    """What was made: the outputs of every stack, a value a line."""
    for stack, values in sorted(outputs.items()):
        say(f"\n{stack}")
        for name, value in sorted(values.items()):
            if name.startswith("cross-stack-output"):
                continue
            for part, text in value.items() if isinstance(value, dict) else [("", value)]:
                typer.echo(f"  {name}{f'.{part}' if part else ''}  {text}")
