"""The commands that workflows call: images, promotions, comments, issues, manifests and reviewed plans."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from operations.console import AsJson, reported

if TYPE_CHECKING:
    from operations.proposals import Proposal
    from operations.report import Report

app = typer.Typer(add_completion=False)

Service = Annotated[str, typer.Argument(help="A folder of service/.")]
Root = Annotated[Path, typer.Option(help="The clone of this repository.")]
Propose = Annotated[bool, typer.Option("--propose", help="By a pull request from newest main, not in the work tree.")]
Merge = Annotated[bool, typer.Option("--auto-merge", help="With --propose: merge as soon as every check passed.")]


@app.command("set-image")
def set_image_(
    service: Service,
    environment: Annotated[str, typer.Argument(help="An overlay of the service.")],
    *,
    tag: Annotated[str, typer.Option(help="The full SHA of the commit that was built.")],
    digest: Annotated[str, typer.Option(help="sha256:... of what was pushed.")],
    application: Annotated[
        Path | None, typer.Option(help="A clone of the application: a newer commit is never replaced by an older.")
    ] = None,
    root: Root = Path(),
    propose: Propose = False,
    auto_merge: Merge = False,
    as_json: AsJson = False,
) -> None:
    """Write which image a service runs in an environment.

    Example: python -m operations set-image bubblepool dev --tag SHA --digest sha256:... --propose
    """
    from operations import delivery  # noqa: PLC0415
    from operations.images import Image, Overlay  # noqa: PLC0415

    overlay, image = Overlay(root, service, environment), Image(tag, digest)

    def make() -> "Report":
        if not propose:
            return delivery.set_image(overlay, image)
        return _proposed(root, delivery.image_proposal(overlay, image, application), merge=auto_merge)

    with reported(as_json=as_json) as report:
        report(make())


@app.command("promote")
def promote_(
    service: Service,
    source: Annotated[str, typer.Argument(metavar="FROM", help="The environment in which the image runs.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="The environment that gets it.")],
    *,
    root: Root = Path(),
    propose: Propose = False,
    auto_merge: Merge = False,
    as_json: AsJson = False,
) -> None:
    """Let an environment run the image of another, the same tag and digest.

    Example: python -m operations promote bubblepool dev staging --propose
    """
    from operations import delivery  # noqa: PLC0415
    from operations.images import Overlay  # noqa: PLC0415

    overlay = Overlay(root, service, target)

    def make() -> "Report":
        if not propose:
            return delivery.promote(overlay, source)
        return _proposed(root, delivery.promotion_proposal(overlay, source), merge=auto_merge)

    with reported(as_json=as_json) as report:
        report(make())


def _proposed(root: Path, proposal: "Proposal", *, merge: bool) -> "Report":
    from operations.proposals import propose  # noqa: PLC0415

    return propose(root, proposal, merge=merge)


@app.command("comment")
def comment_(
    pull_request: Annotated[int, typer.Argument(metavar="NUMBER", help="The number of the pull request.")],
    files: Annotated[list[Path], typer.Argument(metavar="FILE.md...", help="What it says, one after the other.")],
    *,
    name: Annotated[str, typer.Option(help="Which comment: the one of this name is updated.")] = "plan",
    as_json: AsJson = False,
) -> None:
    """Write the one comment of a pull request, or update it.

    Example: python -m operations comment 12 plan.md
    """
    from operations import comments  # noqa: PLC0415

    with reported(as_json=as_json) as report:
        report(comments.comment(pull_request, files, name=name))


@app.command("issues-from-drift")
def issues_from_drift_(
    file: Annotated[Path, typer.Argument(metavar="DRIFT.json", help="What `drift --json` printed.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Open, update and close one issue a stack.

    Example: python -m operations issues-from-drift drift.json
    """
    from operations import drift_issues  # noqa: PLC0415

    with reported(as_json=as_json) as report:
        report(drift_issues.follow(file))


@app.command("diff-manifests")
def diff_manifests_(
    base: Annotated[str, typer.Argument(help="The revision to compare with.")] = "origin/main",
    *,
    markdown: Annotated[Path | None, typer.Option(help="Write the diffs into this file, as Markdown.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a change does to the objects that Argo CD applies, in each environment. Ends with 2 where there is any.

    Needs kustomize and, for charts, helm. Example: python -m operations diff-manifests origin/main
    """
    from operations import manifests  # noqa: PLC0415

    def make() -> "Report":
        report = manifests.diff(base)
        if markdown is not None:
            markdown.write_text(manifests.markdown(report), encoding="utf-8")
        elif not as_json:
            typer.echo(manifests.markdown(report))
        return report

    with reported(as_json=as_json) as report:
        report(make())


@app.command("reviewed")
def reviewed_(
    commit: Annotated[str, typer.Argument(help="The commit of main to deploy.")] = "HEAD",
    *,
    accept: Annotated[
        str, typer.Option(help="Instead: stacks, each with the hash of its accepted plan, STACK=HASH, by spaces.")
    ] = "",
    file: Annotated[Path, typer.Option(help="Where `deploy --reviewed` reads them.")] = Path("reviewed.json"),
    as_json: AsJson = False,
) -> None:
    """Collect the plans that reviewers saw of what was merged and not deployed yet.

    In a workflow the outputs `deploy` and `reviewed` are set. Example: python -m operations reviewed HEAD
    """
    import json  # noqa: PLC0415

    from operations import reviewed  # noqa: PLC0415
    from operations.github import set_output  # noqa: PLC0415

    def make() -> "Report":
        report = reviewed.accept(accept.split()) if accept.strip() else reviewed.collect(commit)
        text = json.dumps({"stacks": report.data["stacks"]}, sort_keys=True)
        file.write_text(text + "\n", encoding="utf-8")
        set_output("reviewed", text)
        set_output("deploy", json.dumps(report.data["deploy"], sort_keys=True))
        return report

    with reported(as_json=as_json) as report:
        report(make())


@app.command("check-plan")
def check_plan_(
    file: Annotated[Path, typer.Argument(metavar="PLAN.json", help="What `plan --json` printed.")],
    *,
    as_json: AsJson = False,
) -> None:
    """End with 1 if the guard refuses something of a plan, so that nobody merges it.

    Example: python -m operations check-plan plan.json
    """
    from operations import reviewed  # noqa: PLC0415

    with reported(as_json=as_json) as report:
        report(reviewed.refusals(file))


@app.command("publish-image")
def publish_image_(
    archive: Annotated[Path, typer.Argument(metavar="IMAGE.tar", help="What was built and scanned, as OCI archive.")],
    repository: Annotated[str, typer.Argument(help="<registry>/<service>")],
    *,
    tag: Annotated[str, typer.Option(help="The full SHA of the commit that was built.")],
    as_json: AsJson = False,
) -> None:
    """Push an image that was built and scanned, sign it, and attest how it was made. Safe to run again.

    In a workflow the output `digest` is set. Needs skopeo and cosign.
    Example: python -m operations publish-image image.tar REGISTRY/bubblepool --tag SHA
    """
    from operations import publish  # noqa: PLC0415
    from operations.github import set_output  # noqa: PLC0415

    def make() -> "Report":
        report = publish.publish(archive, repository, tag)
        set_output("digest", report.data["digest"])
        return report

    with reported(as_json=as_json) as report:
        report(make())
