"""Creating and destroying the state bucket, on the emulated AWS and with a stand-in for Terraform."""

import copy
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from operations.errors import OperationError
from operations.state import bootstrap
from operations.terraform.stacks import State
from tests.stacks import REGION, make_stack
from tests.unit.operations.state.fake_terraform import FakeTerraform

pytestmark = pytest.mark.slow

KEY = "backend.tfstate"


class Backend:
    """A backend stack with a bucket, a key and a lock table of unique names, and the commands that act on it."""

    def __init__(self, folder: Path, aws: boto3.Session, terraform: FakeTerraform) -> None:
        self.aws = aws
        self.terraform = terraform
        self.bucket = f"state-{uuid.uuid4().hex[:8]}"
        self.table, self.alias = f"{self.bucket}-lock", f"alias/{self.bucket}"
        self.stack = make_stack(
            "backend",
            folder / "stacks/backend",
            kind="backend",
            name="backend",
            state=State(self.bucket, KEY, REGION, self.table, "backend"),
        )
        self.stack.directory.mkdir(parents=True)
        (self.stack.directory / "cdk.tf.json").write_text(json.dumps(self._configuration()))
        self.local_state = folder / "home/backend/terraform.tfstate"
        self._home, self._log = folder / "home", folder / "log"

    def _configuration(self) -> dict[str, Any]:
        keep = {"lifecycle": {"prevent_destroy": True}}
        return {
            "terraform": {"backend": {"s3": {"bucket": self.bucket, "key": KEY}}},
            "provider": {"aws": [{"region": REGION}]},
            "resource": {
                "aws_kms_key": {"key": {**keep}},
                "aws_kms_alias": {"alias": {"name": self.alias, "target_key_id": "${aws_kms_key.key.key_id}"}},
                "aws_s3_bucket": {"state": {"bucket": self.bucket, **keep}},
                "aws_s3_bucket_versioning": {"state": {"bucket": "${aws_s3_bucket.state.id}"}},
                "aws_dynamodb_table": {"lock": {"name": self.table, "deletion_protection_enabled": True}},
            },
        }

    def describe_key(self, description: str) -> None:
        """Configure a description of the key."""
        configuration = self._configuration()
        configuration["resource"]["aws_kms_key"]["key"]["description"] = description
        (self.stack.directory / "cdk.tf.json").write_text(json.dumps(configuration))

    def copy_to(self, region: str) -> None:
        """Configure a copy of the bucket in another region, whose key has the same alias as the other one."""
        configuration = self._configuration()
        configuration["provider"]["aws"].append({"region": region, "alias": region})
        provider = {"provider": f"aws.{region}"}
        for kind, arguments in (
            ("aws_kms_key", {**provider}),
            ("aws_kms_alias", {**provider, "name": self.alias, "target_key_id": "${aws_kms_key.copy.key_id}"}),
            ("aws_s3_bucket", {**provider, "bucket": f"{self.bucket}-copy"}),
        ):
            configuration["resource"][kind]["copy"] = arguments
        (self.stack.directory / "cdk.tf.json").write_text(json.dumps(configuration))

    def replicate(self) -> None:
        """Configure the replication of the bucket."""
        configuration = self._configuration()
        replication = {"state": {"bucket": "${aws_s3_bucket.state.id}"}}
        configuration["resource"]["aws_s3_bucket_replication_configuration"] = replication
        (self.stack.directory / "cdk.tf.json").write_text(json.dumps(configuration))

    def create_copy(self, region: str) -> str:
        """Create what a lost state has forgotten in another region, and return the ID of its key."""
        kms = self.aws.client("kms", region_name=region)
        key = str(kms.create_key()["KeyMetadata"]["KeyId"])
        kms.create_alias(AliasName=self.alias, TargetKeyId=key)
        where: Any = {"LocationConstraint": region}
        s3 = self.aws.client("s3", region_name=region)
        s3.create_bucket(Bucket=f"{self.bucket}-copy", CreateBucketConfiguration=where)
        return key

    def bootstrap(self) -> list[str]:
        """Run `bootstrap`, and return the printed lines."""
        printed: list[str] = []
        bootstrap.bootstrap(self.stack, self._home, printed.append, self._log)
        return printed

    def unbootstrap(self) -> list[str]:
        """Run `unbootstrap`, and return the printed lines."""
        printed: list[str] = []
        bootstrap.unbootstrap(self.stack, self._home, printed.append, self._log)
        return printed

    def stored_state(self) -> bytes:
        return self.aws.client("s3").get_object(Bucket=self.bucket, Key=KEY)["Body"].read()

    def put_state(self, key: str, *resources: dict[str, Any]) -> None:
        body = json.dumps({"version": 4, "serial": 1, "lineage": key, "resources": resources})
        self.aws.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body)

    def put_local_state(self, state: bytes) -> None:
        self.local_state.parent.mkdir(parents=True)
        self.local_state.write_bytes(state)

    def has_bucket(self) -> bool:
        return self.bucket in [bucket["Name"] for bucket in self.aws.client("s3").list_buckets()["Buckets"]]

    def key(self, key_id: str | None = None) -> Any:
        return self.aws.client("kms").describe_key(KeyId=key_id or self.alias)["KeyMetadata"]


@pytest.fixture
def backend(tmp_path: Path, aws: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> Backend:
    return Backend(tmp_path, aws, FakeTerraform(tmp_path, monkeypatch))


def _ids(state: bytes) -> dict[str, str]:
    return {
        f"{entry['type']}.{entry['name']}": entry["instances"][0]["attributes"]["id"]
        for entry in json.loads(state)["resources"]
    }


ALL = {
    "aws_kms_key.key",
    "aws_kms_alias.alias",
    "aws_s3_bucket.state",
    "aws_s3_bucket_versioning.state",
    "aws_dynamodb_table.lock",
}


def test_bootstrap_creates_the_bucket_and_stores_its_own_state_in_it(backend: Backend) -> None:
    printed = backend.bootstrap()
    assert _ids(backend.stored_state()).keys() == ALL
    assert not backend.local_state.parent.exists()
    assert printed[-1] == f"backend: its state is stored in s3://{backend.bucket}/backend.tfstate"


def test_bootstrap_of_an_existing_bucket_changes_nothing(backend: Backend) -> None:
    backend.bootstrap()
    before = backend.terraform.calls
    assert backend.bootstrap() == [f"backend: its state is stored in s3://{backend.bucket}/backend.tfstate"]
    assert backend.terraform.calls == before


@pytest.mark.parametrize("interrupted", ["apply", "state push"])
def test_bootstrap_continues_after_an_interruption(backend: Backend, interrupted: str) -> None:
    backend.terraform.fail_at(interrupted)
    with pytest.raises(OperationError, match=f"terraform {interrupted.partition(' ')[0]} failed"):
        backend.bootstrap()
    created = _ids(backend.local_state.read_bytes())
    backend.terraform.succeed()
    backend.bootstrap()
    assert _ids(backend.stored_state()).keys() == ALL
    assert created.items() <= _ids(backend.stored_state()).items()
    assert not [call for call in backend.terraform.calls if call.startswith("import")]
    assert not backend.local_state.exists()


def test_bootstrap_removes_a_local_copy_that_an_interruption_left(backend: Backend) -> None:
    backend.bootstrap()
    before = backend.terraform.calls
    backend.put_local_state(backend.stored_state())
    backend.bootstrap()
    assert not backend.local_state.exists()
    assert backend.terraform.calls == before


def test_bootstrap_keeps_a_local_state_whose_resources_the_bucket_does_not_contain(backend: Backend) -> None:
    backend.bootstrap()
    local = json.loads(backend.stored_state())
    lost = copy.deepcopy(local["resources"][0])
    lost["instances"][0]["attributes"]["id"] = "1234abcd"
    local["resources"].append(lost)
    backend.put_local_state(json.dumps(local).encode())
    with pytest.raises(OperationError, match=r"does not contain aws_kms_key.key \(1234abcd\); import those that exist"):
        backend.bootstrap()
    assert backend.local_state.exists()


def test_bootstrap_imports_a_key_that_has_no_alias_yet(backend: Backend) -> None:
    """Terraform was killed after it created the key; its lock leaves an empty state file."""
    description = f"Terraform state {backend.bucket}"
    backend.describe_key(description)
    tags: Any = [{"TagKey": name, "TagValue": value} for name, value in backend.stack.tags.items()]
    key = backend.aws.client("kms").create_key(Description=description, Tags=tags)["KeyMetadata"]["KeyId"]
    backend.put_local_state(b"")
    backend.bootstrap()
    assert [call for call in backend.terraform.calls if call.startswith("import")] == [f"import aws_kms_key.key {key}"]
    assert backend.key()["KeyId"] == key


def test_bootstrap_refuses_two_keys_that_it_cannot_tell_apart(backend: Backend) -> None:
    description = f"Terraform state {backend.bucket}"
    backend.describe_key(description)
    tags: Any = [{"TagKey": name, "TagValue": value} for name, value in backend.stack.tags.items()]
    kms = backend.aws.client("kms")
    keys = sorted(kms.create_key(Description=description, Tags=tags)["KeyMetadata"]["KeyId"] for _ in range(2))
    with pytest.raises(OperationError) as error:
        backend.bootstrap()
    assert str(error.value) == (
        f"backend: aws_kms_key.key: {', '.join(keys)}: 2 exist with its name or tags; delete those that are not in use"
    )
    assert not [call for call in backend.terraform.calls if call.startswith(("import", "apply"))]
    kms.create_alias(AliasName=backend.alias, TargetKeyId=keys[1])  # it tells which one is in use
    backend.bootstrap()
    assert _ids(backend.stored_state())["aws_kms_key.key"] == keys[1]


def test_bootstrap_keeps_a_key_whose_creation_was_interrupted(backend: Backend) -> None:
    backend.terraform.fail_at("apply")
    with pytest.raises(OperationError):
        backend.bootstrap()
    state = json.loads(backend.local_state.read_bytes())
    (key,) = state["resources"]
    key["instances"][0]["status"] = "tainted"
    backend.local_state.write_text(json.dumps(state))
    backend.terraform.succeed()
    backend.bootstrap()
    assert "untaint aws_kms_key.key" in backend.terraform.calls
    assert _ids(backend.stored_state())["aws_kms_key.key"] == key["instances"][0]["attributes"]["id"]


def test_bootstrap_forgets_an_empty_local_state(backend: Backend) -> None:
    backend.bootstrap()
    backend.put_local_state(b"")
    backend.bootstrap()
    assert not backend.local_state.parent.exists()


def test_bootstrap_imports_existing_resources_without_a_local_state(backend: Backend) -> None:
    """A run on another machine may have created them."""
    backend.terraform.fail_at("state push")
    with pytest.raises(OperationError):
        backend.bootstrap()
    key = backend.key()["KeyId"]
    backend.local_state.unlink()
    backend.terraform.succeed()
    backend.bootstrap()
    assert sorted(call for call in backend.terraform.calls if call.startswith("import")) == [
        f"import aws_dynamodb_table.lock {backend.table}",
        f"import aws_kms_alias.alias {backend.alias}",
        f"import aws_kms_key.key {key}",
        f"import aws_s3_bucket.state {backend.bucket}",
    ]
    assert backend.key()["KeyId"] == key
    assert _ids(backend.stored_state()).keys() == ALL


def test_bootstrap_imports_a_copy_from_its_own_region(backend: Backend) -> None:
    """Its key has the alias of the other key, which is in the region of the stack."""
    other = backend.aws.client("kms").create_key()["KeyMetadata"]["KeyId"]
    backend.aws.client("kms").create_alias(AliasName=backend.alias, TargetKeyId=other)
    backend.copy_to("us-west-2")
    key = backend.create_copy("us-west-2")
    backend.bootstrap()
    assert [call for call in backend.terraform.calls if call.startswith("import")] == [
        f"import aws_kms_key.key {other}",
        f"import aws_kms_alias.alias {backend.alias}",
        f"import aws_kms_key.copy {key}",
        f"import aws_kms_alias.copy {backend.alias}",
        f"import aws_s3_bucket.copy {backend.bucket}-copy",
    ]


def test_unbootstrap_ends_the_replication_before_it_empties_the_copy(backend: Backend) -> None:
    backend.replicate()
    backend.bootstrap()
    backend.unbootstrap()
    assert [call for call in backend.terraform.calls if call.startswith("state rm")] == [
        "state rm aws_s3_bucket_versioning.state"
    ]


def test_a_bucket_that_another_account_owns_is_rejected(backend: Backend) -> None:
    other = boto3.Session(aws_access_key_id="999999999999", aws_secret_access_key="other")  # noqa: S106
    region = {"LocationConstraint": REGION}
    client: Any = other.client("s3")
    client.create_bucket(Bucket=backend.bucket, CreateBucketConfiguration=region)
    for act in (backend.bootstrap, backend.unbootstrap):
        with pytest.raises(
            OperationError, match=r"^backend: s3://state-\w+ is owned by another account; choose another"
        ):
            act()
    assert backend.terraform.calls == []


@pytest.mark.parametrize("command", [Backend.bootstrap, Backend.unbootstrap])
def test_rejects_credentials_of_another_account(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, command: Callable[[Backend], None]
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "999999999999")
    with pytest.raises(OperationError, match=r"^backend: the credentials belong to account 999999999999"):
        command(backend)
    assert backend.terraform.calls == []


@pytest.mark.parametrize("operation", ["HeadBucket", "DescribeKey", "DescribeTable"])
def test_bootstrap_creates_nothing_after_an_unexpected_error_of_aws(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    call: Callable[..., Any] = vars(BaseClient)["_make_api_call"]

    def fail(client: BaseClient, name: str, arguments: Any) -> Any:
        if name == operation:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "denied"}}, name)
        return call(client, name, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", fail)
    with pytest.raises(ClientError, match=f"when calling the {operation} operation: denied"):
        backend.bootstrap()
    assert not [called for called in backend.terraform.calls if called.startswith("apply")]


def test_unbootstrap_destroys_the_bucket_with_all_versions_and_the_key(backend: Backend) -> None:
    backend.bootstrap()
    backend.put_state("dev.tfstate")
    backend.put_state("dev.tfstate", {"mode": "data", "type": "aws_region", "name": "here", "instances": []})
    key = backend.key()["KeyId"]
    backend.unbootstrap()
    assert not backend.has_bucket()
    assert backend.key(key)["KeyState"] == "PendingDeletion"
    assert backend.table not in backend.aws.client("dynamodb").list_tables()["TableNames"]
    assert not backend.local_state.parent.exists()
    removed = [call for call in backend.terraform.calls if call.startswith("state rm")]
    assert removed == ["state rm aws_s3_bucket_versioning.state"]  # so that it lasts as long as the bucket


def test_unbootstrap_continues_after_an_interruption(backend: Backend) -> None:
    """The bucket, and with it the remote state, may be destroyed already."""
    backend.bootstrap()
    key = backend.key()["KeyId"]
    backend.terraform.fail_at("destroy")
    with pytest.raises(OperationError, match="terraform destroy failed"):
        backend.unbootstrap()
    assert not backend.has_bucket()
    assert _ids(backend.local_state.read_bytes())["aws_kms_key.key"] == key
    backend.terraform.succeed()
    backend.unbootstrap()
    assert not backend.has_bucket()
    assert backend.key(key)["KeyState"] == "PendingDeletion"
    assert not backend.local_state.exists()


def test_unbootstrap_without_a_bucket_does_nothing(backend: Backend) -> None:
    assert backend.unbootstrap() == [f"backend: nothing to destroy: s3://{backend.bucket} has no state of this stack"]
    assert backend.terraform.calls == []


def test_unbootstrap_is_refused_while_stacks_have_resources_or_a_lock_is_held(backend: Backend) -> None:
    backend.bootstrap()
    vpc = {"mode": "managed", "type": "aws_vpc", "name": "vpc", "instances": []}
    backend.put_state("shared/terraform.tfstate", vpc)
    backend.put_state("dev/terraform.tfstate", vpc, {**vpc, "mode": "data"})
    backend.put_state("staging/terraform.tfstate")
    backend.aws.client("s3").put_object(Bucket=backend.bucket, Key="shared/terraform.tfstate.tflock", Body=b"{}")
    before = backend.terraform.calls
    with pytest.raises(OperationError) as raised:
        backend.unbootstrap()
    assert str(raised.value).splitlines() == [
        f"s3://{backend.bucket}/dev/terraform.tfstate: 1 resource; destroy that stack first",
        f"s3://{backend.bucket}/shared/terraform.tfstate: 1 resource; destroy that stack first",
        f"s3://{backend.bucket}/shared/terraform.tfstate.tflock: the lock is held; wait for it, or break it",
    ]
    assert backend.terraform.calls == before
    assert not backend.local_state.exists()
    assert backend.has_bucket()


def test_bootstrap_is_refused_while_its_state_could_not_be_saved(backend: Backend) -> None:
    (backend.stack.directory / "errored.tfstate").touch()
    with pytest.raises(OperationError, match="the state of an apply that could not be saved"):
        backend.bootstrap()
    assert backend.terraform.calls == []


def test_unbootstrap_is_refused_while_a_state_could_not_be_saved(backend: Backend) -> None:
    backend.bootstrap()
    unsaved = backend.stack.directory.parent / "shared/errored.tfstate"
    unsaved.parent.mkdir()
    unsaved.touch()
    with pytest.raises(OperationError, match=f"^{unsaved}: the state of an apply that could not be saved; "):
        backend.unbootstrap()
    assert backend.has_bucket()


def test_unbootstrap_is_refused_while_a_state_under_any_key_has_resources(backend: Backend) -> None:
    backend.bootstrap()
    backend.put_state("ap-northeast-2/dev/state.json", {"mode": "managed", "type": "aws_vpc", "name": "vpc"})
    with pytest.raises(OperationError) as raised:
        backend.unbootstrap()
    where = f"s3://{backend.bucket}/ap-northeast-2/dev/state.json"
    assert str(raised.value) == f"{where}: 1 resource; destroy that stack first"
    assert backend.has_bucket()


@pytest.mark.parametrize("content", [b'{"version": 4, "reso', b"\xff", b"[]", b'{"encrypted_data": "YQ=="}'])
def test_unbootstrap_is_refused_while_an_object_is_not_a_state(backend: Backend, content: bytes) -> None:
    """It may be a state that is damaged or encrypted."""
    backend.bootstrap()
    backend.aws.client("s3").put_object(Bucket=backend.bucket, Key="dev/terraform.tfstate", Body=content)
    with pytest.raises(OperationError) as raised:
        backend.unbootstrap()
    where = f"s3://{backend.bucket}/dev/terraform.tfstate"
    assert str(raised.value) == f"{where}: cannot be read as a Terraform state; move or delete it first"
    assert backend.has_bucket()


def test_unbootstrap_is_refused_while_an_object_is_too_large_to_be_read(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.bootstrap()
    backend.put_state("dev/terraform.tfstate")
    monkeypatch.setattr(bootstrap, "_MAX_STATE_BYTES", 10)
    with pytest.raises(OperationError, match="cannot be read as a Terraform state"):
        backend.unbootstrap()


def test_unbootstrap_accepts_the_empty_objects_of_folders(backend: Backend) -> None:
    backend.bootstrap()
    backend.aws.client("s3").put_object(Bucket=backend.bucket, Key="dev/")
    backend.unbootstrap()
    assert not backend.has_bucket()


def test_configuration_without_protection_leaves_the_original_unchanged() -> None:
    original = {
        "resource": {
            "aws_s3_bucket": {"state": {"lifecycle": {"prevent_destroy": True, "ignore_changes": ["tags"]}}},
            "aws_dynamodb_table": {"lock": {"deletion_protection_enabled": True}},
            "aws_db_instance": {"database": {"deletion_protection": True}},
            "aws_kms_key": {"key": {}},
        }
    }
    before = copy.deepcopy(original)
    assert bootstrap.without_protection(original) == {
        "resource": {
            "aws_s3_bucket": {"state": {"lifecycle": {"ignore_changes": ["tags"]}, "force_destroy": True}},
            "aws_dynamodb_table": {"lock": {"deletion_protection_enabled": False}},
            "aws_db_instance": {"database": {"deletion_protection": False}},
            "aws_kms_key": {"key": {}},
        }
    }
    assert original == before
