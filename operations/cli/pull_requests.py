"""The commands that workflows call for pull requests and issues."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from operations.cli.console import AsJson, Output, reported
from operations.clients.github import set_output
from operations.terraform.stacks import read_stacks

if TYPE_CHECKING:
    from operations.output.report import Report

app = typer.Typer(add_completion=False)


@app.command("comment")
def comment_(
    pull_request: Annotated[int, typer.Argument(metavar="NUMBER", help="The number of the pull request.")],
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE.md...", help="The files that make up the comment, in this order.")
    ],
    *,
    name: Annotated[
        str, typer.Option(help="The name of the comment; an existing comment of this name is updated.")
    ] = "plan",
    as_json: AsJson = False,
) -> None:
    """Write a comment on a pull request, or update the existing one.

    Example: python -m operations comment 12 plan.md
    """
    from operations.delivery import comments  # noqa: PLC0415

    with reported(as_json=as_json) as report:
        report(comments.comment(pull_request, files, name=name))


@app.command("issues-from-drift")
def issues_from_drift_(
    files: Annotated[list[Path], typer.Argument(metavar="DRIFT.json...", help="The outputs of `drift --json`.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Open, update or close one issue per stack, from drift reports, such as one of each region.

    Example: python -m operations issues-from-drift drift.json
    """
    from operations.drift import issues  # noqa: PLC0415

    with reported(as_json=as_json) as report:
        report(issues.follow(files))


@app.command("diff-manifests")
def diff_manifests_(
    base: Annotated[str, typer.Argument(help="The revision to compare with.")] = "origin/main",
    *,
    markdown: Annotated[Path | None, typer.Option(help="Write the diffs to this file as Markdown.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show how the objects that Argo CD applies change in each environment.

    Exits with status 2 if there are changes. Needs kustomize and, for charts, helm.

    Example: python -m operations diff-manifests origin/main
    """
    from operations.delivery import manifests  # noqa: PLC0415

    def run() -> "Report":
        report = manifests.diff(base)
        if markdown is not None:
            markdown.write_text(manifests.markdown(report), encoding="utf-8")
        elif not as_json:
            typer.echo(manifests.markdown(report))
        return report

    with reported(as_json=as_json) as report:
        report(run())


@app.command("reviewed")
def reviewed_(
    commit: Annotated[str, typer.Argument(help="The commit of main to deploy.")] = "HEAD",
    *,
    accept: Annotated[
        str,
        typer.Option(
            help="Deploy these stacks instead, separated by spaces: STACK, STACK=HASH to accept a plan, or everything."
        ),
    ] = "",
    file: Annotated[Path, typer.Option(help="The file to write, for `deploy --reviewed`.")] = Path("reviewed.json"),
    output: Output = Path("cdktf.out"),
    as_json: AsJson = False,
) -> None:
    """Collect the reviewed plans of all pull requests that were merged and not deployed yet.

    Sets the outputs `deploy` and `reviewed` of a workflow step.

    Example: python -m operations reviewed HEAD
    """
    from operations.deploy import reviewed  # noqa: PLC0415

    def run() -> "Report":
        stacks = read_stacks(output)
        report = reviewed.accept(accept.split(), stacks) if accept.strip() else reviewed.collect(commit, stacks)
        text = json.dumps({"stacks": report.data["stacks"]}, sort_keys=True)
        file.write_text(text + "\n", encoding="utf-8")
        set_output("reviewed", text)
        set_output("deploy", json.dumps(report.data["deploy"], sort_keys=True))
        return report

    with reported(as_json=as_json) as report:
        report(run())


@app.command("join-plans")
def join_plans_(
    listed: Annotated[Path, typer.Argument(metavar="LIST.json", help="The output of `plan --list --json`.")],
    plans: Annotated[
        list[Path] | None, typer.Argument(metavar="[PLAN.json]...", help="The outputs of `plan --json`.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Join the plans of several regions. Exits with status 1 if a stack of the list has no plan.

    Example: python -m operations join-plans list.json ap-northeast-2.json us-west-2.json --json > plan.json
    """
    from operations.deploy import reviewed  # noqa: PLC0415

    with reported(as_json=as_json) as report:
        report(reviewed.join(listed, plans or []))


@app.command("check-plan")
def check_plan_(
    file: Annotated[Path, typer.Argument(metavar="PLAN.json", help="The output of `plan --json`.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Exit with status 1 if the guard refuses a change of a plan, to block the pull request.

    Example: python -m operations check-plan plan.json
    """
    from operations.deploy import reviewed  # noqa: PLC0415

    with reported(as_json=as_json) as report:
        report(reviewed.refusals(file))
