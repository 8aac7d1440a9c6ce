"""Delivery of images: what was built goes into an environment, and what runs in one goes on to the next."""

from itertools import pairwise
from pathlib import Path

from operations.clients import git
from operations.clients.github import run_url
from operations.delivery.images import Image, Overlay
from operations.delivery.pull_requests import Proposal
from operations.errors import OperationError
from operations.output.report import Report, Status
from operations.repository import settings_files


def set_image(overlay: Overlay, image: Image) -> Report:
    """Write the image into the work tree."""
    before = overlay.image()
    changed = overlay.set_image(image)
    said = f"{overlay.service} in {overlay.environment}: {image.tag}"
    data = {
        "service": overlay.service,
        "environment": overlay.environment,
        "file": str(overlay.file),
        "changed": changed,
        "tag": image.tag,
        "digest": image.digest,
        "before": {"tag": before.tag, "digest": before.digest},
    }
    return Report(said if changed else f"{said} already", Status.FINE, data)


def promote(overlay: Overlay, source: str) -> Report:
    """Write the image that runs in another environment into the work tree."""
    return set_image(overlay, _source(overlay, source).image())


def image_proposal(overlay: Overlay, image: Image, application: Path | None) -> Proposal:
    """Proposes an image that was built.

    With a clone of the application's repository, an older commit never takes the place of a newer one: a slow build
    may end after the build of the commit that follows.
    """

    def change(tree: Path) -> str:
        there = Overlay(tree, overlay.service, overlay.environment)
        there.set_image(image)
        return _description(image)

    def overtaken(tree: Path) -> str | None:
        there = Overlay(tree, overlay.service, overlay.environment).image()
        is_newer = application is not None and _is_ancestor(application, image.tag, there.tag)
        return f"{there.tag} is newer than {image.tag}" if is_newer else None

    return Proposal(
        branch=_branch(overlay),
        title=f"chore({overlay.service}): run {image.tag[:12]} in {overlay.environment}",
        change=change,
        overtaken=overtaken,
    )


def promotion_proposal(overlay: Overlay, source: str) -> Proposal:
    """Proposes what runs in another environment, as main says at the time of the change."""

    def change(tree: Path) -> str:
        there = Overlay(tree, overlay.service, overlay.environment)
        image = _source(there, source).image()
        there.set_image(image)
        return _description(image)

    change_of = f"run in {overlay.environment} what runs in {source}"
    return Proposal(branch=_branch(overlay), title=f"chore({overlay.service}): {change_of}", change=change)


def _source(overlay: Overlay, environment: str) -> Overlay:
    """What stands for a service one step before, in the order of promotion.

    Raises:
        OperationError: it is another step, or none.
    """
    source = Overlay(overlay.root, overlay.service, environment)
    order = [
        name
        for name in settings_files.environments(overlay.root)
        if (overlay.root / overlay.file.parents[1] / name).is_dir()
    ]
    if (environment, overlay.environment) not in pairwise(order):
        steps = f"{overlay.service} goes {' -> '.join(order)}"
        raise OperationError(f"{environment} to {overlay.environment}: not the next step; {steps}")
    return source


def _branch(overlay: Overlay) -> str:
    return f"image/{overlay.service}/{overlay.environment}"


def _description(image: Image) -> str:
    run = run_url()
    lines = [f"- tag: `{image.tag}`", f"- digest: `{image.digest}`", *([f"- run: {run}"] if run else [])]
    return "\n".join(lines)


def _is_ancestor(repository: Path, older: str, newer: str) -> bool:
    """Whether a commit comes before another; what the repository does not know comes before nothing."""
    return older != newer and git.run(repository, "merge-base", "--is-ancestor", older, newer).returncode == 0
