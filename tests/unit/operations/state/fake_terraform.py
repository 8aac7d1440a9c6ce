"""A stand-in for `terraform`: applies the few resource types of a backend stack to the emulated AWS.

It appends each command to the file `FAKE_TERRAFORM_CALLS`. If a command starts with `FAKE_TERRAFORM_FAILS_AT`, it fails
after the first resource, like a run that was interrupted.
"""

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

STATE = Path("terraform.tfstate")


class FakeTerraform:
    """Installs the stand-in on the PATH of a test."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._calls = folder / "terraform-calls"
        self._monkeypatch = monkeypatch
        program = folder / "fake-bin/terraform"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        monkeypatch.setenv("FAKE_TERRAFORM_CALLS", str(self._calls))

    @property
    def calls(self) -> list[str]:
        return self._calls.read_text().splitlines() if self._calls.exists() else []

    def fail_at(self, command: str) -> None:
        self._monkeypatch.setenv("FAKE_TERRAFORM_FAILS_AT", command)

    def succeed(self) -> None:
        self._monkeypatch.delenv("FAKE_TERRAFORM_FAILS_AT")
        self._calls.unlink()


def main(arguments: list[str]) -> int:
    arguments = [argument for argument in arguments if argument != "-no-color"]
    command = " ".join(arguments)
    with Path(os.environ["FAKE_TERRAFORM_CALLS"]).open("a") as calls:
        calls.write(f"{command}\n")
    fails = command.startswith(os.environ.get("FAKE_TERRAFORM_FAILS_AT", "never"))
    configuration = json.loads(Path("cdk.tf.json").read_text())
    match arguments:
        case ["init", *_]:
            return int(fails)
        case ["apply", *_]:
            return _apply(configuration["resource"], fails=fails)
        case ["destroy", *_]:
            return _destroy(configuration["resource"], fails=fails)
        case ["state", "list"]:
            print(*_read(), sep="\n")
        case ["state", "rm", address]:
            _write({known: attributes for known, attributes in _read().items() if known != address})
        case ["state", "push", _] if fails:
            return 1
        case ["state", "push", file]:
            backend = configuration["terraform"]["backend"]["s3"]
            _client("s3").put_object(Bucket=backend["bucket"], Key=backend["key"], Body=Path(file).read_bytes())
        case ["import", address, id_]:
            _write(_read() | {address: {"id": id_}})
    return 0


def _client(service: str) -> Any:
    import boto3  # noqa: PLC0415 (slow; most commands do not need it)

    return boto3.client(service)  # type: ignore[call-overload]


def _read() -> dict[str, dict[str, Any]]:
    """The attributes of the resources in the local state, by address."""
    text = STATE.read_text() if STATE.exists() else ""
    document = json.loads(text or '{"resources": []}')
    return {f"{one['type']}.{one['name']}": one["instances"][0]["attributes"] for one in document["resources"]}


def _write(resources: dict[str, dict[str, Any]]) -> None:
    entries = []
    for address, attributes in resources.items():
        kind, name = address.split(".")
        entries.append({"mode": "managed", "type": kind, "name": name, "instances": [{"attributes": attributes}]})
    STATE.write_text(json.dumps({"version": 4, "serial": 1, "lineage": "backend", "resources": entries}))


def _apply(resource: dict[str, dict[str, Any]], *, fails: bool) -> int:
    for kind, named in resource.items():
        for name, arguments in named.items():
            known, address = _read(), f"{kind}.{name}"
            id_ = known[address]["id"] if address in known else _create(kind, arguments)
            protected = {name: arguments.get(name, False) for name in ("force_destroy", "deletion_protection_enabled")}
            _write(known | {address: {"id": id_, **protected}})
            if fails:
                return 1
    return 0


def _create(kind: str, arguments: dict[str, Any]) -> str:
    if kind == "aws_kms_key":
        return str(_client("kms").create_key()["KeyMetadata"]["KeyId"])
    if kind == "aws_kms_alias":
        _client("kms").create_alias(AliasName=arguments["name"], TargetKeyId=_referred(arguments["target_key_id"]))
        return str(arguments["name"])
    if kind == "aws_s3_bucket":
        region = {"LocationConstraint": os.environ["AWS_REGION"]}
        _client("s3").create_bucket(Bucket=arguments["bucket"], CreateBucketConfiguration=region)
        return str(arguments["bucket"])
    if kind == "aws_s3_bucket_versioning":
        bucket = _referred(arguments["bucket"])
        _client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        return bucket
    if kind == "aws_s3_bucket_replication_configuration":
        return _referred(arguments["bucket"])
    _client("dynamodb").create_table(
        TableName=arguments["name"],
        AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return str(arguments["name"])


def _referred(reference: str) -> str:
    """The id of the resource that an argument refers to: `${TYPE.NAME.ATTRIBUTE}`."""
    return str(_read()[reference.removeprefix("${").rpartition(".")[0]]["id"])


def _destroy(resource: dict[str, dict[str, Any]], *, fails: bool) -> int:
    """Destroy all resources of the state, dependents first; refuse protected ones, like Terraform and AWS."""
    if any(one.get("lifecycle", {}).get("prevent_destroy") for named in resource.values() for one in named.values()):
        return 1
    replication = "aws_s3_bucket_replication_configuration"
    order = (replication, "aws_s3_bucket", "aws_dynamodb_table", "aws_kms_alias", "aws_kms_key")
    for address, attributes in sorted(_read().items(), key=lambda item: order.index(item[0].split(".")[0])):
        _delete(address.split(".")[0], attributes)
        _write({known: others for known, others in _read().items() if known != address})
        if fails:
            return 1
    return 0


def _delete(kind: str, attributes: dict[str, Any]) -> None:
    if kind == "aws_s3_bucket":
        s3 = _client("s3")
        if attributes["force_destroy"]:
            versions = s3.list_object_versions(Bucket=attributes["id"])
            for entry in [*versions.get("Versions", []), *versions.get("DeleteMarkers", [])]:
                s3.delete_object(Bucket=attributes["id"], Key=entry["Key"], VersionId=entry["VersionId"])
        s3.delete_bucket(Bucket=attributes["id"])
    elif kind == "aws_dynamodb_table":
        assert not attributes["deletion_protection_enabled"]
        _client("dynamodb").delete_table(TableName=attributes["id"])
    elif kind == "aws_kms_alias":
        _client("kms").delete_alias(AliasName=attributes["id"])
    elif kind == "aws_kms_key":
        _client("kms").schedule_key_deletion(KeyId=attributes["id"], PendingWindowInDays=7)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
