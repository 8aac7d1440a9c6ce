"""`restore-state` with state versions of real Terraform."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from operations.errors import OperationError
from operations.local.emulator_process import Emulator
from operations.output.report import Report
from operations.state import restore as restore_state
from operations.terraform.stacks import Stack, read_stacks
from tests.e2e.tiny import BUCKET, Tiny, emulated

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("aws_provider")]

_KEY = "shared.tfstate"
_TABLE = "locks"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulated(tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture
def tiny(tmp_path: Path, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tiny]:
    """A stack whose state has two versions: with one resource and with two."""
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)
    made = Tiny(tmp_path, emulator.environment)
    _deploy(made)
    yield made
    for entry in made.client("s3").list_object_versions(Bucket=BUCKET)["Versions"]:
        made.client("s3").delete_object(Bucket=BUCKET, Key=entry["Key"], VersionId=entry["VersionId"])


def _deploy(tiny: Tiny, **backend: str) -> None:
    for resources in ({"one": {"input": "1"}}, {"one": {"input": "1"}, "two": {"input": "2"}}):
        table = backend.get("dynamodb_table")
        file = tiny.stack("shared", lock_table=table, terraform_data=resources) / "cdk.tf.json"
        configuration = json.loads(file.read_text())
        configuration["terraform"]["backend"]["s3"].update(backend)
        file.write_text(json.dumps(configuration))
        assert tiny.operations("deploy", "--yes").status == 0


def _stack(tiny: Tiny) -> Stack:
    return read_stacks(tiny.output)[0]


def _versions(tiny: Tiny) -> list[dict[str, Any]]:
    return list(restore_state.show_versions(boto3.Session(), _stack(tiny)).data["versions"])


def _restore(tiny: Tiny, *, resources: int) -> Report:
    version = next(entry["id"] for entry in _versions(tiny) if entry.get("resources") == resources)
    return _restore_version(tiny, version)


def _restore_version(tiny: Tiny, version: str, lineage: str | None = None) -> Report:
    return restore_state.restore(boto3.Session(), _stack(tiny), version, tiny.folder / "log", lineage)


def _nothing_is_locked(tiny: Tiny) -> bool:
    keys = [entry["Key"] for entry in tiny.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]]
    return keys == [_KEY]


def test_the_command_lists_the_contents_of_each_version(tiny: Tiny) -> None:
    newest, oldest = tiny.operations("restore-state", "shared").report["versions"]
    assert (newest["in_use"], newest["resources"], oldest["in_use"], oldest["resources"]) == (True, 2, False, 1)
    assert newest["serial"] > oldest["serial"]


def test_an_older_version_is_restored_as_a_new_version_and_planned(tiny: Tiny) -> None:
    before = _versions(tiny)
    restored = _restore(tiny, resources=1)
    assert restored.status == 2
    assert [(c["action"], c["address"]) for c in restored.data["changes"]] == [("create", "terraform_data.two")]
    after = _versions(tiny)
    assert [entry["id"] for entry in after[1:]] == [entry["id"] for entry in before]
    assert after[0]["serial"] == before[0]["serial"] + 1
    assert _nothing_is_locked(tiny)

    back = _restore(tiny, resources=2)
    assert (back.status, back.data["changes"]) == (0, [])


def test_a_broken_state_is_restored(tiny: Tiny) -> None:
    tiny.client("s3").put_object(Bucket=BUCKET, Key=_KEY, Body=b'{"version": 4, "ser')
    assert tiny.operations("deploy", "--yes").status == 1
    assert _restore(tiny, resources=2).status == 0


def test_a_deleted_state_is_restored(tiny: Tiny) -> None:
    tiny.client("s3").delete_object(Bucket=BUCKET, Key=_KEY)
    assert not [entry for entry in _versions(tiny) if entry["in_use"]]
    assert _restore(tiny, resources=2).status == 0


def test_the_digest_in_the_lock_table_is_updated(tiny: Tiny) -> None:
    """Terraform rejects a state that differs from its digest in the table."""
    dynamodb = tiny.client("dynamodb")
    attribute = {"AttributeName": "LockID", "AttributeType": "S"}
    key = {"AttributeName": "LockID", "KeyType": "HASH"}
    dynamodb.create_table(
        TableName=_TABLE, AttributeDefinitions=[attribute], KeySchema=[key], BillingMode="PAY_PER_REQUEST"
    )
    tiny.client("s3").delete_object(Bucket=BUCKET, Key=_KEY)
    shutil.rmtree(_stack(tiny).directory / ".terraform")  # it has the previous backend configuration
    _deploy(tiny, dynamodb_table=_TABLE)
    assert _restore(tiny, resources=2).status == 0
    rows = dynamodb.scan(TableName=_TABLE)["Items"]
    assert [row["LockID"]["S"] for row in rows] == [f"{BUCKET}/{_KEY}-md5"]

    info = json.dumps({"ID": "6f1c", "Who": "minji@laptop", "Operation": "OperationTypeApply", "Created": "x"})
    dynamodb.put_item(TableName=_TABLE, Item={"LockID": {"S": f"{BUCKET}/{_KEY}"}, "Info": {"S": info}})
    with pytest.raises(OperationError, match=r"^shared: minji@laptop holds the lock for apply, since x; "):
        _restore(tiny, resources=2)
    assert _nothing_is_locked(tiny)


def test_rejects_to_restore_while_the_state_is_locked(tiny: Tiny) -> None:
    lock = {"ID": "6f1c", "Who": "minji@laptop", "Operation": "OperationTypeApply", "Created": "2026-01-01T00:00:00Z"}
    tiny.client("s3").put_object(Bucket=BUCKET, Key=f"{_KEY}.tflock", Body=json.dumps(lock))
    before = _versions(tiny)
    with pytest.raises(OperationError, match=r"^shared: minji@laptop holds the lock for apply, since 2026-01-01"):
        _restore(tiny, resources=1)
    assert _versions(tiny) == before
    tiny.client("s3").delete_object(Bucket=BUCKET, Key=f"{_KEY}.tflock")


def test_rejects_a_version_of_another_lineage(tiny: Tiny) -> None:
    s3 = tiny.client("s3")
    newest = json.loads(s3.get_object(Bucket=BUCKET, Key=_KEY)["Body"].read())
    foreign = s3.put_object(Bucket=BUCKET, Key=_KEY, Body=json.dumps(newest | {"lineage": "another"}))["VersionId"]
    s3.put_object(Bucket=BUCKET, Key=_KEY, Body=json.dumps(newest))
    with pytest.raises(OperationError, match=r"lineage another, but the newest version has "):
        _restore_version(tiny, foreign)
    assert _nothing_is_locked(tiny)


def test_an_overwritten_state_is_restored_by_its_lineage(tiny: Tiny) -> None:
    s3, version = tiny.client("s3"), _versions(tiny)[0]
    own = version["lineage"]
    foreign = {**json.loads(s3.get_object(Bucket=BUCKET, Key=_KEY)["Body"].read()), "lineage": "another", "serial": 90}
    s3.put_object(Bucket=BUCKET, Key=_KEY, Body=json.dumps(foreign))
    with pytest.raises(OperationError, match=rf"lineage {own}, but the newest version has another.*--lineage {own}$"):
        _restore_version(tiny, version["id"])
    with pytest.raises(OperationError, match=rf"lineage {own}, but --lineage is another"):
        _restore_version(tiny, version["id"], "another")
    assert _restore_version(tiny, version["id"], own).status == 0
    newest = _versions(tiny)[0]
    assert (newest["lineage"], newest["serial"], newest["resources"]) == (own, 91, 2)


def test_lists_the_newest_versions_and_all_on_request(tiny: Tiny) -> None:
    report = restore_state.show_versions(boto3.Session(), _stack(tiny), 1)
    assert [entry["in_use"] for entry in report.data["versions"]] == [True]
    assert (report.title, report.notes[0]) == (
        "shared: 2 versions of its state",
        "1 older version not listed: add --all",
    )


def test_rejects_a_version_that_does_not_exist(tiny: Tiny) -> None:
    with pytest.raises(OperationError, match=r"^shared: v9: no such version; choose another"):
        _restore_version(tiny, "v9")
