"""Backing up and restoring Argo CD, with emulated S3 and KMS; `tests/cluster` uses a real Argo CD."""

import hashlib
import uuid
from dataclasses import replace
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from operations.backup import backup
from operations.backup.argo_cd_export import ArgoCdAdmin, parse_export
from operations.backup.backup import OBJECT, BackupLocation
from operations.clients import aws as aws_client
from operations.errors import OperationError
from operations.output.report import Report, Status
from operations.terraform.stacks import Cluster, Stack
from tests.stacks import make_further_stack, make_stack
from tests.unit.operations.backup.conftest import ALIAS

pytestmark = pytest.mark.slow

SETTINGS = "kind: ConfigMap\nmetadata:\n  name: argocd-cm\ndata:\n  url: https://argocd.example.com\n"
SECRET = "kind: Secret\nmetadata:\n  name: repository\ndata:\n  password: aHVudGVyMg==\n"  # noqa: S105
CLUSTER = "gitops-cluster-dev"


class FakeArgoCd(ArgoCdAdmin):
    """An Argo CD with these objects."""

    def __init__(self, *objects: str) -> None:
        super().__init__([])
        self.objects = "---\n".join(objects).encode()
        self.imported: list[bytes] = []

    def export(self) -> bytes:
        return self.objects

    def import_(self, objects: bytes) -> None:
        self.imported.append(objects)
        known = parse_export(self.objects)
        texts = {**known.texts, **parse_export(objects + b"---\n" + SETTINGS.encode()).texts}
        self.objects = b"---\n".join(texts.values())


@pytest.fixture
def at(session: boto3.Session) -> BackupLocation:
    """A bucket for one test."""
    bucket = f"{uuid.uuid4()}-backups"
    s3 = session.client("s3")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "ap-northeast-2"})
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return BackupLocation(session, bucket, ALIAS, CLUSTER)


def _agreed(_: Report) -> bool:
    return True


def _stored(at: BackupLocation) -> bytes:
    return at.session.client("s3").get_object(Bucket=at.bucket, Key=OBJECT)["Body"].read()


def test_a_backup_reports_its_contents_and_its_location(at: BackupLocation) -> None:
    report = backup.backup(at, FakeArgoCd(SETTINGS, SECRET))
    assert report.status is Status.FINE
    assert report.title == "gitops-cluster-dev: 2 objects of Argo CD backed up"
    assert report.data["objects"] == {"ConfigMap": 1, "Secret": 1}
    head = at.session.client("s3").head_object(Bucket=at.bucket, Key=OBJECT, VersionId=report.data["version"])
    assert head["Metadata"]["sha256"] == report.data["sha256"]


def test_a_backup_has_no_plaintext_in_the_bucket_or_in_the_report(at: BackupLocation) -> None:
    report = backup.backup(at, FakeArgoCd(SETTINGS, SECRET))
    for text in (_stored(at), str(report).encode()):
        assert b"aHVudGVyMg==" not in text
        assert b"argocd.example.com" not in text


def test_a_restore_changes_only_missing_and_different_objects(at: BackupLocation) -> None:
    backup.backup(at, FakeArgoCd(SETTINGS, SECRET))
    other = "kind: Application\nmetadata:\n  name: other\n"
    cluster = FakeArgoCd(SETTINGS.replace("example.com", "example.org"), other)
    report = backup.restore(at, cluster, None, _agreed)
    assert report.status is Status.FINE
    assert report.data == {
        "missing": ["Secret/argocd/repository"],
        "different": ["ConfigMap/argocd/argocd-cm"],
        "extra": ["Application/argocd/other"],
        "kept": [],
    }
    assert set(parse_export(cluster.objects).texts) == set(
        parse_export(FakeArgoCd(SETTINGS, SECRET, other).objects).texts
    )


def test_the_difference_is_shown_before_the_restore(at: BackupLocation) -> None:
    backup.backup(at, FakeArgoCd(SETTINGS, SECRET))
    cluster, asked = FakeArgoCd(SETTINGS), list[Report]()

    def refuse(difference: Report) -> bool:
        asked.append(difference)
        return False

    report = backup.restore(at, cluster, None, refuse)
    assert asked[0].tables[0].rows == [["missing", "Secret", "argocd", "repository"]]
    assert cluster.imported == []
    assert (report.status, report.title) == (Status.ATTENTION, "gitops-cluster-dev: nothing was restored")


def test_a_cluster_with_all_objects_is_not_changed_and_no_confirmation_is_asked(at: BackupLocation) -> None:
    backup.backup(at, FakeArgoCd(SETTINGS))
    report = backup.restore(at, FakeArgoCd(SETTINGS), None, lambda _: pytest.fail("asked"))
    assert report.status is Status.FINE


def test_objects_that_still_differ_after_the_import_are_an_error(
    at: BackupLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup.backup(at, FakeArgoCd(SETTINGS, SECRET))
    monkeypatch.setattr(FakeArgoCd, "import_", lambda *_: None)
    report = backup.restore(at, FakeArgoCd(SETTINGS), None, _agreed)
    assert report.status is Status.ERROR
    assert report.data["missing"] == ["Secret/argocd/repository"]


def test_restores_an_older_version(at: BackupLocation) -> None:
    first = backup.backup(at, FakeArgoCd(SETTINGS, SECRET)).data["version"]
    backup.backup(at, FakeArgoCd(SETTINGS))
    assert [version["version"] for version in backup.versions(at).data["versions"]][-1] == first
    cluster = FakeArgoCd(SETTINGS)
    assert not backup.restore(at, cluster, None, _agreed).data["missing"]
    assert backup.restore(at, cluster, first, _agreed).data["missing"]


def test_an_empty_list_of_backups_needs_attention(at: BackupLocation) -> None:
    assert backup.versions(at).status is Status.ATTENTION


@pytest.mark.parametrize("version", [None, "no-such-version"])
def test_rejects_a_missing_backup(at: BackupLocation, version: str | None) -> None:
    with pytest.raises(OperationError, match=r"^s3://.*: no such backup; `restore --list` shows the existing ones$"):
        backup.restore(at, FakeArgoCd(SETTINGS), version, _agreed)


def test_rejects_a_malformed_version_like_a_missing_one(at: BackupLocation, monkeypatch: pytest.MonkeyPatch) -> None:
    def get_object(**_: str) -> None:
        raise ClientError({"Error": {"Code": "InvalidArgument", "Message": "Invalid version id"}}, "GetObject")

    monkeypatch.setattr(at.session, "client", lambda _: SimpleNamespace(get_object=get_object))
    with pytest.raises(OperationError, match="no such backup; `restore --list` shows"):
        backup.fetch(at, "v9")


def _tamper(at: BackupLocation, **metadata: str) -> None:
    s3, encrypted = at.session.client("s3"), bytearray(_stored(at))
    encrypted[-1] ^= 1
    known = s3.head_object(Bucket=at.bucket, Key=OBJECT)["Metadata"]
    s3.put_object(Bucket=at.bucket, Key=OBJECT, Body=bytes(encrypted), Metadata={**known, **metadata})


def test_rejects_a_changed_byte_by_its_checksum(at: BackupLocation) -> None:
    backup.backup(at, FakeArgoCd(SETTINGS, SECRET))
    _tamper(at)
    cluster = FakeArgoCd(SETTINGS)
    with pytest.raises(OperationError, match="its SHA-256 differs from the one in its metadata"):
        backup.restore(at, cluster, None, _agreed)
    assert cluster.imported == []


def test_rejects_a_changed_byte_with_a_matching_checksum(at: BackupLocation) -> None:
    backup.backup(at, FakeArgoCd(SETTINGS, SECRET))
    encrypted = bytearray(_stored(at))
    encrypted[-1] ^= 1
    _tamper(at, sha256=hashlib.sha256(encrypted).hexdigest())
    with pytest.raises(OperationError, match=r"it was modified after it was encrypted, .*; choose another version"):
        backup.restore(at, FakeArgoCd(SETTINGS), None, _agreed)


def test_rejects_a_bucket_without_versioning(at: BackupLocation) -> None:
    at.session.client("s3").put_bucket_versioning(Bucket=at.bucket, VersioningConfiguration={"Status": "Suspended"})
    with pytest.raises(OperationError, match="not versioned"):
        backup.backup(at, FakeArgoCd(SETTINGS))


def test_reports_a_missing_key(at: BackupLocation) -> None:
    without = BackupLocation(at.session, at.bucket, "alias/ap-northeast-2/none", CLUSTER)
    with pytest.raises(OperationError, match=r"^alias/ap-northeast-2/none: .*NotFoundException"):
        backup.backup(without, FakeArgoCd(SETTINGS))


@pytest.fixture
def environments(session: boto3.Session) -> list[Stack]:  # noqa: ARG001 (sets the credentials)
    return [make_stack(name) for name in ("dev", "prod")]


@pytest.fixture(scope="module")
def endpoint(session: boto3.Session) -> str:
    ec2 = session.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    zones = {"ap-northeast-2a": "10.0.0.0/24", "ap-northeast-2c": "10.0.1.0/24"}
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, AvailabilityZone=zone)["Subnet"]["SubnetId"]
        for zone, cidr in zones.items()
    ]
    made = session.client("eks").create_cluster(
        name=CLUSTER, roleArn="arn:aws:iam::123456789012:role/any", resourcesVpcConfig={"subnetIds": subnets}
    )
    return str(session.client("eks").describe_cluster(name=made["cluster"]["name"])["cluster"]["endpoint"])


@pytest.mark.parametrize("environment", ["dev", "ap-northeast-2-dev", None])
def test_finds_the_location_of_an_environment(
    environments: list[Stack], endpoint: str, monkeypatch: pytest.MonkeyPatch, environment: str | None
) -> None:
    monkeypatch.setattr(backup, "server", lambda: endpoint)
    at = backup.find_location(environments, environment)
    assert (at.bucket, at.key_id, at.cluster) == (
        "your-org-ap-northeast-2-dev-backups",
        "alias/ap-northeast-2/dev",
        CLUSTER,
    )


@pytest.mark.usefixtures("endpoint")
@pytest.mark.parametrize("environment", ["dev", "prod", None])
def test_rejects_another_current_cluster(
    environments: list[Stack], monkeypatch: pytest.MonkeyPatch, environment: str | None
) -> None:
    monkeypatch.setattr(backup, "server", lambda: "https://another.example.com")
    with pytest.raises(
        OperationError, match=r"^kubectl: the current cluster is https://another\.example\.com, not gitops-"
    ):
        backup.find_location(environments, environment)


def test_rejects_an_unknown_environment(environments: list[Stack]) -> None:
    with pytest.raises(OperationError, match=r"choose one of ap-northeast-2-dev, ap-northeast-2-prod$"):
        backup.find_location(environments, "qa")


def test_rejects_an_environment_that_exists_in_several_regions() -> None:
    stacks = [make_stack("dev"), make_stack("dev", region="us-west-2")]
    with pytest.raises(
        OperationError, match=r"^dev: exists in several regions; choose one of .*-2-dev, us-west-2-dev$"
    ):
        backup.find_location(stacks, "dev")


_ERRORS = [
    ClientError({"Error": {"Code": "AccessDenied", "Message": "not you"}}, "ListObjectVersions"),
    EndpointConnectionError(endpoint_url="https://s3.example.com"),
]


@pytest.mark.parametrize("error", _ERRORS, ids=["access denied", "no connection"])
def test_an_error_of_aws_is_reported_with_the_url(
    at: BackupLocation, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def paginate(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(aws_client, "paginate", paginate)
    with pytest.raises(OperationError) as raised:
        backup.versions(at)
    assert str(raised.value) == f"{at.url}: {error}"


def test_a_further_cluster_has_backups_of_its_own(at: BackupLocation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stack, "aws_session", lambda _: at.session)
    found = replace(backup._location(make_further_stack()), bucket=at.bucket, key_id=ALIAS)
    assert found.url == f"s3://{at.bucket}/argo-cd/blue/export"
    backup.backup(at, FakeArgoCd(SETTINGS))
    backup.backup(found, FakeArgoCd(SETTINGS, SECRET))
    assert len(backup.versions(at).data["versions"]) == 1
    assert backup.restore(found, FakeArgoCd(SETTINGS), None, _agreed).data["missing"] == ["Secret/argocd/repository"]
    assert not backup.restore(at, FakeArgoCd(SETTINGS), None, _agreed).data["missing"]


def test_a_cluster_with_a_hub_has_no_backup_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    staging = make_stack("staging", cluster=Cluster("gitops-cluster-staging", {}, hub="dev"))
    stacks = [make_stack("dev"), staging]
    monkeypatch.setattr(backup, "server", lambda: "https://127.0.0.1")
    with pytest.raises(OperationError, match=r"^staging: its Argo CD is that of dev, whose backup has all; name dev$"):
        backup.find_location(stacks, "staging")
