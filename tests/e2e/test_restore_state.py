"""`restore-state` on the versions that real Terraform wrote."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.tiny import BUCKET, Done, Tiny, emulated

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("aws_provider")]

_KEY = "shared.tfstate"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiny]:
    """A stack whose state has two versions: with one repository, and with two."""
    folder = tmp_path_factory.mktemp("restore")
    with emulated(folder) as emulator:
        made = Tiny(folder, emulator.environment)
        for repositories in ({"one": {"name": "one"}}, {"one": {"name": "one"}, "two": {"name": "two"}}):
            made.stack("shared", aws_ecr_repository=repositories)
            assert made.operations("deploy", "--yes").status == 0
        yield made


def _versions(tiny: Tiny) -> list[dict[str, Any]]:
    listed = tiny.operations("restore-state", "shared")
    assert listed.status == 0, listed.said
    versions: list[dict[str, Any]] = listed.report["versions"]
    return versions


def _restore(tiny: Tiny, resources: int) -> Done:
    version = next(entry["id"] for entry in _versions(tiny) if entry.get("resources") == resources)
    return tiny.operations("restore-state", "shared", "--version", version)


def test_versions_are_listed_with_what_is_in_them(tiny: Tiny) -> None:
    newest, oldest = _versions(tiny)
    assert (newest["in_use"], newest["resources"], oldest["in_use"], oldest["resources"]) == (True, 2, False, 1)
    assert newest["serial"] > oldest["serial"]


def test_an_older_version_is_restored_as_a_new_one_and_compared_with_what_exists(tiny: Tiny) -> None:
    before = _versions(tiny)
    restored = _restore(tiny, 1)
    assert restored.status == 2
    assert [(c["action"], c["address"]) for c in restored.report["changes"]] == [("create", "aws_ecr_repository.two")]
    after = _versions(tiny)
    assert [entry["id"] for entry in after[1:]] == [entry["id"] for entry in before]
    assert after[0]["serial"] == before[0]["serial"] + 1

    back = _restore(tiny, 2)
    assert (back.status, back.report["changes"]) == (0, [])


def test_a_broken_state_is_restored(tiny: Tiny) -> None:
    tiny.client("s3").put_object(Bucket=BUCKET, Key=_KEY, Body=b"")
    restored = _restore(tiny, 2)
    assert (restored.status, restored.report["changes"]) == (0, [])


def test_a_deleted_state_is_restored(tiny: Tiny) -> None:
    tiny.client("s3").delete_object(Bucket=BUCKET, Key=_KEY)
    assert not [entry for entry in _versions(tiny) if entry["in_use"]]
    assert _restore(tiny, 2).status == 0


def test_rejects_to_restore_while_somebody_holds_the_lock(tiny: Tiny) -> None:
    lock = {"ID": "6f1c", "Who": "minji@laptop", "Operation": "OperationTypeApply", "Created": "2026-01-01T00:00:00Z"}
    tiny.client("s3").put_object(Bucket=BUCKET, Key=f"{_KEY}.tflock", Body=json.dumps(lock))
    before = _versions(tiny)
    refused = _restore(tiny, 1)
    tiny.client("s3").delete_object(Bucket=BUCKET, Key=f"{_KEY}.tflock")
    assert refused.status == 1
    assert "shared: minji@laptop holds the lock for apply, since 2026-01-01T00:00:00Z" in refused.said
    assert _versions(tiny) == before


def test_rejects_a_version_of_another_lineage(tiny: Tiny) -> None:
    s3 = tiny.client("s3")
    newest = json.loads(s3.get_object(Bucket=BUCKET, Key=_KEY)["Body"].read())
    foreign = s3.put_object(Bucket=BUCKET, Key=_KEY, Body=json.dumps(newest | {"lineage": "another"}))["VersionId"]
    s3.put_object(Bucket=BUCKET, Key=_KEY, Body=json.dumps(newest))
    refused = tiny.operations("restore-state", "shared", "--version", foreign)
    assert refused.status == 1
    assert "of lineage another" in refused.said
    assert not [entry for entry in s3.list_objects_v2(Bucket=BUCKET)["Contents"] if entry["Key"].endswith("tflock")]
