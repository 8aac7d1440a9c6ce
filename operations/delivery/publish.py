"""Publishing an image that was built and scanned: the same bytes are pushed once, signed, and attested.

The tag is the full SHA of the commit. Tags are immutable: a second run finds the image and continues. The signature and
the attestations are OCI 1.1 referrers of the digest and need no tag. An image that another run pushed is never signed:
it was neither built nor scanned here.
"""

import json
import re
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from operations.clients import process
from operations.errors import OperationError
from operations.output.report import Report, Status

_REFERENCE_DIGEST = "vnd.docker.reference.digest"
_REFERENCE_TYPE = "vnd.docker.reference.type"
_PLATFORM = {"os": "os", "arch": "architecture", "variant": "variant"}
_PREDICATE_TYPE = "in-toto.io/predicate-type"
_ISSUER = "https://token.actions.githubusercontent.com"

SIGNER = (
    r"^https://github\.com/%s/\.github/workflows/build-service\.yaml@refs/(heads/main|tags/v[0-9]+\.[0-9]+\.[0-9]+)$"
)
"""The signer that clusters accept: the workflow of the platform repository `%s`, at main or a release.

management/policies/component.yaml has the same expression. A commit is not accepted: GitHub also finds the commits of
branches and pull requests, whose workflow nobody has approved.
"""


def publish(archive: Path, repository: str, tag: str, platform: str) -> Report:
    """Push the archive to `repository`, which is `<registry>/<service>`, and sign it.

    `platform` is the GitHub repository of the workflow that signs: `<owner>/<name>`.

    Raises:
        OperationError: if the archive contains no image, pushing or signing fails, or the tag is that of another image
            that the workflow did not sign for this commit.
    """
    image_in_archive = _read_archive(archive)
    digest = image_in_archive.digest
    pushed = _pushed_digest(repository, tag)
    is_new = pushed is None
    if is_new:
        source, target = f"oci-archive:{archive}", f"docker://{repository}:{tag}"
        _run("skopeo", *image_in_archive.command, "--preserve-digests", source, target)
        pushed = _pushed_digest(repository, tag)
        if pushed != digest:
            raise OperationError(f"{repository}:{tag}: digest is {pushed}, expected {digest}; find out who else pushes")
    assert pushed is not None
    image = f"{repository}@{pushed}"
    failure = _verification_failure(image, tag, platform)
    if pushed != digest and failure:
        raise OperationError(
            f"{repository}:{tag}: is {pushed}, which this run did not build, and whose signature cannot be verified "
            f"({failure}); run the failed job of the first build again, or delete the image when you know who pushed it"
        )
    if failure:
        _run("cosign", "sign", "--yes", image)
    if pushed == digest:  # a second build of a commit may differ; the first one stays, because it may already run
        _attest(archive, repository)
    title = f"published {repository}:{tag}" if is_new else f"{repository}:{tag} exists already"
    return Report(title, Status.FINE, {"repository": repository, "digest": pushed, "pushed": is_new}, notes=[pushed])


def _verification_failure(image: str, commit: str, platform: str) -> str:
    """Why an image has no valid signature that the workflow made in a run for this commit; empty if it has one.

    Source of the options: https://github.com/sigstore/cosign/blob/main/doc/cosign_verify.md
    """
    expected = {
        "oidc-issuer": _ISSUER,
        "identity-regexp": SIGNER % re.escape(platform),
        "github-workflow-sha": commit,
    }
    options = [f"--certificate-{name}={value}" for name, value in expected.items()]
    run = process.run("cosign", "verify", *options, image)
    return (run.stderr.strip().splitlines() or [f"status {run.returncode}"])[-1] if run.returncode else ""


def _attest(archive: Path, repository: str) -> None:
    """Sign the attestations of BuildKit that the image of each platform does not have yet."""
    with tempfile.TemporaryDirectory(prefix="attestations-") as folder:
        for number, (subject, kind, predicate) in enumerate(attestations(archive)):
            image = f"{repository}@{subject}"
            if kind in _run("cosign", "tree", image):
                continue
            file = Path(folder) / f"{number}.json"
            file.write_text(json.dumps(predicate), encoding="utf-8")
            _run("cosign", "attest", "--yes", "--type", kind, "--predicate", str(file), image)


def attestations(archive: Path) -> Iterator[tuple[str, str, Any]]:
    """The attestations of BuildKit in an archive, SBOM and provenance.

    Each is the digest of the image that it is about, the predicate type and the predicate.
    """
    with tarfile.open(archive, "r:") as file:
        for entry in _manifests(file, _top(file)):
            if _is_attestation(entry):
                subject = entry["annotations"][_REFERENCE_DIGEST]
                for layer in _json(file, entry["digest"])["layers"]:
                    yield subject, layer["annotations"][_PREDICATE_TYPE], _json(file, layer["digest"])["predicate"]


class _Image(NamedTuple):
    """What to push of an archive: its digest, and the command of skopeo that copies it."""

    digest: str
    command: Sequence[str]


def _read_archive(archive: Path) -> _Image:
    """The image of one platform, or the index of the images of several platforms.

    The index of one image is not pushed, because it would leave an untagged image in the repository.
    """
    try:
        with tarfile.open(archive, "r:") as file:
            top = _top(file)
            images = [entry for entry in _manifests(file, top) if not _is_attestation(entry)]
            if len(images) > 1:
                return _Image(str(top["digest"]), ["copy", "--all"])
            (image,) = images
            platform = image.get("platform", {})
            options = [f"--override-{part}={platform[key]}" for part, key in _PLATFORM.items() if key in platform]
            return _Image(str(image["digest"]), [*options, "copy"])
    except (OSError, tarfile.TarError, KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        message = f"{archive}: {error}; use an archive that BuildKit wrote with type=oci"
        raise OperationError(message) from error


def _top(file: tarfile.TarFile) -> Mapping[str, Any]:
    """The only entry of an archive: an image, or an image index."""
    (entry,) = json.loads(_read(file, "index.json"))["manifests"]
    top: Mapping[str, Any] = entry
    return top


def _manifests(file: tarfile.TarFile, top: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The images of the platforms and, in an image index, their attestations."""
    manifests: list[Mapping[str, Any]] = _json(file, top["digest"]).get("manifests", [top])
    return manifests


def _is_attestation(entry: Mapping[str, Any]) -> bool:
    return bool(entry.get("annotations", {}).get(_REFERENCE_TYPE) == "attestation-manifest")


def _json(file: tarfile.TarFile, digest: str) -> Any:
    return json.loads(_read(file, f"blobs/{digest.replace(':', '/')}"))


def _read(file: tarfile.TarFile, name: str) -> bytes:
    member = file.extractfile(name)
    if member is None:
        raise KeyError(name)
    return member.read()


def _pushed_digest(repository: str, tag: str) -> str | None:
    """The digest of a tag in the registry; None if the tag does not exist."""
    run = process.run("skopeo", "inspect", "--raw", f"docker://{repository}:{tag}")
    if run.returncode:
        errors = run.stderr.strip()
        if "manifest unknown" in errors or "not found" in errors:
            return None
        raise OperationError(f"{repository}:{tag}: {errors}; check that the role can read the repository")
    with tempfile.NamedTemporaryFile(mode="w", encoding="utf-8", prefix="manifest-") as file:
        file.write(run.stdout)
        file.flush()
        return _run("skopeo", "manifest-digest", file.name).strip()


def _run(program: str, *arguments: str) -> str:
    return process.output(program, *arguments, hint="run it again")
