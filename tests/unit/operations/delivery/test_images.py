"""Reading and writing the image of a service in its overlay."""

from pathlib import Path

import pytest

from operations.delivery.images import Image, Overlay
from operations.errors import OperationError
from tests import ROOT

IMAGE = Image("0123456789abcdef0123456789abcdef01234567", f"sha256:{'0a' * 32}")
KUSTOMIZATION = """resources:
- ../../base
# Kept.
images:
- name: other
  newTag: 1.0.0
- digest: sha256:0000000000000000000000000000000000000000000000000000000000000000
  name: shop   # kept, too
  newTag: "0.0.0-example"
"""
VALUES = """replicas: 2
image:
  tag: 0.0.0-example # of the commit
  digest: sha256:0000000000000000000000000000000000000000000000000000000000000000
"""


@pytest.fixture(params=["kustomization.yaml", "values.yaml"])
def overlay(request: pytest.FixtureRequest, tmp_path: Path) -> Overlay:
    folder = tmp_path / "service" / "shop" / "overlays" / "dev"
    folder.mkdir(parents=True)
    (folder / request.param).write_text(KUSTOMIZATION if request.param == "kustomization.yaml" else VALUES)
    return Overlay(tmp_path, "shop", "dev")


def test_only_the_tag_and_the_digest_are_changed(overlay: Overlay) -> None:
    file = overlay.root / overlay.file
    before = file.read_text()
    assert overlay.set_image(IMAGE)
    after = file.read_text()
    assert overlay.image() == IMAGE
    restored = after.replace(IMAGE.digest, f"sha256:{'0' * 64}").replace(IMAGE.tag, "0.0.0-example")
    assert restored == before.replace('"0.0.0-example"', "0.0.0-example")


def test_writing_the_same_image_again_changes_nothing(overlay: Overlay) -> None:
    overlay.set_image(IMAGE)
    assert not overlay.set_image(IMAGE)


@pytest.mark.parametrize("tag", ["1" * 40, f"1e{'1' * 38}"])
def test_a_commit_that_looks_like_a_number_stays_a_string(overlay: Overlay, tag: str) -> None:
    overlay.set_image(Image(tag, IMAGE.digest))
    assert f'ag: "{tag}"' in (overlay.root / overlay.file).read_text()
    assert overlay.image().tag == tag


@pytest.mark.parametrize(
    ("tag", "digest", "message"),
    [
        ("latest", IMAGE.digest, "tag: 'latest': not the full SHA of a commit"),
        (IMAGE.tag[:12], IMAGE.digest, "not the full SHA"),
        (IMAGE.tag, "sha256:abc", "digest: 'sha256:abc': not a digest"),
        (IMAGE.tag, f"{IMAGE.digest}\n", "not a digest"),
        (IMAGE.tag, f"sha256:{'0' * 64}", "an example digest; deliver the service first"),
    ],
)
def test_rejects_an_image_that_was_not_delivered(overlay: Overlay, tag: str, digest: str, message: str) -> None:
    before = (overlay.root / overlay.file).read_text()
    with pytest.raises(OperationError, match=message):
        overlay.set_image(Image(tag, digest))
    assert (overlay.root / overlay.file).read_text() == before


@pytest.mark.parametrize(
    ("service", "environment", "message"),
    [
        ("shpo", "dev", "service: 'shpo': not found; choose one of shop"),
        ("shop", "devv", "overlays: 'devv': not found; choose one of dev"),
        ("../shop", "dev", "not found"),
    ],
)
def test_rejects_an_unknown_service_or_environment(
    overlay: Overlay, service: str, environment: str, message: str
) -> None:
    with pytest.raises(OperationError, match=message):
        Overlay(overlay.root, service, environment).image()


def test_rejects_a_file_without_an_image(overlay: Overlay) -> None:
    (overlay.root / overlay.file).write_text("resources: []\n")
    with pytest.raises(OperationError, match="contains no image; add"):
        overlay.image()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"images: [\n", r"(kustomization|values)\.yaml: not YAML: .* line 2, column 1: [^\n]*; correct the file$"),
        (b"images: \xff\n", r"(kustomization|values)\.yaml: cannot be read: .* byte 0xff .*; correct the file$"),
    ],
)
def test_rejects_a_file_that_is_not_yaml(overlay: Overlay, content: bytes, message: str) -> None:
    (overlay.root / overlay.file).write_bytes(content)
    for run in (overlay.image, lambda: overlay.set_image(IMAGE)):
        with pytest.raises(OperationError, match=message):
            run()


@pytest.mark.parametrize(
    "folder", sorted(ROOT.glob("service/*/overlays/*")), ids=lambda path: f"{path.parents[1].name}-{path.name}"
)
def test_every_overlay_of_this_repository_contains_an_image(folder: Path) -> None:
    image = Overlay(ROOT, folder.parents[1].name, folder.name).image()
    assert image.tag
    assert image.digest.startswith("sha256:")
