"""The delivery of images: setting the image of an environment, and promoting it to the next environment."""

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
    """Write the image to the work tree."""
    before = overlay.image()
    changed = overlay.set_image(image)
    title = f"{overlay.service} in {overlay.environment}: {image.tag}"
    data = {
        "service": overlay.service,
        "environment": overlay.environment,
        "file": str(overlay.file),
        "changed": changed,
        "tag": image.tag,
        "digest": image.digest,
        "before": {"tag": before.tag, "digest": before.digest},
    }
    return Report(title if changed else f"{title} (unchanged)", Status.FINE, data)


def promote(overlay: Overlay, source: str) -> Report:
    """Write the image of another environment to the work tree."""
    return set_image(overlay, _source(overlay, source).image())


def image_proposal(overlay: Overlay, image: Image, application: Path | None) -> Proposal:
    """A proposal of an image that was built.

    With a clone of the application's repository, the image of an older commit never replaces that of a newer one: a
    slow build may finish after the build of the next commit.
    """

    def change(tree: Path) -> str:
        Overlay(tree, overlay.service, overlay.environment).set_image(image)
        return _description(image)

    def overtaken(tree: Path) -> str | None:
        current = Overlay(tree, overlay.service, overlay.environment).image()
        is_newer = application is not None and _is_ancestor(application, image.tag, current.tag)
        return f"{current.tag} is newer than {image.tag}" if is_newer else None

    return Proposal(
        branch=_branch(overlay),
        title=f"Run {image.tag[:12]} of {overlay.service} in {overlay.environment}",
        change=change,
        overtaken=overtaken,
    )


def promotion_proposal(overlay: Overlay, source: str) -> Proposal:
    """A proposal of the image of another environment, as it is on main when the change is made."""

    def change(tree: Path) -> str:
        target = Overlay(tree, overlay.service, overlay.environment)
        image = _source(target, source).image()
        target.set_image(image)
        return _description(image)

    title = f"Promote the image of {overlay.service} from {source} to {overlay.environment}"
    return Proposal(branch=_branch(overlay), title=title, change=change)


def _source(overlay: Overlay, environment: str) -> Overlay:
    """The overlay of the environment to promote from.

    Raises:
        OperationError: if it is not the one before the target in the order of promotion.
    """
    source = Overlay(overlay.root, overlay.service, environment)
    order = [
        name
        for name in settings_files.environments(overlay.root)
        if (overlay.root / overlay.file.parents[1] / name).is_dir()
    ]
    if (environment, overlay.environment) not in pairwise(order):
        steps = f"the order for {overlay.service} is {' -> '.join(order)}"
        raise OperationError(f"{environment} to {overlay.environment}: not the next step; {steps}")
    return source


def _branch(overlay: Overlay) -> str:
    return f"image/{overlay.service}/{overlay.environment}"


def _description(image: Image) -> str:
    run = run_url()
    lines = [f"- tag: `{image.tag}`", f"- digest: `{image.digest}`", *([f"- run: {run}"] if run else [])]
    return "\n".join(lines)


def _is_ancestor(repository: Path, older: str, newer: str) -> bool:
    """Whether a commit is an ancestor of another; False if the repository lacks one of them."""
    asked = ("merge-base", "--is-ancestor", "--end-of-options", older, newer)
    return older != newer and git.run(repository, *asked).returncode == 0
