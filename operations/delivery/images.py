"""The image that a service runs in an environment: a tag, for reference, and a digest, which determines what runs.

Both are in the overlay of the service: in `images` of its `kustomization.yaml` or, for a service of the Helm chart, in
`image` of its `values.yaml`. Only these two values are edited; the rest of the file does not change.
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
    """An image: its tag, which is the full SHA of the commit that was built, and its digest."""

    tag: str
    digest: str

    @property
    def is_example(self) -> bool:
        """Whether it is that of a copied service, which nobody has delivered yet."""
        return set(self.digest.removeprefix("sha256:")) == {"0"}


@dataclass(frozen=True)
class Overlay:
    """The overlay of a service for an environment, in a clone of this repository."""

    root: Path
    service: str
    environment: str

    @property
    def file(self) -> Path:
        """The file that contains the image, relative to the root of the repository.

        Raises:
            OperationError: if the service does not exist, or has no overlay for this environment.
        """
        folder = _member(self.root, SERVICES, self.service) / "overlays"
        folder = _member(self.root, folder, self.environment)
        names = ("values.yaml", "kustomization.yaml")
        for name in names:
            if (self.root / folder / name).is_file():
                return folder / name
        raise OperationError(f"{folder}: contains neither {' nor '.join(names)}; add one")

    def image(self) -> Image:
        """The image in the overlay.

        Raises:
            OperationError: if the file cannot be read, is not YAML, or does not contain a tag and a digest.
        """
        return self.image_in(self._text())

    def image_in(self, text: str) -> Image:
        """The image in another content of the file, such as of another commit.

        Raises:
            OperationError: as `image`.
        """
        tag, digest = self._nodes(text)
        return Image(tag.value, digest.value)

    def set_image(self, image: Image) -> bool:
        """Write the image, and return whether the file changed.

        Raises:
            OperationError: if the tag or the digest is invalid, or the file does not contain a tag and a digest.
        """
        problems = []
        if not _TAG.fullmatch(image.tag):
            problems.append(f"tag: {image.tag!r}: not the full SHA of a commit; use all 40 characters")
        if not _DIGEST.fullmatch(image.digest):
            problems.append(f"digest: {image.digest!r}: not a digest; use sha256: and 64 characters")
        elif image.is_example:
            problems.append(f"digest: {image.digest!r}: an example digest; deliver the service first")
        if problems:
            raise OperationError("\n".join(problems))
        before = text = self._text()
        tag = f'"{image.tag}"' if _LIKE_A_NUMBER.fullmatch(image.tag) else image.tag
        values = zip(self._nodes(text), (tag, image.digest), strict=True)
        # The last first, so that the position of the other does not change.
        for node, value in sorted(values, key=lambda pair: -pair[0].start_mark.index):
            text = text[: node.start_mark.index] + value + text[node.end_mark.index :]
        (self.root / self.file).write_text(text, encoding="utf-8")
        return text != before

    def _text(self) -> str:
        try:
            return (self.root / self.file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise OperationError(f"{self.file}: cannot be read: {error}; correct the file") from error

    def _nodes(self, text: str) -> "tuple[yaml.ScalarNode, yaml.ScalarNode]":
        """The YAML nodes of the tag and the digest, with their positions."""
        try:
            document = yaml.compose(text, Loader=yaml.SafeLoader)
        except (yaml.YAMLError, RecursionError) as error:
            raise OperationError(f"{self.file}: not YAML: {' '.join(str(error).split())}; correct the file") from error
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
            raise OperationError(f"{self.file}: contains no image; add {where} {tag}: and {digest}:")
        return found[0], found[1]


def _member(root: Path, folder: Path, name: str) -> Path:
    """The subfolder of this name. Names that would lead to another folder are not found."""
    names = sorted(path.name for path in (root / folder).glob("*") if path.is_dir())
    if name in names and _NAME.fullmatch(name):
        return folder / name
    close = difflib.get_close_matches(name, names, n=3) or names
    raise OperationError(f"{folder}: {name!r}: not found; choose one of {', '.join(close) or '(none)'}")


def _value(node: "yaml.Node | None", key: str) -> "yaml.Node | None":
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == key:
                found: yaml.Node = value
                return found
    return None


def _text_of(node: "yaml.Node | None") -> object:
    return node.value if node is not None else None
