"""The commands for images: publish, set and promote."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from operations.cli.console import AsJson, reported
from operations.clients.github import set_output

if TYPE_CHECKING:
    from operations.delivery.pull_requests import Proposal
    from operations.output.report import Report

app = typer.Typer(add_completion=False)

Service = Annotated[str, typer.Argument(help="The service: the name of its folder in service/.")]
Root = Annotated[Path, typer.Option(help="The root of a clone of this repository.")]
Propose = Annotated[
    bool, typer.Option("--propose", help="Open a pull request from the newest main instead of editing the work tree.")
]
Merge = Annotated[bool, typer.Option("--auto-merge", help="With --propose: merge when all checks have passed.")]


@app.command("set-image")
def set_image_(
    service: Service,
    environment: Annotated[str, typer.Argument(help="The environment: an overlay of the service.")],
    *,
    tag: Annotated[str, typer.Option(help="The full SHA of the commit that was built.")],
    digest: Annotated[str, typer.Option(help="The digest of the pushed image: sha256:...")],
    application: Annotated[
        Path | None, typer.Option(help="A clone of the application, to never replace the image of a newer commit.")
    ] = None,
    root: Root = Path(),
    propose: Propose = False,
    auto_merge: Merge = False,
    as_json: AsJson = False,
) -> None:
    """Set the image that a service runs in an environment.

    Example: python -m operations set-image bubblepool dev --tag SHA --digest sha256:... --propose
    """
    from operations.delivery import promotion  # noqa: PLC0415
    from operations.delivery.images import Image, Overlay  # noqa: PLC0415

    overlay, image = Overlay(root, service, environment), Image(tag, digest)

    def run() -> "Report":
        if not propose:
            return promotion.set_image(overlay, image)
        return _proposed(root, promotion.image_proposal(overlay, image, application), merge=auto_merge)

    with reported(as_json=as_json) as report:
        report(run())


@app.command("promote")
def promote_(
    service: Service,
    source: Annotated[str, typer.Argument(metavar="FROM", help="The environment whose image is promoted.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="The environment that gets the image.")],
    *,
    root: Root = Path(),
    propose: Propose = False,
    auto_merge: Merge = False,
    as_json: AsJson = False,
) -> None:
    """Set the image of an environment to that of another environment: the same tag and digest.

    Example: python -m operations promote bubblepool dev staging --propose
    """
    from operations.delivery import promotion  # noqa: PLC0415
    from operations.delivery.images import Overlay  # noqa: PLC0415

    overlay = Overlay(root, service, target)

    def run() -> "Report":
        if not propose:
            return promotion.promote(overlay, source)
        return _proposed(root, promotion.promotion_proposal(overlay, source), merge=auto_merge)

    with reported(as_json=as_json) as report:
        report(run())


@app.command("publish-image")
def publish_image_(
    archive: Annotated[
        Path, typer.Argument(metavar="IMAGE.tar", help="The built and scanned image, as an OCI archive.")
    ],
    repository: Annotated[str, typer.Argument(help="The image repository: REGISTRY/SERVICE.")],
    *,
    tag: Annotated[str, typer.Option(help="The full SHA of the commit that was built.")],
    platform: Annotated[str, typer.Option(help="The repository of the workflow that signs images: OWNER/NAME.")],
    as_json: AsJson = False,
) -> None:
    """Push an image that was built and scanned, sign it, and attach its attestations. Safe to run again.

    Sets the output `digest` of a workflow step. Needs skopeo and cosign.

    Example: python -m operations publish-image image.tar REGISTRY/bubblepool --tag SHA --platform your-org/platform
    """
    from operations.delivery import publish  # noqa: PLC0415

    def run() -> "Report":
        report = publish.publish(archive, repository, tag, platform)
        set_output("digest", report.data["digest"])
        return report

    with reported(as_json=as_json) as report:
        report(run())


def _proposed(root: Path, proposal: "Proposal", *, merge: bool) -> "Report":
    from operations.delivery.pull_requests import propose  # noqa: PLC0415

    return propose(root, proposal, merge=merge)
