"""The commands for images in the work tree; `delivery/test_promotion.py` covers pull requests."""

import json
from pathlib import Path
from unittest.mock import Mock

import pytest

from operations.delivery import publish
from operations.delivery.images import Overlay
from operations.output.report import Report, Status
from tests.unit.operations.cli.conftest import run

TAG, DIGEST = "a" * 40, f"sha256:{'b' * 64}"


def test_set_image_edits_the_work_tree(tmp_path: Path) -> None:
    overlay = tmp_path / "service/shop/overlays/dev/kustomization.yaml"
    overlay.parent.mkdir(parents=True)
    overlay.write_text("images:\n- digest: sha256:old\n  name: shop\n  newTag: old\n")
    printed = run("set-image", "shop", "dev", "--tag", TAG, "--digest", DIGEST, "--root", tmp_path, "--json").stdout
    assert json.loads(printed)["before"] == {"tag": "old", "digest": "sha256:old"}
    image = Overlay(tmp_path, "shop", "dev").image()
    assert (image.tag, image.digest) == (TAG, DIGEST)
    repeated = run("set-image", "shop", "dev", "--tag", TAG, "--digest", DIGEST, "--root", tmp_path).stdout
    assert repeated == f"shop in dev: {TAG} (unchanged)\n"


def test_set_image_rejects_an_overlay_without_files(tmp_path: Path) -> None:
    (tmp_path / "service/shop/overlays/dev").mkdir(parents=True)
    errors = run("set-image", "shop", "dev", "--tag", TAG, "--digest", DIGEST, "--root", tmp_path, status=1).stderr
    assert errors.endswith("contains neither values.yaml nor kustomization.yaml; add one\n")


def test_publish_image_sets_the_digest_as_output_of_the_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published = Mock(return_value=Report("published", Status.FINE, {"digest": DIGEST}))
    monkeypatch.setattr(publish, "publish", published)
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    run("publish-image", "image.tar", "registry.example.com/shop", "--tag", TAG, "--platform", "your-org/platform")
    published.assert_called_once_with(Path("image.tar"), "registry.example.com/shop", TAG, "your-org/platform")
    assert (tmp_path / "output").read_text() == f"digest={DIGEST}\n"
