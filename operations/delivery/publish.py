"""Publishing an image that was built and scanned: the same bytes are pushed once, signed, and attested.

The tag is the full SHA of the commit. Tags are immutable: a second run finds the image and continues. The signature and
the attestations are OCI 1.1 referrers of the digest and need no tag.
"""

import json
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from operations.clients import process
from operations.errors import OperationError
from operations.output.report import Report, Status

_REFERENCE_TYPE = "vnd.docker.reference.type"
_PREDICATE_TYPE = "in-toto.io/predicate-type"
_SIGNATURE = "cosign/sign/"
"""Part of the output of `cosign tree` for a signature."""


def publish(archive: Path, repository: str, tag: str) -> Report:
    """Push the archive to `repository`, which is `<registry>/<service>`, and sign it.

    Raises:
        OperationError: if the archive contains no image, or pushing or signing fails.
    """
    digest = _digest(archive)
    pushed = _pushed_digest(repository, tag)
    is_new = pushed is None
    if is_new:
        # Without the image index, which would leave untagged images in the repository.
        _run("skopeo", "copy", "--preserve-digests", f"oci-archive:{archive}", f"docker://{repository}:{tag}")
        pushed = _pushed_digest(repository, tag)
        if pushed != digest:
            raise OperationError(f"{repository}:{tag}: digest is {pushed}, expected {digest}; find out who else pushes")
    assert pushed is not None
    image = f"{repository}@{pushed}"
    referrers = _run("cosign", "tree", image)
    if _SIGNATURE not in referrers:
        _run("cosign", "sign", "--yes", image)
    if pushed == digest:  # a second build of a commit may differ; the first one stays, because it may already run
        _attest(archive, image, referrers)
    title = f"published {repository}:{tag}" if is_new else f"{repository}:{tag} exists already"
    return Report(title, Status.FINE, {"repository": repository, "digest": pushed, "pushed": is_new}, notes=[pushed])


def _attest(archive: Path, image: str, referrers: str) -> None:
    """Sign the attestations of BuildKit that the image does not have yet."""
    with tempfile.TemporaryDirectory(prefix="attestations-") as folder:
        for number, (kind, predicate) in enumerate(attestations(archive)):
            if kind in referrers:
                continue
            file = Path(folder) / f"{number}.json"
            file.write_text(json.dumps(predicate), encoding="utf-8")
            _run("cosign", "attest", "--yes", "--type", kind, "--predicate", str(file), image)


def attestations(archive: Path) -> Iterator[tuple[str, Any]]:
    """The attestations of BuildKit in an archive, SBOM and provenance, each as predicate type and predicate."""
    with tarfile.open(archive, "r:") as file:
        for entry in _manifests(file):
            if _is_attestation(entry):
                for layer in _json(file, entry["digest"])["layers"]:
                    yield layer["annotations"][_PREDICATE_TYPE], _json(file, layer["digest"])["predicate"]


def _digest(archive: Path) -> str:
    """The digest of the only image in an archive."""
    try:
        with tarfile.open(archive, "r:") as file:
            (image,) = [str(entry["digest"]) for entry in _manifests(file) if not _is_attestation(entry)]
    except (OSError, tarfile.TarError, KeyError, ValueError) as error:
        message = f"{archive}: {error}; use an archive that BuildKit wrote with type=oci for one platform"
        raise OperationError(message) from error
    return image


def _manifests(file: tarfile.TarFile) -> list[Mapping[str, Any]]:
    """The manifests in an archive: the image and, in an image index, its attestations."""
    top_level: list[Mapping[str, Any]] = json.loads(_read(file, "index.json"))["manifests"]
    nested = [_json(file, entry["digest"]).get("manifests", [entry]) for entry in top_level]
    return [entry for entries in nested for entry in entries]


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
