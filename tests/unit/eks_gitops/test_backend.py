import pytest

from eks_gitops.backend import StateBackendConfig
from stacks.settings import Owner, Region
from tests.policies import statement
from tests.template import Json, Template, every_stack

BUCKET = "${aws_s3_bucket.state_bucket.bucket}"


def test_bucket_is_versioned(backend: Template) -> None:
    versioning = backend.only("aws_s3_bucket_versioning")
    assert versioning["versioning_configuration"] == {"status": "Enabled"}
    assert versioning["bucket"] == "${aws_s3_bucket.state_bucket.id}"


def test_only_noncurrent_versions_expire(backend: Template) -> None:
    (rule,) = backend.only("aws_s3_bucket_lifecycle_configuration")["rule"]
    assert rule["status"] == "Enabled"
    assert rule["noncurrent_version_expiration"] == [{"noncurrent_days": 90}]
    assert "expiration" not in rule


def test_objects_are_encrypted_with_the_backends_key_and_a_bucket_key(backend: Template) -> None:
    assert backend.only("aws_s3_bucket_server_side_encryption_configuration")["rule"] == [
        {
            "apply_server_side_encryption_by_default": {
                "kms_master_key_id": "${aws_kms_key.state_key.arn}",
                "sse_algorithm": "aws:kms",
            },
            "bucket_key_enabled": True,
        }
    ]


@pytest.mark.parametrize(
    "block", ["block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"]
)
def test_public_access_is_blocked(backend: Template, block: str) -> None:
    assert backend.only("aws_s3_bucket_public_access_block")[block] is True


def test_acls_are_disabled(backend: Template) -> None:
    controls = backend.only("aws_s3_bucket_ownership_controls")
    assert controls["rule"] == {"object_ownership": "BucketOwnerEnforced"}


@pytest.mark.parametrize(
    ("sid", "condition"),
    [
        ("DenyPlainHttp", {"Bool": {"aws:SecureTransport": "false"}}),
        ("DenyOldTls", {"NumericLessThan": {"s3:TlsVersion": "1.2"}}),
    ],
)
def test_only_tls_is_served(backend: Template, sid: str, condition: Json) -> None:
    denied = statement(backend.document("aws_s3_bucket_policy.state_policy"), sid)
    assert denied == {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["s3:*"],
        "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
        "Condition": condition,
    }


def test_bucket_policy_denies_other_encryption_but_allows_the_default(backend: Template) -> None:
    denied = statement(backend.document("aws_s3_bucket_policy.state_policy"), "DenyOtherEncryption")
    assert (denied["Effect"], denied["Action"]) == ("Deny", ["s3:PutObject"])
    assert denied["Condition"] == {
        "Null": {"s3:x-amz-server-side-encryption": "false"},
        "StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"},
    }


@pytest.mark.parametrize("kind", ["aws_s3_bucket", "aws_kms_key"])
def test_bucket_and_key_have_prevent_destroy(backend: Template, kind: str) -> None:
    assert backend.only(kind)["lifecycle"] == {"prevent_destroy": True}


def test_bucket_is_destroyed_before_its_key(backend: Template) -> None:
    assert backend.only("aws_s3_bucket")["depends_on"] == ["aws_kms_key.state_key"]


@pytest.fixture(scope="module", params=["lockfile", "both", "dynamodb"])
def locked(
    request: pytest.FixtureRequest, committed: tuple[Owner, list[Region]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict[str, Template]]:
    """A value of `lock`, and the stacks with this value."""
    owner, (region,) = committed
    state = StateBackendConfig(bucket="states", lock=request.param)
    shared = region.shared.model_copy(update={"state": state})
    region = region._replace(shared=shared, environments=region.environments[:1])
    return request.param, every_stack((owner, [region]), tmp_path_factory.mktemp("locked"))


def _backends(stacks: dict[str, Template]) -> list[Json]:
    return [stack.json["terraform"]["backend"]["s3"] for stack in stacks.values()]


def test_every_stack_uses_a_lock_file_unless_only_dynamodb_is_chosen(
    locked: tuple[str, dict[str, Template]],
) -> None:
    lock, stacks = locked
    expected = {"lockfile": True, "both": True, "dynamodb": None}[lock]
    assert [backend.get("use_lockfile") for backend in _backends(stacks)] == [expected] * 4


def test_every_stack_uses_the_lock_table_if_chosen(locked: tuple[str, dict[str, Template]]) -> None:
    lock, stacks = locked
    expected = {"lockfile": None, "both": "states-lock", "dynamodb": "states-lock"}[lock]
    assert [backend.get("dynamodb_table") for backend in _backends(stacks)] == [expected] * 4


def test_lock_table_is_created_if_chosen(locked: tuple[str, dict[str, Template]]) -> None:
    lock, stacks = locked
    tables = stacks["ap-northeast-2-backend"].resources("aws_dynamodb_table").values()
    assert [table["name"] for table in tables] == ([] if lock == "lockfile" else ["states-lock"])


def test_lock_table_is_encrypted_protected_and_has_point_in_time_recovery(alternative: dict[str, Template]) -> None:
    table = alternative["us-gov-west-1-backend"].only("aws_dynamodb_table")
    assert table["hash_key"] == "LockID"
    assert table["server_side_encryption"] == {"enabled": True, "kms_key_arn": "${aws_kms_key.state_key.arn}"}
    assert table["deletion_protection_enabled"] is True
    assert table["point_in_time_recovery"] == {"enabled": True}
