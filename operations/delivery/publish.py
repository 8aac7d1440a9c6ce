"""Publishing an image that was built and scanned: exactly those bytes, once, signed, with how they were made.

What is pushed is the image that was scanned, under the full SHA of its commit; tags are immutable, so a second run
finds it there and goes on. Signature and attestations hang on its digest, as referrers of OCI 1.1, and need no tag.
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
"""In what `cosign tree` calls a signature."""


def publish(archive: Path, repository: str, tag: str) -> Report:
    """Push the archive to `repository`, which is `<registry>/<service>`, and sign it.

    Raises:
        OperationError: the archive holds no image, or the registry or the signing refused.
    """
    digest = _digest(archive)
    there = _pushed(repository, tag)
    is_new = there is None
    if is_new:
        # Without the index around it, which would leave images without a tag in the repository.
        _run("skopeo", "copy", "--preserve-digests", f"oci-archive:{archive}", f"docker://{repository}:{tag}")
        there = _pushed(repository, tag)
        if there != digest:
            raise OperationError(f"{repository}:{tag}: {there} is there, and not {digest}; see who else pushes it")
    assert there is not None
    image = f"{repository}@{there}"
    known = _run("cosign", "tree", image)
    if _SIGNATURE not in known:
        _run("cosign", "sign", "--yes", image)
    if there == digest:  # built again, a commit may give other bytes: what is there counts, it may run already
        _attest(archive, image, known)
    title = f"published {repository}:{tag}" if is_new else f"{repository}:{tag} is there already"
    return Report(title, Status.FINE, {"repository": repository, "digest": there, "pushed": is_new}, notes=[there])


def _attest(archive: Path, image: str, known: str) -> None:
    """Sign what BuildKit says of the image, except for what hangs on it already."""
    with tempfile.TemporaryDirectory(prefix="attestations-") as folder:
        for number, (kind, predicate) in enumerate(attestations(archive)):
            if kind in known:
                continue
            file = Path(folder) / f"{number}.json"
            file.write_text(json.dumps(predicate), encoding="utf-8")
            _run("cosign", "attest", "--yes", "--type", kind, "--predicate", str(file), image)


def attestations(archive: Path) -> Iterator[tuple[str, Any]]:
    """What BuildKit attests in an archive: each predicate with its type, the bill of materials and the provenance."""
    with tarfile.open(archive, "r:") as file:
        for entry in _manifests(file):
            if _is_attestation(entry):
                for layer in _json(file, entry["digest"])["layers"]:
                    yield layer["annotations"][_PREDICATE_TYPE], _json(file, layer["digest"])["predicate"]


def _digest(archive: Path) -> str:
    """The digest of the one image that an archive holds."""
    try:
        with tarfile.open(archive, "r:") as file:
            (image,) = [str(entry["digest"]) for entry in _manifests(file) if not _is_attestation(entry)]
    except (OSError, tarfile.TarError, KeyError, ValueError) as error:
        raise OperationError(f"{archive}: {error}; give it what BuildKit wrote as type=oci for one platform") from error
    return image


def _manifests(file: tarfile.TarFile) -> list[Mapping[str, Any]]:
    """What an archive holds: an image or, with what it attests, the index around both."""
    listed: list[Mapping[str, Any]] = json.loads(_read(file, "index.json"))["manifests"]
    within = [_json(file, entry["digest"]).get("manifests", [entry]) for entry in listed]
    return [entry for some in within for entry in some]


def _is_attestation(entry: Mapping[str, Any]) -> bool:
    return bool(entry.get("annotations", {}).get(_REFERENCE_TYPE) == "attestation-manifest")


def _json(file: tarfile.TarFile, digest: str) -> Any:
    return json.loads(_read(file, f"blobs/{digest.replace(':', '/')}"))


def _read(file: tarfile.TarFile, name: str) -> bytes:
    member = file.extractfile(name)
    if member is None:
        raise KeyError(name)
    return member.read()


def _pushed(repository: str, tag: str) -> str | None:
    """The digest of a tag; None where there is none."""
    run = process.run("skopeo", "inspect", "--raw", f"docker://{repository}:{tag}")
    if run.returncode:
        said = run.stderr.strip()
        if "manifest unknown" in said or "not found" in said:
            return None
        raise OperationError(f"{repository}:{tag}: {said}; see whether the role may read the repository")
    with tempfile.NamedTemporaryFile(mode="w", encoding="utf-8", prefix="manifest-") as file:
        file.write(run.stdout)
        file.flush()
        return _run("skopeo", "manifest-digest", file.name).strip()


def _run(program: str, *arguments: str) -> str:
    return process.output(program, *arguments, hint="run it again")
