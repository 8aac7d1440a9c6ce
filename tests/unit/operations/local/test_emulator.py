"""The responses of the emulated AWS where MiniStack alone differs from AWS."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from operations.errors import OperationError
from operations.local import emulator_process, ports
from operations.local.emulator_process import Emulator

pytestmark = pytest.mark.slow

ACCOUNT = "123456789012"
REGION = "ap-northeast-2"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/some"
OTHER_ROLE = f"arn:aws:iam::{ACCOUNT}:role/other"
SECONDS = 20

Client = Callable[..., Any]


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("emulator") / "record.jsonl"


@pytest.fixture(scope="module")
def aws(record: Path) -> Iterator[Client]:
    """Creates clients for an emulator, by the name of the service."""
    with Emulator(record.with_name("log"), record=record) as emulator:
        session: Any = boto3.Session(
            aws_access_key_id=emulator.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=emulator.environment["AWS_SECRET_ACCESS_KEY"],
            region_name=REGION,
        )

        def client(service: str, **options: Any) -> Any:
            return session.client(service, endpoint_url=emulator.environment["AWS_ENDPOINT_URL"], **options)

        yield client


@pytest.fixture(scope="module")
def vpc_id(aws: Client) -> str:
    return str(aws("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"])


@pytest.fixture(scope="module")
def subnet_id(aws: Client, vpc_id: str) -> str:
    return str(aws("ec2").create_subnet(VpcId=vpc_id, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"])


@pytest.fixture(scope="module")
def subnet_ids(aws: Client, vpc_id: str, subnet_id: str) -> list[str]:
    """Subnets in two Availability Zones."""
    other = aws("ec2").create_subnet(VpcId=vpc_id, CidrBlock="10.0.1.0/24", AvailabilityZone=f"{REGION}c")
    return [subnet_id, other["Subnet"]["SubnetId"]]


@pytest.fixture
def cluster(aws: Client, subnet_ids: list[str]) -> Iterator[str]:
    """The name of a cluster with Kubernetes 1.35."""
    aws("eks").create_cluster(
        name="dev",
        roleArn=ROLE,
        version="1.35",
        resourcesVpcConfig={"subnetIds": subnet_ids, "publicAccessCidrs": ["203.0.113.0/24"]},
        upgradePolicy={"supportType": "STANDARD"},
        zonalShiftConfig={"enabled": True},
        tags={"Name": "dev", "Owner": "nobody", "Team": "platform"},
    )
    yield "dev"
    aws("eks").delete_cluster(name="dev")


@pytest.fixture
def node_group(aws: Client, cluster: str, subnet_id: str) -> dict[str, str]:
    """The arguments that identify a node group in calls."""
    aws("eks").create_nodegroup(
        clusterName=cluster,
        nodegroupName="system",
        nodeRole=ROLE,
        subnets=[subnet_id],
        scalingConfig={"minSize": 1, "maxSize": 3, "desiredSize": 2},
        labels={"role": "system", "old": "yes"},
        taints=[{"key": "a", "effect": "NO_SCHEDULE"}, {"key": "b", "effect": "NO_EXECUTE"}],
        launchTemplate={"id": "lt-0123456789abcdef0", "version": "1"},
        nodeRepairConfig={"enabled": True},
    )
    return {"clusterName": cluster, "nodegroupName": "system"}


@pytest.fixture
def database(aws: Client) -> Iterator[Callable[..., dict[str, Any]]]:
    """Creates a database if called with arguments, and describes it."""
    rds = aws("rds")

    def describe(**settings: Any) -> dict[str, Any]:
        if settings:
            rds.create_db_instance(
                DBInstanceIdentifier="app",
                DBInstanceClass="db.t4g.medium",
                MasterUsername="someone",
                AllocatedStorage=20,
                **{"Engine": "postgres", **settings},
            )
        (instance,) = rds.describe_db_instances(DBInstanceIdentifier="app")["DBInstances"]
        return dict(instance)

    yield describe
    rds.delete_db_instance(DBInstanceIdentifier="app", SkipFinalSnapshot=True)


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    """The AWS error code of an exception."""
    return error.value.response["Error"]["Code"]


# --- EKS --------------------------------------------------------------------------------------------------------------


def test_a_request_that_is_repeated_with_its_client_token_creates_nothing(aws: Client, vpc_id: str) -> None:
    def create(token: str) -> str:
        created = aws("ec2").create_route_table(VpcId=vpc_id, ClientToken=token)
        return str(created["RouteTable"]["RouteTableId"])

    assert create("one") == create("one") != create("two")


def test_a_refused_request_can_be_repeated_with_its_client_token(aws: Client, subnet_ids: list[str]) -> None:
    def create() -> None:
        aws("eks").create_nodegroup(
            clusterName="later", nodegroupName="nodes", subnets=subnet_ids, nodeRole="arn", clientRequestToken="one"
        )

    with pytest.raises(ClientError):
        create()
    network = {"subnetIds": subnet_ids}
    aws("eks").create_cluster(name="later", roleArn="arn", resourcesVpcConfig=network)
    create()
    aws("eks").delete_nodegroup(clusterName="later", nodegroupName="nodes")
    aws("eks").delete_cluster(name="later")


def test_a_cluster_is_in_the_vpc_of_its_subnets(aws: Client, cluster: str, vpc_id: str) -> None:
    assert aws("eks").describe_cluster(name=cluster)["cluster"]["resourcesVpcConfig"]["vpcId"] == vpc_id


def test_a_cluster_has_a_security_group_whose_members_can_connect_to_each_other(
    aws: Client, cluster: str, vpc_id: str
) -> None:
    group_id = aws("eks").describe_cluster(name=cluster)["cluster"]["resourcesVpcConfig"]["clusterSecurityGroupId"]
    (group,) = aws("ec2").describe_security_groups(GroupIds=[group_id])["SecurityGroups"]
    assert group["VpcId"] == vpc_id
    assert group["Tags"] == [{"Key": f"kubernetes.io/cluster/{cluster}", "Value": "owned"}]
    (rule,) = group["IpPermissions"]
    assert [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] == [group_id]


def test_the_security_group_of_a_cluster_is_deleted_with_it(aws: Client, subnet_ids: list[str]) -> None:
    network = {"subnetIds": subnet_ids}
    created = aws("eks").create_cluster(name="short-lived", roleArn=ROLE, resourcesVpcConfig=network)["cluster"]
    aws("eks").delete_cluster(name="short-lived")
    with pytest.raises(ClientError) as error:
        aws("ec2").describe_security_groups(GroupIds=[created["resourcesVpcConfig"]["clusterSecurityGroupId"]])
    assert code(error) == "InvalidGroup.NotFound"


def test_a_protected_cluster_is_not_deleted(aws: Client, subnet_ids: list[str]) -> None:
    eks, network = aws("eks"), {"subnetIds": subnet_ids}
    eks.create_cluster(name="protected", roleArn=ROLE, resourcesVpcConfig=network, deletionProtection=True)
    assert eks.describe_cluster(name="protected")["cluster"]["deletionProtection"] is True
    with pytest.raises(ClientError) as error:
        eks.delete_cluster(name="protected")
    assert code(error) == "InvalidRequestException"
    eks.update_cluster_config(name="protected", deletionProtection=False)
    eks.delete_cluster(name="protected")


def test_a_cluster_has_a_stable_issuer_that_iam_accepts(aws: Client, cluster: str) -> None:
    issuers = {aws("eks").describe_cluster(name=cluster)["cluster"]["identity"]["oidc"]["issuer"] for _ in range(2)}
    (issuer,) = issuers
    assert re.fullmatch(rf"https://oidc\.eks\.{REGION}\.amazonaws\.com/id/[0-9A-F]{{32}}", issuer)
    aws("iam").create_open_id_connect_provider(Url=issuer, ClientIDList=["sts.amazonaws.com"])


def test_a_cluster_is_described_with_its_settings(aws: Client, cluster: str) -> None:
    described = aws("eks").describe_cluster(name=cluster)["cluster"]
    assert described["upgradePolicy"] == {"supportType": "STANDARD"}
    assert described["zonalShiftConfig"] == {"enabled": True}
    assert "clientRequestToken" not in described


def test_a_cluster_has_the_capabilities_of_auto_mode(aws: Client, subnet_ids: list[str]) -> None:
    eks, name = aws("eks"), "auto"
    capabilities = {
        "computeConfig": {"enabled": True, "nodePools": ["system"], "nodeRoleArn": ROLE},
        "kubernetesNetworkConfig": {"elasticLoadBalancing": {"enabled": True}},
        "storageConfig": {"blockStorage": {"enabled": True}},
    }
    network = {"subnetIds": subnet_ids}
    eks.create_cluster(name=name, roleArn=ROLE, resourcesVpcConfig=network, **capabilities)
    described = eks.describe_cluster(name=name)["cluster"]
    off = {"enabled": False}
    eks.update_cluster_config(
        name=name,
        computeConfig=off,
        kubernetesNetworkConfig={"elasticLoadBalancing": off},
        storageConfig={"blockStorage": off},
    )
    updated = eks.describe_cluster(name=name)["cluster"]
    eks.delete_cluster(name=name)
    assert {member: described[member] for member in ("computeConfig", "storageConfig")} == {
        member: capabilities[member] for member in ("computeConfig", "storageConfig")
    }
    assert described["kubernetesNetworkConfig"]["elasticLoadBalancing"] == {"enabled": True}
    assert described["kubernetesNetworkConfig"]["ipFamily"] == "ipv4"
    assert updated["kubernetesNetworkConfig"] == {**described["kubernetesNetworkConfig"], "elasticLoadBalancing": off}


def test_a_cluster_gets_extended_support_by_default(aws: Client, subnet_ids: list[str]) -> None:
    network = {"subnetIds": subnet_ids}
    created = aws("eks").create_cluster(name="default", roleArn=ROLE, resourcesVpcConfig=network)["cluster"]
    aws("eks").delete_cluster(name="default")
    assert created["upgradePolicy"] == {"supportType": "EXTENDED"}


def test_rejects_a_cluster_in_a_subnet_that_does_not_exist(aws: Client) -> None:
    with pytest.raises(ClientError) as error:
        aws("eks").create_cluster(name="nowhere", roleArn=ROLE, resourcesVpcConfig={"subnetIds": ["subnet-0"]})
    assert code(error) == "InvalidParameterException"
    assert "nowhere" not in aws("eks").list_clusters()["clusters"]


def test_rejects_a_cluster_in_one_availability_zone(aws: Client, subnet_id: str) -> None:
    with pytest.raises(ClientError, match=f"at least two Availability Zones .* not .'{REGION}a'.") as error:
        aws("eks").create_cluster(name="narrow", roleArn=ROLE, resourcesVpcConfig={"subnetIds": [subnet_id]})
    assert code(error) == "InvalidParameterException"
    assert "narrow" not in aws("eks").list_clusters()["clusters"]


def test_rejects_a_cluster_whose_services_are_in_its_vpc(aws: Client, subnet_ids: list[str]) -> None:
    def create(addresses: str) -> None:
        network = {"serviceIpv4Cidr": addresses}
        vpc = {"subnetIds": subnet_ids}
        aws("eks").create_cluster(
            name="services", roleArn=ROLE, resourcesVpcConfig=vpc, kubernetesNetworkConfig=network
        )

    with pytest.raises(ClientError, match=r"10\.0\.240\.0/20: overlaps 10\.0\.0\.0/16 of the VPC") as error:
        create("10.0.240.0/20")
    assert code(error) == "InvalidParameterException"
    create("172.30.0.0/16")
    described = aws("eks").describe_cluster(name="services")["cluster"]
    assert described["kubernetesNetworkConfig"]["serviceIpv4Cidr"] == "172.30.0.0/16"
    aws("eks").delete_cluster(name="services")


@pytest.mark.parametrize(
    ("cidr", "zone", "expected"),
    [
        ("10.0.0.128/25", "a", "InvalidSubnet.Conflict"),
        ("10.1.0.0/24", "a", "InvalidSubnet.Range"),
        ("10.0.99.0/24", "9", "InvalidParameterValue"),
    ],
)
@pytest.mark.usefixtures("subnet_id")
def test_rejects_a_subnet_that_ec2_rejects(aws: Client, vpc_id: str, cidr: str, zone: str, expected: str) -> None:
    with pytest.raises(ClientError) as error:
        aws("ec2").create_subnet(VpcId=vpc_id, CidrBlock=cidr, AvailabilityZone=f"{REGION}{zone}")
    assert code(error) == expected


def test_a_subnet_of_nodes_cannot_be_deleted(aws: Client, vpc_id: str, cluster: str) -> None:
    created = aws("ec2").create_subnet(VpcId=vpc_id, CidrBlock="10.0.77.0/24", AvailabilityZone=f"{REGION}b")["Subnet"]
    subnet = created["SubnetId"]
    aws("eks").create_nodegroup(clusterName=cluster, nodegroupName="narrow", subnets=[subnet], nodeRole=ROLE)
    with pytest.raises(ClientError, match=f"/clusters/{cluster}/node-groups/narrow") as error:
        aws("ec2").delete_subnet(SubnetId=subnet)
    assert code(error) == "DependencyViolation"
    aws("eks").delete_nodegroup(clusterName=cluster, nodegroupName="narrow")
    aws("ec2").delete_subnet(SubnetId=subnet)


def test_a_cluster_can_get_other_subnets_in_its_availability_zones_only(
    aws: Client, cluster: str, vpc_id: str, subnet_ids: list[str]
) -> None:
    subnets = [
        aws("ec2").create_subnet(VpcId=vpc_id, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{REGION}{zone}")
        for n, zone in enumerate("acb", 10)
    ]
    *same, other = (subnet["Subnet"]["SubnetId"] for subnet in subnets)
    for refused in ([*subnet_ids, other], subnet_ids[:1]):
        with pytest.raises(ClientError, match="must be in the Availability Zones") as error:
            aws("eks").update_cluster_config(name=cluster, resourcesVpcConfig={"subnetIds": refused})
        assert code(error) == "InvalidParameterException"
    aws("eks").update_cluster_config(name=cluster, resourcesVpcConfig={"subnetIds": same})
    assert aws("eks").describe_cluster(name=cluster)["cluster"]["resourcesVpcConfig"]["subnetIds"] == same


def test_an_update_of_a_cluster_keeps_other_settings(aws: Client, cluster: str) -> None:
    eks = aws("eks")
    update = eks.update_cluster_config(name=cluster, resourcesVpcConfig={"endpointPrivateAccess": True})["update"]
    assert eks.describe_update(name=cluster, updateId=update["id"])["update"]["status"] == "Successful"
    network = eks.describe_cluster(name=cluster)["cluster"]["resourcesVpcConfig"]
    assert network["endpointPrivateAccess"] is True
    assert network["publicAccessCidrs"] == ["203.0.113.0/24"]


def test_rejects_an_update_of_an_unknown_cluster(aws: Client) -> None:
    with pytest.raises(ClientError) as error:
        aws("eks").update_cluster_config(name="unknown", upgradePolicy={"supportType": "STANDARD"})
    assert code(error) == "ResourceNotFoundException"


def test_rejects_describing_an_unknown_update(aws: Client, cluster: str) -> None:
    with pytest.raises(ClientError) as error:
        aws("eks").describe_update(name=cluster, updateId="none")
    assert code(error) == "ResourceNotFoundException"


def test_a_cluster_is_upgraded_by_one_minor_version_at_a_time(aws: Client, cluster: str) -> None:
    with pytest.raises(ClientError) as error:
        aws("eks").update_cluster_version(name=cluster, version="1.37")
    assert code(error) == "InvalidParameterException"
    update = aws("eks").update_cluster_version(name=cluster, version="1.36")["update"]
    assert update["type"] == "VersionUpdate"
    assert aws("eks").describe_cluster(name=cluster)["cluster"]["version"] == "1.36"


def test_rejects_a_cluster_of_an_unknown_version(aws: Client, cluster: str, subnet_ids: list[str]) -> None:
    network = {"subnetIds": subnet_ids}
    with pytest.raises(ClientError, match=r"unsupported Kubernetes version: 9\.9") as error:
        aws("eks").create_cluster(name="unknown", roleArn=ROLE, version="9.9", resourcesVpcConfig=network)
    assert code(error) == "InvalidParameterException"
    with pytest.raises(ClientError, match=r"unsupported Kubernetes version: 9\.9") as error:
        aws("eks").update_cluster_version(name=cluster, version="9.9")
    assert code(error) == "InvalidParameterException"


def test_an_upgraded_cluster_can_be_rolled_back_after_its_nodes(aws: Client, node_group: dict[str, str]) -> None:
    eks, cluster = aws("eks"), node_group["clusterName"]
    with pytest.raises(ClientError, match=r"was not upgraded from 1\.34") as error:
        eks.update_cluster_version(name=cluster, version="1.34")
    assert code(error) == "InvalidParameterException"
    with pytest.raises(ClientError, match=r"the node group with 1\.36 cannot join a control plane of 1\.35"):
        eks.update_nodegroup_version(**node_group, version="1.36")
    eks.update_cluster_version(name=cluster, version="1.36")
    eks.update_nodegroup_version(**node_group, version="1.36")
    with pytest.raises(ClientError, match=r"system with 1\.36 cannot join a control plane of 1\.35") as error:
        eks.update_cluster_version(name=cluster, version="1.35")
    assert code(error) == "InvalidStateException"
    assert _insights(eks, cluster) == {
        "UPGRADE_READINESS": ("1.37", "PASSING"),
        "ROLLBACK_READINESS": ("1.35", "ERROR"),
    }
    eks.update_nodegroup_version(**node_group, version="1.35")
    update = eks.update_cluster_version(name=cluster, version="1.35", rollbackConfig={"timeoutMinutes": 120})["update"]
    assert update["type"] == "VersionRollback"
    assert eks.describe_cluster(name=cluster)["cluster"]["version"] == "1.35"
    assert _insights(eks, cluster) == {"UPGRADE_READINESS": ("1.36", "PASSING")}


def test_a_cluster_whose_nodes_are_older_cannot_be_upgraded(aws: Client, node_group: dict[str, str]) -> None:
    aws("eks").update_nodegroup_version(**node_group, version="1.34")
    with pytest.raises(ClientError, match=r"must be updated to match cluster version 1\.35") as error:
        aws("eks").update_cluster_version(name=node_group["clusterName"], version="1.36")
    assert code(error) == "InvalidParameterException"


def _insights(eks: Any, cluster: str) -> dict[str, tuple[str, str]]:
    return {
        insight["category"]: (insight["kubernetesVersion"], insight["insightStatus"]["status"])
        for insight in eks.list_insights(clusterName=cluster)["insights"]
    }


def test_insights_can_be_filtered_and_described(aws: Client, cluster: str) -> None:
    eks = aws("eks")
    (insight,) = eks.list_insights(
        clusterName=cluster, filter={"categories": ["UPGRADE_READINESS"], "kubernetesVersions": ["1.36"]}
    )["insights"]
    assert eks.describe_insight(clusterName=cluster, id=insight["id"])["insight"]["recommendation"]
    for none in ({"statuses": ["ERROR"]}, {"kubernetesVersions": ["1.37"]}, {"categories": ["ROLLBACK_READINESS"]}):
        assert eks.list_insights(clusterName=cluster, filter=none)["insights"] == []
    with pytest.raises(ClientError) as error:
        eks.describe_insight(clusterName=cluster, id="none")
    assert code(error) == "ResourceNotFoundException"


def test_versions_of_clusters_are_described_with_their_support(aws: Client) -> None:
    described = aws("eks").describe_cluster_versions(clusterVersions=["1.36", "9.9"], includeAll=True)
    (version,) = described["clusterVersions"]
    assert (version["clusterVersion"], f"{version['endOfStandardSupportDate']:%Y-%m-%d}") == ("1.36", "2027-08-02")
    assert {entry["clusterVersion"] for entry in aws("eks").describe_cluster_versions()["clusterVersions"]} >= {"1.36"}


def test_versions_of_add_ons_are_described_by_the_kubernetes_version(aws: Client, cluster: str) -> None:
    eks = aws("eks")
    (addon,) = eks.describe_addon_versions(addonName="kube-proxy", kubernetesVersion="1.35")["addons"]
    (version,) = addon["addonVersions"]
    assert version["compatibilities"] == [{"clusterVersion": "1.35", "defaultVersion": True}]
    created = eks.create_addon(clusterName=cluster, addonName="kube-proxy")["addon"]
    eks.delete_addon(clusterName=cluster, addonName="kube-proxy")
    assert created["addonVersion"] == version["addonVersion"]
    assert len(eks.describe_addon_versions()["addons"]) > 1


def test_a_node_group_is_described_with_its_settings(aws: Client, node_group: dict[str, str]) -> None:
    described = aws("eks").describe_nodegroup(**node_group)["nodegroup"]
    assert described["launchTemplate"] == {"id": "lt-0123456789abcdef0", "version": "1"}
    assert described["nodeRepairConfig"] == {"enabled": True}
    assert described["updateConfig"] == {"maxUnavailable": 1}


def test_the_settings_of_a_node_group_can_be_updated(aws: Client, node_group: dict[str, str]) -> None:
    aws("eks").update_nodegroup_config(
        **node_group,
        labels={"addOrUpdateLabels": {"new": "yes"}, "removeLabels": ["old"]},
        taints={
            "addOrUpdateTaints": [{"key": "c", "effect": "NO_SCHEDULE"}],
            "removeTaints": [{"key": "a", "effect": "NO_SCHEDULE"}],
        },
        scalingConfig={"maxSize": 5},
    )
    described = aws("eks").describe_nodegroup(**node_group)["nodegroup"]
    assert described["labels"] == {"role": "system", "new": "yes"}
    assert [taint["key"] for taint in described["taints"]] == ["b", "c"]
    assert described["scalingConfig"] == {"minSize": 1, "maxSize": 5, "desiredSize": 2}


def test_a_node_group_can_be_updated_to_a_new_launch_template_version(aws: Client, node_group: dict[str, str]) -> None:
    template = {"id": "lt-0123456789abcdef0", "version": "2"}
    aws("eks").update_nodegroup_version(**node_group, launchTemplate=template)
    assert aws("eks").describe_nodegroup(**node_group)["nodegroup"]["launchTemplate"] == template


def test_a_node_group_has_the_newest_ami_and_gets_no_earlier_one(aws: Client, node_group: dict[str, str]) -> None:
    eks = aws("eks")
    name = "/aws/service/eks/optimized-ami/1.35/amazon-linux-2023/x86_64/standard/recommended/release_version"
    newest = aws("ssm").get_parameter(Name=name)["Parameter"]["Value"]
    assert eks.describe_nodegroup(**node_group)["nodegroup"]["releaseVersion"] == newest == "1.35.0-20261101"
    for refused in ("1.35.0-20261031", "1.36.0-20261101"):
        with pytest.raises(ClientError) as error:
            eks.update_nodegroup_version(**node_group, releaseVersion=refused)
        assert code(error) == "InvalidParameterException"
    eks.update_nodegroup_version(**node_group, releaseVersion="1.35.1-20261201")
    assert eks.describe_nodegroup(**node_group)["nodegroup"]["releaseVersion"] == "1.35.1-20261201"


def test_a_bottlerocket_node_group_has_the_newest_ami(aws: Client, cluster: str, subnet_id: str) -> None:
    group = {"clusterName": cluster, "nodegroupName": "bottles"}
    aws("eks").create_nodegroup(**group, nodeRole=ROLE, subnets=[subnet_id], amiType="BOTTLEROCKET_x86_64")
    name = "/aws/service/bottlerocket/aws-k8s-1.35/x86_64/latest/image_version"
    newest = aws("ssm").get_parameter(Name=name)["Parameter"]["Value"]
    assert aws("eks").describe_nodegroup(**group)["nodegroup"]["releaseVersion"] == newest
    with pytest.raises(ClientError) as error:
        aws("ssm").get_parameter(Name="/absent")
    assert code(error) == "ParameterNotFound"


def test_the_image_of_the_access_host_is_published(aws: Client) -> None:
    name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
    assert aws("ssm").get_parameter(Name=name)["Parameter"]["Value"].startswith("ami-")


def test_an_add_on_owns_its_pod_identity_associations(aws: Client, cluster: str) -> None:
    eks, addon = aws("eks"), {"clusterName": cluster, "addonName": "vpc-cni"}

    def association() -> dict[str, str]:
        (arn,) = eks.describe_addon(**addon)["addon"]["podIdentityAssociations"]
        id_ = arn.rpartition("/")[2]
        return dict(eks.describe_pod_identity_association(clusterName=cluster, associationId=id_)["association"])

    eks.create_addon(**addon, podIdentityAssociations=[{"serviceAccount": "aws-node", "roleArn": ROLE}])
    created = association()
    assert (created["namespace"], created["serviceAccount"], created["roleArn"]) == ("kube-system", "aws-node", ROLE)
    role = {"serviceAccount": "aws-node", "roleArn": OTHER_ROLE}
    update = eks.update_addon(**addon, podIdentityAssociations=[role])["update"]
    assert eks.describe_update(name=cluster, updateId=update["id"], addonName="vpc-cni")["update"] is not None
    assert association()["roleArn"] == OTHER_ROLE
    eks.delete_addon(**addon)
    assert eks.list_pod_identity_associations(clusterName=cluster)["associations"] == []


def test_an_add_on_without_roles_has_no_pod_identity_associations(aws: Client, cluster: str) -> None:
    eks, addon = aws("eks"), {"clusterName": cluster, "addonName": "coredns"}
    eks.create_addon(**addon)
    assert not eks.describe_addon(**addon)["addon"].get("podIdentityAssociations")
    eks.delete_addon(**addon)


def test_a_cluster_has_no_fargate_profiles(aws: Client, cluster: str) -> None:
    assert aws("eks").list_fargate_profiles(clusterName=cluster)["fargateProfileNames"] == []


def test_a_cluster_is_described_with_its_current_tags(aws: Client, cluster: str) -> None:
    arn = aws("eks").describe_cluster(name=cluster)["cluster"]["arn"]
    aws("eks").tag_resource(resourceArn=arn, tags={"Name": "development"})
    aws("eks").untag_resource(resourceArn=arn, tagKeys=["Owner", "Team"])
    assert aws("eks").describe_cluster(name=cluster)["cluster"]["tags"] == {"Name": "development"}
    assert aws("eks").list_tags_for_resource(resourceArn=arn)["tags"] == {"Name": "development"}


def test_a_pod_identity_association_can_be_tagged(aws: Client, cluster: str) -> None:
    eks = aws("eks")
    account = {"namespace": "app", "serviceAccount": "app"}
    created = eks.create_pod_identity_association(
        clusterName=cluster, roleArn=ROLE, tags={"a": "1", "b": "2"}, **account
    )
    name = {"clusterName": cluster, "associationId": created["association"]["associationId"]}
    eks.tag_resource(resourceArn=created["association"]["associationArn"], tags={"c": "3"})
    eks.untag_resource(resourceArn=created["association"]["associationArn"], tagKeys=["a"])
    assert eks.describe_pod_identity_association(**name)["association"]["tags"] == {"b": "2", "c": "3"}
    eks.delete_pod_identity_association(**name)


# --- ACM --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"Options": {"CertificateTransparencyLoggingPreference": "DISABLED"}}])
def test_a_certificate_is_in_a_transparency_log_unless_it_opts_out(aws: Client, options: dict[str, Any]) -> None:
    arn = aws("acm").request_certificate(DomainName="dev.platform.example.com", **options)["CertificateArn"]
    found = aws("acm").describe_certificate(CertificateArn=arn)["Certificate"]["Options"]
    assert found == (options or {"Options": {"CertificateTransparencyLoggingPreference": "ENABLED"}})["Options"]


# --- EC2 --------------------------------------------------------------------------------------------------------------


def test_a_flow_log_is_described_with_its_settings(aws: Client, vpc_id: str) -> None:
    created = aws("ec2").create_flow_logs(
        ResourceIds=[vpc_id],
        ResourceType="VPC",
        TrafficType="ALL",
        LogDestination=f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:flow",
        DeliverLogsPermissionArn=ROLE,
        MaxAggregationInterval=60,
        LogFormat="${version} <${srcaddr}>",
        TagSpecifications=[{"ResourceType": "vpc-flow-log", "Tags": [{"Key": "Name", "Value": "flow"}]}],
    )
    (flow_log,) = aws("ec2").describe_flow_logs(FlowLogIds=created["FlowLogIds"])["FlowLogs"]
    assert flow_log["DeliverLogsPermissionArn"] == ROLE
    assert flow_log["MaxAggregationInterval"] == 60
    assert flow_log["LogFormat"] == "${version} <${srcaddr}>"
    assert flow_log["Tags"] == [{"Key": "Name", "Value": "flow"}]


def test_a_flow_log_has_an_aggregation_interval_of_ten_minutes_by_default(aws: Client, vpc_id: str) -> None:
    created = aws("ec2").create_flow_logs(
        ResourceIds=[vpc_id], ResourceType="VPC", TrafficType="ALL", LogGroupName="flow"
    )
    (flow_log,) = aws("ec2").describe_flow_logs(FlowLogIds=created["FlowLogIds"])["FlowLogs"]
    assert flow_log["MaxAggregationInterval"] == 600


def test_a_vpc_endpoint_keeps_its_private_dns_policy_and_security_groups(aws: Client, vpc_id: str) -> None:
    ec2 = aws("ec2")
    first, second = (
        ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc_id)["GroupId"] for name in ("a", "b")
    )
    id_ = ec2.create_vpc_endpoint(
        VpcId=vpc_id,
        ServiceName=f"com.amazonaws.{REGION}.sts",
        VpcEndpointType="Interface",
        PrivateDnsEnabled=True,
        SecurityGroupIds=[first],
        PolicyDocument='{"Version": "2012-10-17"}',
    )["VpcEndpoint"]["VpcEndpointId"]

    def endpoint() -> dict[str, Any]:
        return dict(ec2.describe_vpc_endpoints(VpcEndpointIds=[id_])["VpcEndpoints"][0])

    assert endpoint()["PrivateDnsEnabled"] is True
    assert endpoint()["PolicyDocument"] == '{"Version": "2012-10-17"}'
    assert [group["GroupId"] for group in endpoint()["Groups"]] == [first]
    ec2.modify_vpc_endpoint(
        VpcEndpointId=id_, AddSecurityGroupIds=[second], RemoveSecurityGroupIds=[first], PrivateDnsEnabled=False
    )
    assert endpoint()["PrivateDnsEnabled"] is False
    assert [group["GroupId"] for group in endpoint()["Groups"]] == [second]


def test_ports_are_ignored_in_a_rule_for_all_protocols(aws: Client, vpc_id: str) -> None:
    ec2 = aws("ec2")
    id_ = ec2.create_security_group(GroupName="ports", Description="ports", VpcId=vpc_id)["GroupId"]
    everything = {"IpProtocol": "-1", "FromPort": 0, "ToPort": 0, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.revoke_security_group_egress(GroupId=id_, IpPermissions=[everything])
    (group,) = ec2.describe_security_groups(GroupIds=[id_])["SecurityGroups"]
    assert group["IpPermissionsEgress"] == []


def _rules(*sources: dict[str, str], protocol: str = "tcp") -> list[dict[str, Any]]:
    kinds = {"CidrIp": "IpRanges", "CidrIpv6": "Ipv6Ranges", "GroupId": "UserIdGroupPairs"}
    listed = {kind: [source for source in sources if name in source] for name, kind in kinds.items()}
    return [{"IpProtocol": protocol, "FromPort": 443, "ToPort": 443} | {kind: of for kind, of in listed.items() if of}]


def test_a_security_group_has_at_most_60_rules_of_a_direction_and_address_family(aws: Client, vpc_id: str) -> None:
    ec2 = aws("ec2")
    id_ = ec2.create_security_group(GroupName="full", Description="full", VpcId=vpc_id)["GroupId"]
    cidrs = [{"CidrIp": f"192.0.2.{n}/32"} for n in range(60)]
    ec2.authorize_security_group_ingress(GroupId=id_, IpPermissions=_rules(*cidrs[:58], {"GroupId": id_}))
    ec2.authorize_security_group_ingress(GroupId=id_, IpPermissions=_rules(cidrs[58]))
    ec2.authorize_security_group_ingress(GroupId=id_, IpPermissions=_rules({"CidrIpv6": "2001:db8::/64"}))
    ec2.authorize_security_group_egress(GroupId=id_, IpPermissions=_rules(*cidrs[:59]))
    for direction in ("ingress", "egress"):
        with pytest.raises(ClientError, match=f"{id_}: 61 rules: the default quota is 60") as error:
            getattr(ec2, f"authorize_security_group_{direction}")(GroupId=id_, IpPermissions=_rules(cidrs[59]))
        assert code(error) == "RulesPerSecurityGroupLimitExceeded"


def test_a_launch_template_keeps_the_kms_key_of_its_disks(aws: Client) -> None:
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
    disks = [
        {"DeviceName": "/dev/xvda", "Ebs": {"Encrypted": True, "KmsKeyId": key}},
        {"DeviceName": "/dev/xvdb", "Ebs": {"SnapshotId": "snap-1"}},
    ]
    data = {"BlockDeviceMappings": disks}
    aws("ec2").create_launch_template(LaunchTemplateName="nodes", LaunchTemplateData=data)
    (version,) = aws("ec2").describe_launch_template_versions(LaunchTemplateName="nodes")["LaunchTemplateVersions"]
    assert version["LaunchTemplateData"]["BlockDeviceMappings"] == disks


# --- IAM --------------------------------------------------------------------------------------------------------------


def test_the_inline_policies_of_a_role_have_at_most_10240_characters_together(aws: Client) -> None:
    iam = aws("iam")
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "eks.amazonaws.com"}}
    iam.create_role(RoleName="full", AssumeRolePolicyDocument=json.dumps({"Statement": trust}))

    def put(name: str, length: int) -> None:
        statement = {"Effect": "Allow", "Action": "a:b", "Resource": ""}
        statement["Resource"] = "x" * (length - len(json.dumps({"Statement": statement}, separators=(",", ":"))))
        document = json.dumps({"Statement": statement}, indent=4)  # white space does not count
        iam.put_role_policy(RoleName="full", PolicyName=name, PolicyDocument=document)

    put("one", 6000)
    put("two", 4240)
    put("two", 4240)
    with pytest.raises(ClientError, match="full: 10241 characters of inline policies: the maximum is 10240") as error:
        put("two", 4241)
    assert code(error) == "LimitExceeded"
    assert sorted(iam.list_role_policies(RoleName="full")["PolicyNames"]) == ["one", "two"]


# --- RDS, EFS, ECR ----------------------------------------------------------------------------------------------------


def test_the_log_exports_of_a_database_can_be_updated(aws: Client, database: Callable[..., dict[str, Any]]) -> None:
    created = database(MasterUserPassword="a-password", EnableCloudwatchLogsExports=["postgresql", "upgrade"])
    assert created["EnabledCloudwatchLogsExports"] == ["postgresql", "upgrade"]
    exports = {"EnableLogTypes": ["iam-db-auth-error"], "DisableLogTypes": ["upgrade"]}
    aws("rds").modify_db_instance(DBInstanceIdentifier="app", CloudwatchLogsExportConfiguration=exports)
    assert database()["EnabledCloudwatchLogsExports"] == ["iam-db-auth-error", "postgresql"]


def test_a_database_keeps_its_backup_window_and_insights_key(database: Callable[..., dict[str, Any]]) -> None:
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
    insights = {"EnablePerformanceInsights": True, "PerformanceInsightsKMSKeyId": key}
    created = database(MasterUserPassword="a-password", PreferredBackupWindow="17:00-18:00", **insights)
    assert created["PreferredBackupWindow"] == "17:00-18:00"
    assert created["PerformanceInsightsEnabled"] is True
    assert created["PerformanceInsightsKMSKeyId"] == key


def test_a_new_backup_retention_is_applied_immediately(aws: Client, database: Callable[..., dict[str, Any]]) -> None:
    database(MasterUserPassword="a-password", BackupRetentionPeriod=7)
    aws("rds").modify_db_instance(DBInstanceIdentifier="app", BackupRetentionPeriod=14, ApplyImmediately=False)
    assert database()["BackupRetentionPeriod"] == 14


def test_a_database_of_a_major_version_runs_a_minor_version(database: Callable[..., dict[str, Any]]) -> None:
    version = database(MasterUserPassword="a-password", EngineVersion="17")["EngineVersion"]
    assert re.fullmatch(r"17\.\d+", version)


@pytest.mark.parametrize("version", ["17.99", "99", "17.x"])
def test_rejects_an_unknown_version_of_a_database(aws: Client, version: str) -> None:
    with pytest.raises(ClientError) as error:
        aws("rds").create_db_instance(
            DBInstanceIdentifier="never",
            DBInstanceClass="db.t4g.medium",
            Engine="postgres",
            EngineVersion=version,
            MasterUsername="someone",
            MasterUserPassword="a-password",
            AllocatedStorage=20,
        )
    assert code(error) == "InvalidParameterCombination"


@pytest.fixture
def groups(aws: Client) -> Iterator[Callable[[str], str]]:
    """Creates a parameter group of a major version of PostgreSQL, and returns its name."""
    created: list[str] = []

    def create(major: str) -> str:
        name = f"app-{major}"
        aws("rds").create_db_parameter_group(
            DBParameterGroupName=name, DBParameterGroupFamily=f"postgres{major}", Description="of app"
        )
        created.append(name)
        return name

    yield create
    for name in created:
        aws("rds").delete_db_parameter_group(DBParameterGroupName=name)


_UPGRADE = {"EngineVersion": "18", "AllowMajorVersionUpgrade": True, "ApplyImmediately": True}


def test_a_major_upgrade_needs_a_flag_and_a_parameter_group_of_the_new_version(
    aws: Client, groups: Callable[[str], str], database: Callable[..., dict[str, Any]]
) -> None:
    old, new = groups("17"), groups("18")
    database(MasterUserPassword="a-password", EngineVersion="17", DBParameterGroupName=old)
    for refused, reason in (
        ({"AllowMajorVersionUpgrade": False, "DBParameterGroupName": new}, "AllowMajorVersionUpgrade flag"),
        ({}, "specify one of postgres18"),
        ({"EngineVersion": "18.99", "DBParameterGroupName": new}, "Cannot find version 18.99"),
    ):
        with pytest.raises(ClientError, match=reason) as error:
            aws("rds").modify_db_instance(DBInstanceIdentifier="app", **{**_UPGRADE, **refused})
        assert code(error) == "InvalidParameterCombination"
    aws("rds").modify_db_instance(DBInstanceIdentifier="app", **_UPGRADE, DBParameterGroupName=new)
    upgraded = database()
    assert upgraded["EngineVersion"].startswith("18.")
    assert [group["DBParameterGroupName"] for group in upgraded["DBParameterGroups"]] == [new]


def test_a_parameter_group_in_use_cannot_be_deleted(
    aws: Client, groups: Callable[[str], str], database: Callable[..., dict[str, Any]]
) -> None:
    used = groups("17")  # deleted after the database
    database(MasterUserPassword="a-password", EngineVersion="17", DBParameterGroupName=used)
    with pytest.raises(ClientError) as error:
        aws("rds").delete_db_parameter_group(DBParameterGroupName=used)
    assert code(error) == "InvalidDBParameterGroupState"


def test_a_version_of_a_database_is_never_lowered(aws: Client, database: Callable[..., dict[str, Any]]) -> None:
    database(MasterUserPassword="a-password", EngineVersion="17.9")
    for lower in ("17.8", "16"):
        with pytest.raises(ClientError, match=r"Cannot upgrade postgres from 17\.9 to"):
            aws("rds").modify_db_instance(DBInstanceIdentifier="app", **{**_UPGRADE, "EngineVersion": lower})
    for version, after in (("17", "17.9"), ("17.10", "17.10")):
        aws("rds").modify_db_instance(DBInstanceIdentifier="app", EngineVersion=version, ApplyImmediately=True)
        assert database()["EngineVersion"] == after


def test_a_mysql_database_is_upgraded_to_a_major_version_with_two_numbers(
    aws: Client, database: Callable[..., dict[str, Any]]
) -> None:
    assert database(Engine="mysql", MasterUserPassword="a-password", EngineVersion="8.0")["EngineVersion"] == "8.0.42"
    with pytest.raises(ClientError, match="AllowMajorVersionUpgrade flag"):
        aws("rds").modify_db_instance(DBInstanceIdentifier="app", EngineVersion="8.4", ApplyImmediately=True)
    aws("rds").modify_db_instance(DBInstanceIdentifier="app", **{**_UPGRADE, "EngineVersion": "8.4.10"})
    assert database()["EngineVersion"] == "8.4.10"
    with pytest.raises(ClientError, match=r"Cannot upgrade mysql from 8\.4\.10 to 8\.4\.9"):
        aws("rds").modify_db_instance(DBInstanceIdentifier="app", **{**_UPGRADE, "EngineVersion": "8.4.9"})


@pytest.fixture
def aurora(aws: Client) -> Iterator[Callable[..., dict[str, Any]]]:
    """Creates a cluster of Aurora if called with arguments, and describes it."""
    rds = aws("rds")

    def describe(**settings: Any) -> dict[str, Any]:
        if settings:
            defaults = {"Engine": "aurora-postgresql", "MasterUsername": "someone", "MasterUserPassword": "a-password"}
            rds.create_db_cluster(DBClusterIdentifier="app", **defaults | settings)
        (cluster,) = rds.describe_db_clusters(DBClusterIdentifier="app")["DBClusters"]
        return dict(cluster)

    yield describe
    rds.delete_db_cluster(DBClusterIdentifier="app", SkipFinalSnapshot=True)


def test_a_cluster_of_aurora_runs_a_minor_version_and_keeps_its_log_exports(
    aws: Client, aurora: Callable[..., dict[str, Any]]
) -> None:
    created = aurora(EngineVersion="17", EnableCloudwatchLogsExports=["postgresql"])
    assert re.fullmatch(r"17\.\d+", created["EngineVersion"])
    assert created["EnabledCloudwatchLogsExports"] == ["postgresql"]
    exports = {"EnableLogTypes": ["iam-db-auth-error"], "DisableLogTypes": ["postgresql"]}
    aws("rds").modify_db_cluster(DBClusterIdentifier="app", CloudwatchLogsExportConfiguration=exports)
    assert aurora()["EnabledCloudwatchLogsExports"] == ["iam-db-auth-error"]
    assert aurora()["EngineVersion"] == created["EngineVersion"]


def test_rejects_an_unknown_version_of_a_cluster_of_aurora(aws: Client) -> None:
    user = {"MasterUsername": "someone", "MasterUserPassword": "a-password"}
    with pytest.raises(ClientError, match=r"Cannot find version 17\.99") as error:
        aws("rds").create_db_cluster(
            DBClusterIdentifier="never", Engine="aurora-postgresql", EngineVersion="17.99", **user
        )
    assert code(error) == "InvalidParameterCombination"


@pytest.mark.parametrize(
    ("engine", "majors", "version"),
    [
        ("aurora-postgresql", ("17", "18"), "18.4"),
        ("aurora-mysql", ("8.0", "8.4"), "8.4.mysql_aurora.8.4.7"),
    ],
)
def test_a_cluster_of_aurora_is_upgraded_as_an_instance_is(
    aws: Client, aurora: Callable[..., dict[str, Any]], engine: str, majors: tuple[str, str], version: str
) -> None:
    rds = aws("rds")
    for major in majors:
        family, name = f"{engine}{major}", f"{engine}{major}".replace(".", "-")
        rds.create_db_cluster_parameter_group(
            DBClusterParameterGroupName=name, DBParameterGroupFamily=family, Description="of app"
        )
    old, new = (f"{engine}{major}".replace(".", "-") for major in majors)
    created = aurora(Engine=engine, EngineVersion=majors[0], DBClusterParameterGroupName=old)
    upgrade = {"EngineVersion": version, "AllowMajorVersionUpgrade": True, "DBClusterParameterGroupName": new}
    for refused, reason in (
        ({"AllowMajorVersionUpgrade": False}, "AllowMajorVersionUpgrade flag"),
        ({"DBClusterParameterGroupName": old}, f"specify one of {engine}{majors[1]}"),
    ):
        with pytest.raises(ClientError, match=reason) as error:
            rds.modify_db_cluster(DBClusterIdentifier="app", **upgrade | refused)
        assert code(error) == "InvalidParameterCombination"
    with pytest.raises(ClientError, match="database clusters are still members") as error:
        rds.delete_db_cluster_parameter_group(DBClusterParameterGroupName=old)
    assert code(error) == "InvalidDBParameterGroupState"
    rds.modify_db_cluster(DBClusterIdentifier="app", **upgrade)
    assert (aurora()["EngineVersion"], aurora()["DBClusterParameterGroup"]) == (version, new)
    rds.delete_db_cluster_parameter_group(DBClusterParameterGroupName=old)
    with pytest.raises(ClientError, match=f"Cannot upgrade {engine} from"):
        rds.modify_db_cluster(DBClusterIdentifier="app", **upgrade | {"EngineVersion": created["EngineVersion"]})


def test_changes_of_a_database_wait_until_another_is_applied_immediately(
    aws: Client, database: Callable[..., dict[str, Any]]
) -> None:
    database(MasterUserPassword="a-password", MultiAZ=False)
    for change in ({"DBInstanceClass": "db.t4g.large"}, {"AllocatedStorage": 40}, {"MultiAZ": False}):
        aws("rds").modify_db_instance(DBInstanceIdentifier="app", ApplyImmediately=False, **change)
    waiting = database()
    assert waiting["PendingModifiedValues"] == {"DBInstanceClass": "db.t4g.large", "AllocatedStorage": 40}
    assert (waiting["DBInstanceClass"], waiting["AllocatedStorage"]) == ("db.t4g.medium", 20)
    aws("rds").modify_db_instance(DBInstanceIdentifier="app", ApplyImmediately=True, DeletionProtection=False)
    applied = database()
    assert not applied.get("PendingModifiedValues")
    assert (applied["DBInstanceClass"], applied["AllocatedStorage"]) == ("db.t4g.large", 40)


def test_the_storage_of_a_database_cannot_be_reduced(aws: Client, database: Callable[..., dict[str, Any]]) -> None:
    database(MasterUserPassword="a-password")
    with pytest.raises(ClientError, match="cannot be reduced from 20") as error:
        aws("rds").modify_db_instance(DBInstanceIdentifier="app", AllocatedStorage=10, ApplyImmediately=True)
    assert code(error) == "InvalidParameterCombination"


@pytest.mark.parametrize(
    ("size", "performance"),
    [
        (399, {"Iops": 3000}),
        (399, {"StorageThroughput": 125}),
        (400, {"Iops": 3000}),
        (400, {"StorageThroughput": 125}),
    ],
)
def test_rejects_a_performance_of_storage_that_its_size_does_not_have(
    aws: Client, database: Callable[..., dict[str, Any]], size: int, performance: dict[str, int]
) -> None:
    created = database(MasterUserPassword="a-password", StorageType="gp3")
    with pytest.raises(ClientError, match=f"storage of {size} GiB") as error:
        aws("rds").modify_db_instance(DBInstanceIdentifier="app", AllocatedStorage=size, **performance)
    assert code(error) == "InvalidParameterCombination"
    large = {"AllocatedStorage": 400, "Iops": 12000, "StorageThroughput": 500}
    aws("rds").modify_db_instance(DBInstanceIdentifier="app", ApplyImmediately=True, **large)
    assert created.items().isdisjoint(large.items())
    assert {name: database()[name] for name in large} == large


def test_a_managed_password_is_stored_in_secrets_manager_with_the_kms_key(
    aws: Client, database: Callable[..., dict[str, Any]]
) -> None:
    key = aws("kms").create_key()["KeyMetadata"]
    created = database(ManageMasterUserPassword=True, MasterUserSecretKmsKeyId=key["KeyId"])
    secret = created["MasterUserSecret"]
    assert (secret["SecretStatus"], secret["KmsKeyId"]) == ("active", key["Arn"])
    described = aws("secretsmanager").describe_secret(SecretId=secret["SecretArn"])
    assert described["Name"].startswith("rds!db-")
    assert described["KmsKeyId"] == key["Arn"]
    value = json.loads(aws("secretsmanager").get_secret_value(SecretId=secret["SecretArn"])["SecretString"])
    assert value["username"] == "someone"


def test_the_secret_of_a_managed_password_is_deleted_with_the_database(aws: Client) -> None:
    name = {"DBInstanceIdentifier": "short-lived"}
    created = aws("rds").create_db_instance(
        **name,
        DBInstanceClass="db.t4g.medium",
        Engine="postgres",
        MasterUsername="someone",
        ManageMasterUserPassword=True,
    )["DBInstance"]
    aws("rds").delete_db_instance(**name, SkipFinalSnapshot=True)
    with pytest.raises(ClientError) as error:
        aws("secretsmanager").describe_secret(SecretId=created["MasterUserSecret"]["SecretArn"])
    assert code(error) == "ResourceNotFoundException"


def test_a_database_with_its_own_password_has_no_secret(database: Callable[..., dict[str, Any]]) -> None:
    assert "MasterUserSecret" not in database(MasterUserPassword="a-password")


def test_a_file_system_policy_is_returned_unchanged(aws: Client) -> None:
    id_ = aws("efs").create_file_system(CreationToken="some")["FileSystemId"]
    statement = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "elasticfilesystem:ClientMount"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    aws("efs").put_file_system_policy(FileSystemId=id_, Policy=json.dumps(policy))
    assert json.loads(aws("efs").describe_file_system_policy(FileSystemId=id_)["Policy"]) == policy


def test_a_repository_is_described_with_its_moving_tags(aws: Client) -> None:
    ecr = aws("ecr")
    moving = [{"filterType": "WILDCARD", "filter": "cache-*"}]
    mutability = {"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION", "imageTagMutabilityExclusionFilters": moving}
    ecr.create_repository(repositoryName="moving", **mutability)
    (found,) = ecr.describe_repositories(repositoryNames=["moving"])["repositories"]
    assert found.items() >= mutability.items()
    ecr.put_image_tag_mutability(repositoryName="moving", imageTagMutability="IMMUTABLE")
    (found,) = ecr.describe_repositories(repositoryNames=["moving"])["repositories"]
    assert (found["imageTagMutability"], found["imageTagMutabilityExclusionFilters"]) == ("IMMUTABLE", [])


def test_a_replication_configuration_belongs_to_one_region(aws: Client) -> None:
    rules = [{"destinations": [{"region": "us-west-2", "registryId": ACCOUNT}]}]
    aws("ecr").put_replication_configuration(replicationConfiguration={"rules": rules})
    assert aws("ecr").describe_registry()["replicationConfiguration"]["rules"] == rules
    elsewhere = aws("ecr", region_name="us-west-2")
    assert elsewhere.describe_registry()["replicationConfiguration"]["rules"] == []


def test_a_region_has_one_detector_of_guardduty(aws: Client) -> None:
    guardduty, elsewhere = aws("guardduty"), aws("guardduty", region_name="us-west-2")
    id_ = guardduty.create_detector(Enable=True, FindingPublishingFrequency="ONE_HOUR", Tags={"a": "1"})["DetectorId"]
    with pytest.raises(ClientError) as error:
        guardduty.create_detector(Enable=True)
    assert code(error) == "BadRequestException"
    features: Any = [{"Name": "EKS_AUDIT_LOGS", "Status": "ENABLED"}]
    guardduty.update_detector(DetectorId=id_, Features=features)
    guardduty.update_detector(DetectorId=id_, Enable=False, FindingPublishingFrequency="SIX_HOURS")
    found = guardduty.get_detector(DetectorId=id_)
    assert (found["Status"], found["FindingPublishingFrequency"]) == ("DISABLED", "SIX_HOURS")
    assert (found["Features"], found["Tags"]) == (features, {"a": "1"})
    arn = f"arn:aws:guardduty:{REGION}:{ACCOUNT}:detector/{id_}"
    guardduty.tag_resource(ResourceArn=arn, Tags={"b": "2"})
    guardduty.untag_resource(ResourceArn=arn, TagKeys=["a"])
    assert guardduty.list_tags_for_resource(ResourceArn=arn)["Tags"] == {"b": "2"}
    assert (guardduty.list_detectors()["DetectorIds"], elsewhere.list_detectors()["DetectorIds"]) == ([id_], [])
    guardduty.delete_detector(DetectorId=id_)
    with pytest.raises(ClientError) as error:
        guardduty.get_detector(DetectorId=id_)
    assert code(error) == "BadRequestException"


def test_saved_queries_belong_to_one_region(aws: Client) -> None:
    logs, elsewhere = aws("logs"), aws("logs", region_name="us-west-2")
    query = {"name": "gitops/errors", "queryString": "fields @message", "logGroupNames": ["/aws/eks/gitops/containers"]}
    id_ = logs.put_query_definition(**query)["queryDefinitionId"]
    (found,) = logs.describe_query_definitions(queryDefinitionNamePrefix="gitops/")["queryDefinitions"]
    assert found["queryDefinitionId"] == id_
    assert query.items() <= found.items()
    assert elsewhere.describe_query_definitions()["queryDefinitions"] == []
    changed = query | {"queryString": "fields @timestamp"}
    assert logs.put_query_definition(**changed, queryDefinitionId=id_)["queryDefinitionId"] == id_
    assert logs.delete_query_definition(queryDefinitionId=id_)["success"]
    assert logs.describe_query_definitions()["queryDefinitions"] == []
    with pytest.raises(ClientError) as error:
        logs.delete_query_definition(queryDefinitionId=id_)
    assert code(error) == "ResourceNotFoundException"


def test_a_template_of_repositories_belongs_to_one_region(aws: Client) -> None:
    ecr, elsewhere = aws("ecr", region_name="us-west-2"), aws("ecr")
    template = {"prefix": "ROOT", "appliedFor": ["REPLICATION"], "imageTagMutability": "MUTABLE"}
    ecr.create_repository_creation_template(**template)
    with pytest.raises(ClientError) as error:
        ecr.create_repository_creation_template(**template)
    assert code(error) == "TemplateAlreadyExistsException"
    ecr.update_repository_creation_template(prefix="ROOT", imageTagMutability="IMMUTABLE")
    (found,) = ecr.describe_repository_creation_templates(prefixes=["ROOT", "other"])["repositoryCreationTemplates"]
    assert found == {**template, "imageTagMutability": "IMMUTABLE"}
    assert elsewhere.describe_repository_creation_templates()["repositoryCreationTemplates"] == []
    ecr.delete_repository_creation_template(prefix="ROOT")
    with pytest.raises(ClientError) as error:
        ecr.delete_repository_creation_template(prefix="ROOT")
    assert code(error) == "TemplateNotFoundException"


@pytest.mark.parametrize(
    "settings", [{"encryptionConfiguration": {"encryptionType": "KMS"}}, {"resourceTags": [{"Key": "a", "Value": "b"}]}]
)
def test_rejects_a_template_with_tags_or_a_key_without_a_role(aws: Client, settings: dict[str, Any]) -> None:
    template = {"prefix": "ROOT", "appliedFor": ["REPLICATION"], **settings}
    with pytest.raises(ClientError, match="need a customRoleArn") as error:
        aws("ecr").create_repository_creation_template(**template)
    assert code(error) == "InvalidParameterException"
    aws("ecr").create_repository_creation_template(**template, customRoleArn=ROLE)
    aws("ecr").delete_repository_creation_template(prefix="ROOT")


def test_rejects_replication_to_the_same_registry(aws: Client) -> None:
    rules = [{"destinations": [{"region": REGION, "registryId": ACCOUNT}]}]
    with pytest.raises(ClientError) as error:
        aws("ecr").put_replication_configuration(replicationConfiguration={"rules": rules})
    assert code(error) == "InvalidParameterException"


# --- Backup -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def vault(aws: Client) -> Iterator[str]:
    backup, name = aws("backup"), "data"
    backup.create_backup_vault(BackupVaultName=name)
    yield name
    backup.delete_backup_vault(BackupVaultName=name)


def _lock(vault: dict[str, Any]) -> tuple[bool, object, object]:
    return vault["Locked"], vault.get("MinRetentionDays"), vault.get("MaxRetentionDays")


def test_a_zone_has_no_dnssec(aws: Client) -> None:
    zone = aws("route53").create_hosted_zone(Name="dev.example.com", CallerReference="1")["HostedZone"]["Id"]
    found = aws("route53").get_dnssec(HostedZoneId=zone)
    assert (found["Status"]["ServeSignature"], found["KeySigningKeys"]) == ("NOT_SIGNING", [])


def test_a_vault_is_locked_until_the_lock_or_the_vault_is_deleted(aws: Client, vault: str) -> None:
    backup = aws("backup")
    days = {"MinRetentionDays": 7, "MaxRetentionDays": 31}
    backup.put_backup_vault_lock_configuration(BackupVaultName=vault, **days)
    assert _lock(backup.describe_backup_vault(BackupVaultName=vault)) == (True, 7, 31)
    backup.delete_backup_vault_lock_configuration(BackupVaultName=vault)
    assert _lock(backup.describe_backup_vault(BackupVaultName=vault)) == (False, None, None)
    backup.put_backup_vault_lock_configuration(BackupVaultName=vault, **days)
    backup.delete_backup_vault(BackupVaultName=vault)
    backup.create_backup_vault(BackupVaultName=vault)
    assert _lock(backup.describe_backup_vault(BackupVaultName=vault)) == (False, None, None)


def test_rejects_a_vault_lock_with_a_minimum_above_its_maximum(aws: Client, vault: str) -> None:
    with pytest.raises(ClientError, match="InvalidParameterValueException"):
        aws("backup").put_backup_vault_lock_configuration(
            BackupVaultName=vault, MinRetentionDays=31, MaxRetentionDays=7
        )


def test_rejects_a_lock_of_an_unknown_vault(aws: Client) -> None:
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        aws("backup").put_backup_vault_lock_configuration(BackupVaultName="none", MinRetentionDays=7)


# --- the check of requests --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unchecked(aws: Client) -> Client:
    """Creates clients that do not check their parameters."""
    config: Any = Config(parameter_validation=False)
    return lambda service: aws(service, config=config)


def test_each_service_answers_a_violation_with_an_error_of_its_protocol(unchecked: Client) -> None:
    expected: dict[str, Callable[[], Any]] = {
        "ValidationException": lambda: unchecked("kms").create_key(KeyUsage="SIGN"),  # json
        "InvalidArgument": lambda: unchecked("s3").create_bucket(Bucket="b", ACL="hidden"),  # rest-xml
        "InvalidInput": lambda: unchecked("route53").create_hosted_zone(Name="example.com"),
        "ValidationError": lambda: unchecked("iam").create_role(RoleName="a b"),  # query
        "InvalidParameterValue": lambda: unchecked("ec2").create_vpc(CidrBlock="10.0.0.0/16", InstanceTenancy="x"),
    }
    for expected_code, call in expected.items():
        with pytest.raises(ClientError) as error:
            call()
        assert code(error) == expected_code
    with pytest.raises(ClientError, match='CreateCluster: Missing required parameter in input: "roleArn"'):
        unchecked("eks").create_cluster(name="dev", resourcesVpcConfig={})  # rest-json


def test_a_rule_that_only_the_documentation_has_is_also_enforced(aws: Client, vpc_id: str) -> None:
    with pytest.raises(ClientError, match="GroupDescription: The cluster's API: valid are up to 255 of") as error:
        aws("ec2").create_security_group(GroupName="api", Description="The cluster's API", VpcId=vpc_id)
    assert code(error) == "InvalidParameterValue"


def test_valid_requests_with_bodies_and_empty_values_are_answered(aws: Client) -> None:
    s3 = aws("s3")
    s3.create_bucket(Bucket="data", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="data", Key="some/key", Body=bytes(range(256)), Metadata={"owner": "minji"})
    assert s3.get_object(Bucket="data", Key="some/key")["Body"].read() == bytes(range(256))
    upload = s3.create_multipart_upload(Bucket="data", Key="parts")["UploadId"]
    part = s3.upload_part(Bucket="data", Key="parts", UploadId=upload, PartNumber=1, Body=b"one")
    parts = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
    s3.complete_multipart_upload(Bucket="data", Key="parts", UploadId=upload, MultipartUpload=parts)
    s3.copy_object(Bucket="data", Key="copy", CopySource={"Bucket": "data", "Key": "parts"})
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket="data")["Contents"]]
    s3.delete_objects(Bucket="data", Delete={"Objects": [{"Key": key} for key in keys]})
    assert keys == ["copy", "parts", "some/key"]
    aws("secretsmanager").create_secret(
        Name="empty", Description="", SecretString="x", Tags=[{"Key": "a", "Value": ""}]
    )
    aws("sns").create_topic(Name="a", Attributes={"DisplayName": ""}, Tags=[])
    aws("route53").create_hosted_zone(Name="example.com", CallerReference="one", HostedZoneConfig={"Comment": ""})
    aws("cloudwatch").put_metric_data(Namespace="a", MetricData=[{"MetricName": "b", "Value": 1.5}])
    assert aws("sts").get_caller_identity()["Account"] == ACCOUNT


# --- the server -------------------------------------------------------------------------------------------------------


def test_the_record_contains_the_calls_of_clients_but_no_internal_calls(
    aws: Client, record: Path, cluster: str
) -> None:
    aws("s3").list_buckets()
    lines = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    assert {"service": "s3", "action": "s3:ListAllMyBuckets", "access_key": ACCOUNT} in lines
    since = max(number for number, line in enumerate(lines) if line["action"] == "eks:CreateCluster")
    assert "ec2:CreateSecurityGroup" not in [line["action"] for line in lines[since:]]
    assert cluster == "dev"


def test_the_reason_is_reported_if_the_emulator_does_not_start(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(OperationError, match=r"did not start; (?s:.*)[Aa]ddress already in use"):
            emulator_process.start(taken.getsockname()[1], tmp_path / "log")


def test_the_emulator_stops_when_its_parent_is_killed(tmp_path: Path) -> None:
    program = """
import sys, time
from pathlib import Path
from operations.local.emulator_process import Emulator
with Emulator(Path(sys.argv[1])) as emulator:
    print(emulator.environment["AWS_ENDPOINT_URL"], flush=True)
    time.sleep(60)
"""
    command = [sys.executable, "-c", program, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        port = int(parent.stdout.readline().rpartition(":")[2])
        assert ports.answers(port)
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + SECONDS
    while ports.answers(port):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_an_emulator_that_does_not_stop_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    command = [sys.executable, "-S", "-c", program]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()  # it ignores SIGTERM now
    monkeypatch.setattr(emulator_process, "start", lambda *_, **__: process)
    monkeypatch.setattr(emulator_process, "_STOP_SECONDS", 0.2)
    with Emulator(tmp_path / "log"):
        pass
    assert process.returncode == -signal.SIGKILL
