"""Publishing: an image is pushed once and signed, and a failed run can be repeated."""

import hashlib
import io
import json
import os
import stat
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from operations.delivery.publish import SIGNER, attestations, publish
from operations.errors import OperationError

pytestmark = pytest.mark.slow

REPOSITORY, TAG, PLATFORM = "registry.example.com/shop", "a" * 40, "your-org/platform"
SBOM, PROVENANCE = "https://spdx.dev/Document", "https://slsa.dev/provenance/v1"

# Fake skopeo and cosign, with a registry of files: tags, and the referrers of digests.
PROGRAM = """#!{python} -ES
import hashlib, json, pathlib, sys, tarfile

FOLDER, SIGN = pathlib.Path({folder!r}), "https://sigstore.dev/cosign/sign/v1"
options = [argument for argument in sys.argv if argument.startswith("--override-")]  # they stand before the verb
program, verb, *arguments = pathlib.Path(sys.argv[0]).name, *sys.argv[len(options) + 1:]
with (FOLDER / "calls").open("a") as calls:
    print(program, verb, file=calls)
if (FOLDER / "fails").exists() and (FOLDER / "fails").read_text() == f"{{program}} {{verb}}":
    sys.exit("refused")
referrers = FOLDER / "referrers"
if (program, verb) == ("skopeo", "inspect"):
    tag = FOLDER / arguments[-1].rsplit(":", 1)[1]
    sys.stdout.write(tag.read_text()) if tag.exists() else sys.exit("reading manifest: manifest unknown")
if (program, verb) == ("skopeo", "copy"):
    with tarfile.open(arguments[-2].removeprefix("oci-archive:")) as archive:
        read = lambda digest: archive.extractfile("blobs/" + digest.replace(":", "/")).read()
        top = json.load(archive.extractfile("index.json"))["manifests"][0]["digest"]
        images = [entry for entry in json.loads(read(top))["manifests"] if "platform" in entry]
        for image in images:
            if f"--override-arch={{image['platform']['architecture']}}" in options:
                manifest = read(image["digest"])
        if "--all" in arguments:
            manifest = read(top)
    if (FOLDER / "replaced").exists():
        manifest = (FOLDER / "replaced").read_bytes()
    (FOLDER / arguments[-1].rsplit(":", 1)[1]).write_bytes(manifest)
if (program, verb) == ("skopeo", "manifest-digest"):
    print("sha256:" + hashlib.sha256(pathlib.Path(arguments[0]).read_bytes()).hexdigest())
if (program, verb) == ("cosign", "tree"):
    lines = referrers.read_text().splitlines() if referrers.exists() else []
    print(*[line for line in lines if line.endswith(arguments[-1])] or ["No artifacts found"], sep="\\n")
if (program, verb) == ("cosign", "verify"):
    lines = referrers.read_text().splitlines() if referrers.exists() else []
    options = dict(option.removeprefix("--certificate-").split("=", 1) for option in arguments[:-1])
    (FOLDER / "verified").write_text(json.dumps(options))
    if f"{{SIGN}} {{arguments[-1]}}" not in lines:
        sys.exit("Error: no signatures found")
if program == "cosign" and verb in ("sign", "attest"):
    kind = SIGN if verb == "sign" else arguments[2]
    with referrers.open("a") as file:
        print(kind, arguments[-1], file=file)
"""


class Registry:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    @property
    def referrers(self) -> list[str]:
        return [line.split()[0] for line in (self.folder / "referrers").read_text().splitlines()]


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    folder, programs = tmp_path / "registry", tmp_path / "programs"
    folder.mkdir()
    programs.mkdir()
    for name in ("skopeo", "cosign"):
        file = programs / name
        file.write_text(PROGRAM.format(python=sys.executable, folder=str(folder)))
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return Registry(folder)


def _archive(file: Path, content: str = "layer", architectures: Sequence[str] = ("amd64",)) -> Path:
    """An archive as BuildKit writes it: an index with the image of each platform and its attestations."""
    blobs: dict[str, bytes] = {}

    def blob(document: Any) -> str:
        text = json.dumps(document).encode()
        digest = f"sha256:{hashlib.sha256(text).hexdigest()}"
        blobs[digest] = text
        return digest

    layers = [
        {"digest": blob({"predicateType": kind, "predicate": {"of": kind}}), "annotations": {_PREDICATE: kind}}
        for kind in (SBOM, PROVENANCE)
    ]
    images = [
        {"digest": blob({"layers": [content, name]}), "platform": {"os": "linux", "architecture": name}}
        for name in architectures
    ]
    attested = [
        {
            "digest": blob({"layers": layers}),
            "annotations": {
                "vnd.docker.reference.type": "attestation-manifest",
                "vnd.docker.reference.digest": image["digest"],
            },
        }
        for image in images
    ]
    top = blob({"manifests": [*images, *attested]})
    files = {f"blobs/{digest.replace(':', '/')}": text for digest, text in blobs.items()}
    files["index.json"] = json.dumps({"manifests": [{"digest": top}]}).encode()
    with tarfile.open(file, "w") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    return file


_PREDICATE = "in-toto.io/predicate-type"


def test_an_image_is_pushed_signed_and_attested(tmp_path: Path, registry: Registry) -> None:
    report = publish(_archive(tmp_path / "image.tar"), REPOSITORY, TAG, PLATFORM)
    assert report.data["pushed"]
    assert report.data["digest"] == f"sha256:{hashlib.sha256((registry.folder / TAG).read_bytes()).hexdigest()}"
    assert registry.referrers == ["https://sigstore.dev/cosign/sign/v1", SBOM, PROVENANCE]


def test_a_second_run_changes_nothing(tmp_path: Path, registry: Registry) -> None:
    archive = _archive(tmp_path / "image.tar")
    first = publish(archive, REPOSITORY, TAG, PLATFORM)
    second = publish(archive, REPOSITORY, TAG, PLATFORM)
    assert (second.data["digest"], second.data["pushed"]) == (first.data["digest"], False)
    assert registry.calls.count("skopeo copy") == 1
    assert len(registry.referrers) == 3


@pytest.mark.parametrize("failing", ["cosign sign", "cosign attest"])
def test_a_failed_run_can_be_repeated(tmp_path: Path, registry: Registry, failing: str) -> None:
    archive = _archive(tmp_path / "image.tar")
    (registry.folder / "fails").write_text(failing)
    with pytest.raises(OperationError, match=f"{failing}: refused; run it again"):
        publish(archive, REPOSITORY, TAG, PLATFORM)
    (registry.folder / "fails").unlink()
    publish(archive, REPOSITORY, TAG, PLATFORM)
    assert registry.calls.count("skopeo copy") == 1
    assert registry.referrers == ["https://sigstore.dev/cosign/sign/v1", SBOM, PROVENANCE]


def test_a_second_build_of_a_commit_keeps_the_pushed_image(tmp_path: Path, registry: Registry) -> None:
    first = publish(_archive(tmp_path / "image.tar"), REPOSITORY, TAG, PLATFORM)
    second = publish(_archive(tmp_path / "again.tar", "other bytes"), REPOSITORY, TAG, PLATFORM)
    assert second.data["digest"] == first.data["digest"]
    assert len(registry.referrers) == 3


def test_an_image_of_another_build_is_not_signed(tmp_path: Path, registry: Registry) -> None:
    """Who may push to the repository, but not run the workflow, would get its signature."""
    (registry.folder / TAG).write_text("another image")
    problem = r"registry.example.com/shop:a{40}: is sha256:[0-9a-f]{64}, which this run did not build, and whose"
    with pytest.raises(
        OperationError, match=rf"^{problem} signature cannot be verified \(Error: no signatures found\);"
    ):
        publish(_archive(tmp_path / "image.tar"), REPOSITORY, TAG, PLATFORM)
    assert registry.calls == ["skopeo inspect", "skopeo manifest-digest", "cosign verify"]


def test_a_signature_counts_if_the_workflow_made_it_for_the_commit(tmp_path: Path, registry: Registry) -> None:
    publish(_archive(tmp_path / "image.tar"), REPOSITORY, TAG, "your.org/platform")
    assert json.loads((registry.folder / "verified").read_text()) == {
        "oidc-issuer": "https://token.actions.githubusercontent.com",
        "identity-regexp": SIGNER % r"your\.org/platform",
        "github-workflow-sha": TAG,
    }


def test_an_error_of_the_registry_is_not_treated_as_a_missing_tag(tmp_path: Path, registry: Registry) -> None:
    (registry.folder / "fails").write_text("skopeo inspect")
    with pytest.raises(OperationError, match="refused; check that the role can read"):
        publish(_archive(tmp_path / "image.tar"), REPOSITORY, TAG, PLATFORM)
    assert registry.calls == ["skopeo inspect"]


def test_an_image_that_another_process_pushed_is_not_signed(tmp_path: Path, registry: Registry) -> None:
    (registry.folder / "replaced").write_text("another image")
    with pytest.raises(OperationError, match=r"digest is sha256:.*, expected sha256:.*; find out who else pushes"):
        publish(_archive(tmp_path / "image.tar"), REPOSITORY, TAG, PLATFORM)
    assert not [call for call in registry.calls if call.startswith("cosign")]


def test_the_attestations_are_those_of_buildkit(tmp_path: Path) -> None:
    found = list(attestations(_archive(tmp_path / "image.tar")))
    assert [(kind, predicate) for _, kind, predicate in found] == [(kind, {"of": kind}) for kind in (SBOM, PROVENANCE)]


def test_images_of_several_platforms_are_pushed_and_signed_as_one_index(tmp_path: Path, registry: Registry) -> None:
    archive = _archive(tmp_path / "image.tar", architectures=("amd64", "arm64"))
    report = publish(archive, REPOSITORY, TAG, PLATFORM)
    pushed = json.loads((registry.folder / TAG).read_text())
    images = [entry["digest"] for entry in pushed["manifests"] if "platform" in entry]
    lines = [line.split() for line in (registry.folder / "referrers").read_text().splitlines()]
    assert len(images) == 2
    assert lines == [
        ["https://sigstore.dev/cosign/sign/v1", f"{REPOSITORY}@{report.data['digest']}"],
        *[[kind, f"{REPOSITORY}@{image}"] for image in images for kind in (SBOM, PROVENANCE)],
    ]
    publish(archive, REPOSITORY, TAG, PLATFORM)
    assert len((registry.folder / "referrers").read_text().splitlines()) == len(lines)


def test_an_image_for_arm_is_pushed_from_any_machine(tmp_path: Path, registry: Registry) -> None:
    publish(_archive(tmp_path / "image.tar", architectures=("arm64",)), REPOSITORY, TAG, PLATFORM)
    assert json.loads((registry.folder / TAG).read_text()) == {"layers": ["layer", "arm64"]}


def test_the_tag_refers_to_the_image_and_not_to_its_index(tmp_path: Path, registry: Registry) -> None:
    """An index would leave untagged manifests behind when the image expires."""
    publish(_archive(tmp_path / "image.tar"), REPOSITORY, TAG, PLATFORM)
    assert json.loads((registry.folder / TAG).read_text()) == {"layers": ["layer", "amd64"]}


def test_rejects_a_file_that_is_not_an_archive(tmp_path: Path) -> None:
    (tmp_path / "image.tar").write_text("text")
    with pytest.raises(OperationError, match=r"image\.tar: .*; use an archive that BuildKit wrote"):
        publish(tmp_path / "image.tar", REPOSITORY, TAG, PLATFORM)
