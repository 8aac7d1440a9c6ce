"""Teardown, which runs last because it destroys the region."""

from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.e2e.clone import synthesize
from tests.e2e.region import Region, operations, reported

pytestmark = pytest.mark.e2e


def test_destroying_in_reverse_order_leaves_only_what_aws_retains(
    region: Region, aws: boto3.Session, clone: Path
) -> None:
    """Protection is removed in the settings and deployed, then all stacks are destroyed, the state bucket last.

    Resources that a controller left are reported until they are deleted.
    """
    for environment in ("dev", "staging", "prod"):
        settings = clone / f"stacks/ap_northeast_2/{environment}.py"
        text = settings.read_text().replace("deletion_protection=True", "deletion_protection=False")
        settings.write_text(
            text.replace("    cluster=ClusterConfig(", "    teardown=True,\n    cluster=ClusterConfig(")
        )
    output = clone / "cdktf.out"
    synthesize(output)
    changed = [stack for stack in region.stacks if stack.name != "ap-northeast-2-backend"]
    names = [stack.name for stack in changed]
    operations("deploy", *names, "--yes")
    volume = _volume_of_a_pod(aws)
    zone = aws.client("route53").create_hosted_zone(Name="example.com", CallerReference="a person's")["HostedZone"][
        "Id"
    ]
    _record_of_external_dns(aws, zone, "CREATE")
    status, report = _destroy(*names)
    assert {entry["outcome"] for entry in report["stacks"].values()} == {"destroyed"}
    left = [(environment, one["kind"], one["id"]) for environment, some in report["left"].items() for one in some]
    assert (status, left) == (2, [("dev", "record", f"{_RECORD} TXT"), ("dev", "volume", volume)])
    aws.client("ec2").delete_volume(VolumeId=volume)
    _record_of_external_dns(aws, zone, "DELETE")
    aws.client("route53").delete_hosted_zone(Id=zone)
    assert _destroy(*names)[0] == 0
    operations("unbootstrap")

    assert _left(aws) == {
        "keys pending deletion": 5,
        "final snapshots": {
            "ap-northeast-2-dev-bubblepool-final",
            "ap-northeast-2-prod-bubblepool-final",
            "ap-northeast-2-prod-guestbook-final",
            "ap-northeast-2-staging-bubblepool-final",
        },
    }
    assert "nothing to destroy" in operations("unbootstrap")


def _destroy(*names: str) -> tuple[int, dict[str, Any]]:
    return reported("destroy", *names, "--confirm", "dev,prod,shared,staging")


def _volume_of_a_pod(aws: boto3.Session) -> str:
    """A volume as the EBS CSI driver creates it, whose PersistentVolumeClaim was not deleted."""
    tags: Any = [{"Key": "kubernetes.io/cluster/gitops-cluster-dev", "Value": "owned"}]
    made = aws.client("ec2").create_volume(
        AvailabilityZone="ap-northeast-2a", Size=8, TagSpecifications=[{"ResourceType": "volume", "Tags": tags}]
    )
    return str(made["VolumeId"])


_RECORD = "cname-shop.example.com."


def _record_of_external_dns(aws: boto3.Session, zone: str, action: Any) -> None:
    """Create or delete the ownership record of External DNS for a record of the cluster of dev."""
    text = '"heritage=external-dns,external-dns/owner=gitops-cluster-dev,external-dns/resource=ingress/shop/web"'
    record: Any = {"Name": _RECORD, "Type": "TXT", "TTL": 300, "ResourceRecords": [{"Value": text}]}
    change: Any = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
    aws.client("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch=change)


def _left(aws: boto3.Session) -> dict[str, object]:
    """The resources in the account, except those that AWS creates in every account."""
    ec2, iam, kms = aws.client("ec2"), aws.client("iam"), aws.client("kms")
    keys = [kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in kms.list_keys()["Keys"]]
    snapshots = aws.client("rds").describe_db_snapshots()["DBSnapshots"]
    left = {
        "keys": {key["KeyId"] for key in keys if key["KeyState"] != "PendingDeletion"},
        "keys pending deletion": sum(key["KeyState"] == "PendingDeletion" for key in keys),
        "final snapshots": {snapshot["DBSnapshotIdentifier"] for snapshot in snapshots},
        "buckets": aws.client("s3").list_buckets()["Buckets"],
        "networks": [vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"] if not vpc["IsDefault"]],
        "addresses": ec2.describe_addresses()["Addresses"],
        "launch templates": ec2.describe_launch_templates()["LaunchTemplates"],
        "roles": [role for role in iam.list_roles()["Roles"] if "aws-service-role" not in role["Path"]],
        "policies": iam.list_policies(Scope="Local")["Policies"],
        "identity providers": iam.list_open_id_connect_providers()["OpenIDConnectProviderList"],
        "clusters": aws.client("eks").list_clusters()["clusters"],
        "databases": aws.client("rds").describe_db_instances()["DBInstances"],
        "file systems": aws.client("efs").describe_file_systems()["FileSystems"],
        "repositories": aws.client("ecr").describe_repositories()["repositories"],
        "zones": aws.client("route53").list_hosted_zones()["HostedZones"],
        "certificates": aws.client("acm").list_certificates()["CertificateSummaryList"],
        "log groups": aws.client("logs").describe_log_groups()["logGroups"],
        "secrets": aws.client("secretsmanager").list_secrets()["SecretList"],
    }
    return {kind: found for kind, found in left.items() if found}
