"""The copy of the states of us-gov-west-1 in us-gov-east-1."""

import json

import pytest

from tests.template import Json, Template

COPY = "state_copy-us-gov-east-1"
PROVIDER = "aws.us-gov-east-1"
OURS = "arn:aws-us-gov:s3:::${aws_s3_bucket.state_bucket.bucket}"
THEIRS = f"arn:aws-us-gov:s3:::${{aws_s3_bucket.{COPY}_bucket.bucket}}"


@pytest.fixture(scope="module")
def copied(alternative: dict[str, Template]) -> Template:
    return alternative["us-gov-west-1-backend"]


@pytest.fixture(scope="module")
def role(copied: Template) -> list[Json]:
    """The statements of the role of the replication."""
    statements: list[Json] = copied.document(f"aws_iam_role_policy.{COPY}_role_replicate")["Statement"]
    return statements


def test_there_is_no_copy_by_default(backend: Template) -> None:
    assert len(backend.resources("aws_s3_bucket")) == 1
    for kind in ("aws_iam_role", "aws_s3_bucket_replication_configuration"):
        assert not backend.resources(kind)
    assert len(backend.json["provider"]["aws"]) == 1


def test_only_the_copy_is_in_the_other_region(copied: Template) -> None:
    others = {f"{kind}.{name}" for kind, name, one in copied.all_resources() if one.get("provider") == PROVIDER}
    assert others == {
        f"{kind}.{COPY}_{name}"
        for kind, name in (
            ("aws_kms_alias", "key_alias"),
            ("aws_kms_key", "key"),
            ("aws_s3_bucket", "bucket"),
            ("aws_s3_bucket_lifecycle_configuration", "lifecycle"),
            ("aws_s3_bucket_ownership_controls", "ownership"),
            ("aws_s3_bucket_policy", "policy"),
            ("aws_s3_bucket_public_access_block", "public-access-block"),
            ("aws_s3_bucket_server_side_encryption_configuration", "encryption"),
            ("aws_s3_bucket_versioning", "versioning"),
        )
    }


def test_the_provider_of_the_copy_has_the_tags_of_the_stack(copied: Template) -> None:
    ours, theirs = copied.json["provider"]["aws"]
    assert theirs == {**ours, "region": "us-gov-east-1", "alias": "us-gov-east-1"}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("aws_kms_key", "key"),
        ("aws_s3_bucket_lifecycle_configuration", "lifecycle"),
        ("aws_s3_bucket_ownership_controls", "ownership"),
        ("aws_s3_bucket_policy", "policy"),
        ("aws_s3_bucket_public_access_block", "public-access-block"),
        ("aws_s3_bucket_server_side_encryption_configuration", "encryption"),
        ("aws_s3_bucket_versioning", "versioning"),
    ],
)
def test_the_copy_is_as_private_as_the_states_and_keeps_versions_as_long(
    copied: Template, kind: str, name: str
) -> None:
    resources = copied.resources(kind)
    assert _comparable(resources[f"{COPY}_{name}"]) == _comparable(resources[f"state_{name}"])


def _comparable(arguments: Json) -> str:
    """The arguments without what names one of the two, and without the right of DynamoDB to use a key."""
    kept = {name: value for name, value in arguments.items() if name not in {"//", "description", "provider"}}
    if "enable_key_rotation" in kept:
        del kept["policy"]
    return json.dumps(kept).replace(COPY, "state")


def test_the_key_of_the_copy_is_used_by_principals_of_the_account_only(copied: Template) -> None:
    (only,) = copied.document(f"aws_kms_key.{COPY}_key")["Statement"]
    assert only["Sid"] == "AccountDecidesByIam"


def test_bucket_and_key_of_the_copy_have_prevent_destroy(copied: Template) -> None:
    for kind, name in (("aws_s3_bucket", "bucket"), ("aws_kms_key", "key")):
        assert copied.resources(kind)[f"{COPY}_{name}"]["lifecycle"] == {"prevent_destroy": True}
    assert copied.resources("aws_s3_bucket")[f"{COPY}_bucket"]["depends_on"] == [f"aws_kms_key.{COPY}_key"]
    assert copied.resources("aws_s3_bucket")[f"{COPY}_bucket"]["bucket"].endswith("-copy")


def test_every_new_object_is_replicated_with_the_key_of_the_copy_but_no_deletion(copied: Template) -> None:
    replication = copied.only("aws_s3_bucket_replication_configuration")
    assert replication["bucket"] == "${aws_s3_bucket.state_bucket.id}"
    assert replication["rule"] == [
        {
            "id": "copy-states",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "delete_marker_replication": {"status": "Disabled"},
            "source_selection_criteria": {"sse_kms_encrypted_objects": {"status": "Enabled"}},
            "destination": {
                "bucket": f"${{aws_s3_bucket.{COPY}_bucket.arn}}",
                "encryption_configuration": {"replica_kms_key_id": f"${{aws_kms_key.{COPY}_key.arn}}"},
            },
        }
    ]


def test_both_buckets_are_versioned_and_the_role_has_its_policy_before_the_replication(copied: Template) -> None:
    assert copied.only("aws_s3_bucket_replication_configuration")["depends_on"] == [
        "aws_s3_bucket_versioning.state_versioning",
        f"aws_s3_bucket_versioning.{COPY}_versioning",
        f"aws_iam_role_policy.{COPY}_role_replicate",
    ]


def test_only_s3_assumes_the_role(copied: Template) -> None:
    trust = copied.document(f"aws_iam_role.{COPY}_role", "assume_role_policy")
    assert [one["Principal"] for one in trust["Statement"]] == [{"Service": ["s3.amazonaws.com"]}]


def test_the_role_reads_the_states_and_writes_the_copy_but_deletes_nothing(role: list[Json]) -> None:
    assert {(action, *one["Resource"]) for one in role for action in one["Action"] if action.startswith("s3:")} == {
        ("s3:GetReplicationConfiguration", OURS),
        ("s3:ListBucket", OURS),
        ("s3:GetObjectVersionAcl", f"{OURS}/*"),
        ("s3:GetObjectVersionForReplication", f"{OURS}/*"),
        ("s3:GetObjectVersionTagging", f"{OURS}/*"),
        ("s3:ReplicateObject", f"{THEIRS}/*"),
        ("s3:ReplicateTags", f"{THEIRS}/*"),
    }


def test_the_role_uses_each_key_only_for_the_objects_of_its_bucket(role: list[Json]) -> None:
    assert [one for one in role if "Sid" in one] == [
        _use("ReadStates", ["kms:Decrypt"], "state_key", "us-gov-west-1", OURS),
        _use(
            "WriteCopies", ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"], f"{COPY}_key", "us-gov-east-1", THEIRS
        ),
    ]


def _use(sid: str, actions: list[str], key: str, region: str, bucket: str) -> Json:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": actions,
        "Resource": [f"${{aws_kms_key.{key}.arn}}"],
        "Condition": {
            "StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"},
            "StringLike": {"kms:EncryptionContext:aws:s3:arn": [bucket, f"{bucket}/*"]},
        },
    }


def test_no_other_stack_differs(alternative: dict[str, Template]) -> None:
    """The delivery roles have no right to the copy, and need none."""
    for name, stack in alternative.items():
        if not name.endswith("-backend"):
            assert "terraform-state-us-gov-west-1-copy" not in str(stack.json)
