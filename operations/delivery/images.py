"""Which image a service runs in an environment: the tag, for people, and the digest, which is what runs.

Both stand in the service's overlay: below `images` of its `kustomization.yaml` or, for a service that comes by the
chart, below `image` of its `values.yaml`. Only these two values are written; every other character stays.
"""

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from operations.errors import OperationError

if TYPE_CHECKING:
    import yaml

SERVICES = Path("service")
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_TAG = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LIKE_A_NUMBER = re.compile(r"\d+(e\d+)?")


@dataclass(frozen=True)
class Image:
    """A tag, which is the full SHA of the commit that was built, and the digest of what was pushed."""

    tag: str
    digest: str


@dataclass(frozen=True)
class Overlay:
    """What one service is in one environment, in a clone of this repository."""

    root: Path
    service: str
    environment: str

    @property
    def file(self) -> Path:
        """The file that names the image, from the root of the repository.

        Raises:
            OperationError: there is no such service, or it is not in this environment.
        """
        folder = _member(self.root, SERVICES, self.service) / "overlays"
        folder = _member(self.root, folder, self.environment)
        names = ("values.yaml", "kustomization.yaml")
        for name in names:
            if (self.root / folder / name).is_file():
                return folder / name
        raise OperationError(f"{folder}: neither {' nor '.join(names)} is there; add one")

    def image(self) -> Image:
        """The image that Git says is to run.

        Raises:
            OperationError: the file does not name a tag and a digest.
        """
        tag, digest = self._places(self._text())
        return Image(tag.value, digest.value)

    def set_image(self, image: Image) -> bool:
        """Write the image; whether that changed anything.

        Raises:
            OperationError: it is no image that was delivered, or the file has no place for it.
        """
        problems = []
        if not _TAG.fullmatch(image.tag):
            problems.append(f"tag: {image.tag!r}: not the full SHA of a commit; give its 40 characters")
        if not _DIGEST.fullmatch(image.digest):
            problems.append(f"digest: {image.digest!r}: not a digest; give sha256: and 64 characters")
        elif set(image.digest.removeprefix("sha256:")) == {"0"}:
            problems.append(f"digest: {image.digest!r}: an example; deliver the service first")
        if problems:
            raise OperationError("\n".join(problems))
        before = text = self._text()
        tag = f'"{image.tag}"' if _LIKE_A_NUMBER.fullmatch(image.tag) else image.tag
        places = zip(self._places(text), (tag, image.digest), strict=True)
        for node, value in sorted(places, key=lambda place: -place[0].start_mark.index):  # the last first: places stay
            text = text[: node.start_mark.index] + value + text[node.end_mark.index :]
        (self.root / self.file).write_text(text, encoding="utf-8")
        return text != before

    def _text(self) -> str:
        return (self.root / self.file).read_text(encoding="utf-8")

    def _places(self, text: str) -> "tuple[yaml.ScalarNode, yaml.ScalarNode]":
        """Where tag and digest stand."""
        document = yaml.compose(text, Loader=yaml.SafeLoader)
        if self.file.name == "values.yaml":
            image, tag, digest = _value(document, "image"), "tag", "digest"
        else:
            images = _value(document, "images")
            entries = images.value if isinstance(images, yaml.SequenceNode) else []
            named = [entry for entry in entries if _text_of(_value(entry, "name")) == self.service]
            image, tag, digest = named[0] if len(named) == 1 else None, "newTag", "digest"
        found = _value(image, tag), _value(image, digest)
        if not (isinstance(found[0], yaml.ScalarNode) and isinstance(found[1], yaml.ScalarNode)):
            where = "image:" if tag == "tag" else f"an entry of images: with name: {self.service},"
            raise OperationError(f"{self.file}: names no image; write {where} {tag}: and {digest}:")
        return found[0], found[1]


def _member(root: Path, folder: Path, name: str) -> Path:
    """A folder of this name; names that lead elsewhere are none."""
    names = sorted(path.name for path in (root / folder).glob("*") if path.is_dir())
    if name in names and _NAME.fullmatch(name):
        return folder / name
    close = difflib.get_close_matches(name, names, n=3) or names
    raise OperationError(f"{folder}: {name!r}: not there; choose one of {', '.join(close) or '(none)'}")


def _value(node: "yaml.Node | None", key: str) -> "yaml.Node | None":
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == key:
                found: yaml.Node = value
                return found
    return None


def _text_of(node: "yaml.Node | None") -> object:
    return node.value if node is not None else None
