"""Changes to the region outside of Terraform, and the findings that `drift` reports for them."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3

from operations.state import states
from operations.terraform.stacks import Stack

ANYONE = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
_POLICY_OF_ANYONE = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "*"}]}
)
_TRUST = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}]}
)
_CLUSTER = "gitops-cluster-dev"
_STRANGER = "arn:aws:iam::123456789012:role/stranger"
_MINER = "arn:aws:iam::123456789012:role/miner"
_HASH = re.compile(r"_[0-9A-F]{8}(?![0-9A-F])")


def without_hash(text: str) -> str:
    """An address without the hash that CDKTF appends."""
    return _HASH.sub("", text)


@dataclass(frozen=True)
class Tampering:
    """A change in AWS. `kind` and `name` are the expected finding, without CDKTF's hashes; empty if there is none.

    `undo` deletes what is in no Terraform state; a deploy reverts the others.
    """

    act: Callable[[], Any]
    environment: str = ""
    kind: str = ""
    name: str = ""
    attributes: tuple[str, ...] = ()
    undo: Callable[[Any], Any] | None = None


class Known:
    """The resources in the states of the region, by environment and address."""

    def __init__(self, session: boto3.Session, stacks: list[Stack]) -> None:
        self._resources = {
            (stack.name.removeprefix("ap-northeast-2-"), without_hash(one.address)): one
            for stack in stacks
            for one in states.read_resources(session, stack)
        }

    def __call__(self, environment: str, address: str, attribute: str = "id") -> Any:
        return self._resources[environment, address][attribute]


def of_the_state_bucket(aws: boto3.Session, known: Known) -> Iterator[Tampering]:
    s3, kms = aws.client("s3"), aws.client("kms")
    bucket = known("backend", "aws_s3_bucket.state_bucket")
    suspended: Any = {"Status": "Suspended"}
    yield Tampering(
        lambda: s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=suspended),
        "backend", "changed", "aws_s3_bucket_versioning.state_versioning", ("versioning_configuration",),
    )  # fmt: skip
    yield Tampering(
        lambda: s3.delete_public_access_block(Bucket=bucket),
        "backend", "deleted", "aws_s3_bucket_public_access_block.state_public-access-block",
    )  # fmt: skip
    yield Tampering(
        lambda: s3.put_bucket_policy(Bucket=bucket, Policy=_POLICY_OF_ANYONE),
        "backend", "changed", "aws_s3_bucket_policy.state_policy", ("policy",),
    )  # fmt: skip
    yield Tampering(
        lambda: kms.disable_key_rotation(KeyId=known("backend", "aws_kms_key.state_key")),
        "backend", "changed", "aws_kms_key.state_key", ("enable_key_rotation",),
    )  # fmt: skip


def of_roles(aws: boto3.Session, known: Known) -> Iterator[Tampering]:
    iam = aws.client("iam")
    role = known("shared", "aws_iam_role.plan_role", "name")
    yield Tampering(
        lambda: iam.put_role_policy(RoleName=role, PolicyName="anything", PolicyDocument=ANYONE),
        "shared", "added", "aws_iam_role.plan_role: inline policy anything",
        undo=lambda _: iam.delete_role_policy(RoleName=role, PolicyName="anything"),
    )  # fmt: skip
    admin = "arn:aws:iam::aws:policy/AdministratorAccess"
    apply = known("shared", "aws_iam_role.apply-dev_role", "name")
    yield Tampering(
        lambda: iam.attach_role_policy(RoleName=apply, PolicyArn=admin),
        "shared", "added", f"aws_iam_role.apply-dev_role: attached policy {admin}",
        undo=lambda _: iam.detach_role_policy(RoleName=apply, PolicyArn=admin),
    )  # fmt: skip
    yield Tampering(
        lambda: iam.detach_role_policy(
            RoleName=apply, PolicyArn=known("shared", "aws_iam_policy.apply-dev_data", "arn")
        ),
        "shared", "deleted", "aws_iam_role_policy_attachment.apply-dev_role_data",
    )  # fmt: skip
    yield Tampering(
        lambda: iam.update_assume_role_policy(
            RoleName=known("shared", "aws_iam_role.push-bubblepool_role", "name"), PolicyDocument=_TRUST
        ),
        "shared", "changed", "aws_iam_role.push-bubblepool_role", ("assume_role_policy",),
    )  # fmt: skip
    yield Tampering(
        lambda: iam.create_policy_version(
            PolicyArn=known("shared", "aws_iam_policy.boundary-dev_policy", "arn"),
            PolicyDocument=ANYONE, SetAsDefault=True,
        ),
        "shared", "changed", "aws_iam_policy.boundary-dev_policy", ("policy",),
    )  # fmt: skip
    yield Tampering(
        lambda: iam.delete_role_policy(
            RoleName=known("dev", "aws_iam_role.controllers_kyverno_role", "name"), PolicyName="kyverno"
        ),
        "dev", "deleted", "aws_iam_role_policy.controllers_kyverno_role_kyverno",
    )  # fmt: skip


def of_the_network(aws: boto3.Session, known: Known) -> Iterator[Tampering]:
    ec2: Any = aws.client("ec2")
    vpc = known("shared", "aws_vpc.vpc")
    anywhere = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    for address in ("aws_security_group.vpc_endpoints", "aws_default_security_group.vpc_default-security-group"):
        group = known("shared", address)
        yield Tampering(
            lambda group=group: ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=anywhere),  # type: ignore[misc]
            "shared", "added", f"{address}: rule ID: ingress tcp 22 from 0.0.0.0/0",
            undo=lambda _, group=group: ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=anywhere),  # type: ignore[misc]
        )  # fmt: skip
    yield Tampering(
        lambda: ec2.revoke_security_group_ingress(
            GroupId=known("shared", "aws_security_group.vpc_endpoints"),
            SecurityGroupRuleIds=[known("shared", "aws_vpc_security_group_ingress_rule.vpc_endpoints-https")],
        ),
        "shared", "deleted", "aws_vpc_security_group_ingress_rule.vpc_endpoints-https",
    )  # fmt: skip
    yield Tampering(
        lambda: ec2.create_security_group(GroupName="jump", Description="jump", VpcId=vpc)["GroupId"],
        "shared", "added", "aws_vpc.vpc: security group ID",
        undo=lambda id_: ec2.delete_security_group(GroupId=id_),
    )  # fmt: skip
    yield Tampering(
        lambda: ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.200.0/24")["Subnet"]["SubnetId"],
        "shared", "added", "aws_vpc.vpc: subnet ID",
        undo=lambda id_: ec2.delete_subnet(SubnetId=id_),
    )  # fmt: skip
    yield Tampering(
        lambda: ec2.create_vpc_endpoint(VpcId=vpc, ServiceName="com.amazonaws.ap-northeast-2.dynamodb")["VpcEndpoint"][
            "VpcEndpointId"
        ],
        "shared", "added", "aws_vpc.vpc: VPC endpoint ID",
        undo=lambda id_: ec2.delete_vpc_endpoints(VpcEndpointIds=[id_]),
    )  # fmt: skip
    yield Tampering(
        lambda: ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"],
        "shared", "added", "aws_vpc.vpc: network ACL ID",
        undo=lambda id_: ec2.delete_network_acl(NetworkAclId=id_),
    )  # fmt: skip
    private = known("shared", "aws_route_table.vpc_private-ap-northeast-2a-routes")
    gateway = known("shared", "aws_internet_gateway.vpc_internet-gateway")
    yield Tampering(
        lambda: ec2.create_route(RouteTableId=private, DestinationCidrBlock="198.51.100.0/24", GatewayId=gateway),
        "shared", "added", "aws_route_table.vpc_private-ap-northeast-2a-routes: route to 198.51.100.0/24",
        undo=lambda _: ec2.delete_route(RouteTableId=private, DestinationCidrBlock="198.51.100.0/24"),
    )  # fmt: skip
    yield Tampering(
        lambda: ec2.delete_route(
            RouteTableId=known("shared", "aws_route_table.vpc_public-routes"), DestinationCidrBlock="0.0.0.0/0"
        ),
        "shared", "deleted", "aws_route.vpc_public-internet",
    )  # fmt: skip
    yield Tampering(
        lambda: ec2.create_tags(
            Resources=[known("shared", "aws_subnet.vpc_public-ap-northeast-2a")],
            Tags=[{"Key": "kubernetes.io/role/elb", "Value": "0"}],
        ),
        "shared", "changed", "aws_subnet.vpc_public-ap-northeast-2a", ("tags", "tags_all"),
    )  # fmt: skip
    yield Tampering(
        lambda: ec2.modify_subnet_attribute(
            SubnetId=known("shared", "aws_subnet.vpc_private-ap-northeast-2b"), MapPublicIpOnLaunch={"Value": True}
        ),
        "shared", "changed", "aws_subnet.vpc_private-ap-northeast-2b", ("map_public_ip_on_launch",),
    )  # fmt: skip


def of_images_names_and_logs(aws: boto3.Session, known: Known) -> Iterator[Tampering]:
    ecr, dns, logs = aws.client("ecr"), aws.client("route53"), aws.client("logs")
    yield Tampering(
        lambda: ecr.set_repository_policy(repositoryName="bubblepool", policyText=_POLICY_OF_ANYONE),
        "shared", "added", "aws_ecr_repository.ecr_repository-bubblepool: repository policy",
        undo=lambda _: ecr.delete_repository_policy(repositoryName="bubblepool"),
    )  # fmt: skip
    yield Tampering(
        lambda: ecr.put_image_tag_mutability(repositoryName="guestbook", imageTagMutability="MUTABLE"),
        "shared", "changed", "aws_ecr_repository.ecr_repository-guestbook", ("image_tag_mutability",),
    )  # fmt: skip
    zone = known("shared", "aws_route53_zone.dns_zone", "zone_id")
    record: Any = {
        "Name": "www.platform.your-domain.com", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "198.51.100.7"}],
    }  # fmt: skip

    def change(action: Any) -> Any:
        changes: Any = [{"Action": action, "ResourceRecordSet": record}]
        return dns.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})

    yield Tampering(
        lambda: change("CREATE"),
        "shared", "added", "aws_route53_zone.dns_zone: record www.platform.your-domain.com A",
        undo=lambda _: change("DELETE"),
    )  # fmt: skip
    yield Tampering(
        lambda: logs.put_retention_policy(
            logGroupName=known("shared", "aws_cloudwatch_log_group.vpc_flow-log_log-group", "name"), retentionInDays=1
        ),
        "shared", "changed", "aws_cloudwatch_log_group.vpc_flow-log_log-group", ("retention_in_days",),
    )  # fmt: skip
    yield Tampering(
        lambda: logs.delete_log_group(
            logGroupName=known("dev", "aws_cloudwatch_log_group.database-bubblepool_upgrade-log-group", "name")
        ),
        "dev", "deleted", "aws_cloudwatch_log_group.database-bubblepool_upgrade-log-group",
    )  # fmt: skip


def of_the_cluster(aws: boto3.Session, known: Known) -> Iterator[Tampering]:
    eks: Any = aws.client("eks")
    ec2: Any = aws.client("ec2")
    yield Tampering(
        lambda: eks.create_access_entry(clusterName=_CLUSTER, principalArn=_STRANGER),
        "dev", "added", f"aws_eks_cluster.cluster: access entry {_STRANGER}",
        undo=lambda _: eks.delete_access_entry(clusterName=_CLUSTER, principalArn=_STRANGER),
    )  # fmt: skip
    plan = known("shared", "aws_iam_role.plan_role", "arn")
    admin = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
    yield Tampering(
        lambda: eks.associate_access_policy(
            clusterName=_CLUSTER, principalArn=plan, policyArn=admin, accessScope={"type": "cluster"}
        ),
        "dev", "added", f"aws_eks_cluster.cluster: access policy AmazonEKSClusterAdminPolicy of {plan}",
        undo=lambda _: eks.disassociate_access_policy(clusterName=_CLUSTER, principalArn=plan, policyArn=admin),
    )  # fmt: skip
    apply = known("shared", "aws_iam_role.apply-dev_role", "arn")
    yield Tampering(
        lambda: eks.disassociate_access_policy(clusterName=_CLUSTER, principalArn=apply, policyArn=admin),
        "dev", "deleted", "aws_eks_access_policy_association.cluster_access-policy-apply",
    )  # fmt: skip
    yield Tampering(
        lambda: eks.create_nodegroup(
            clusterName=_CLUSTER, nodegroupName="miner", nodeRole=_MINER,
            subnets=[known("shared", "aws_subnet.vpc_private-ap-northeast-2a")],
        ),
        "dev", "added", "aws_eks_cluster.cluster: node group miner",
        undo=lambda _: eks.delete_nodegroup(clusterName=_CLUSTER, nodegroupName="miner"),
    )  # fmt: skip
    yield Tampering(
        lambda: eks.create_addon(clusterName=_CLUSTER, addonName="adot"),
        "dev", "added", "aws_eks_cluster.cluster: add-on adot",
        undo=lambda _: eks.delete_addon(clusterName=_CLUSTER, addonName="adot"),
    )  # fmt: skip
    yield Tampering(
        lambda: eks.delete_addon(clusterName=_CLUSTER, addonName="kube-proxy"),
        "dev", "deleted", "aws_eks_addon.node-addons_kube-proxy",
    )  # fmt: skip
    yield Tampering(
        lambda: eks.create_pod_identity_association(
            clusterName=_CLUSTER, namespace="default", serviceAccount="default", roleArn=_STRANGER
        )["association"]["associationId"],
        "dev", "added", f"aws_eks_cluster.cluster: Pod Identity association of default/default with {_STRANGER}",
        undo=lambda id_: eks.delete_pod_identity_association(clusterName=_CLUSTER, associationId=id_),
    )  # fmt: skip
    yield Tampering(
        lambda: eks.update_nodegroup_config(
            clusterName=_CLUSTER,
            nodegroupName=known("dev", "aws_eks_node_group.node-group-main_node-group", "node_group_name"),
            scalingConfig={"minSize": 2, "desiredSize": 5, "maxSize": 50},
        ),
        "dev", "changed", "aws_eks_node_group.node-group-main_node-group", ("scaling_config",),
    )  # fmt: skip
    yield Tampering(
        lambda: eks.update_cluster_config(
            name=_CLUSTER, resourcesVpcConfig={"endpointPublicAccess": True, "publicAccessCidrs": ["0.0.0.0/0"]}
        ),
        "dev", "changed", "aws_eks_cluster.cluster", ("vpc_config",),
    )  # fmt: skip
    (network,) = known("dev", "aws_eks_cluster.cluster", "vpc_config")
    group = network["cluster_security_group_id"]
    anywhere = [{"IpProtocol": "tcp", "FromPort": 0, "ToPort": 65535, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    yield Tampering(
        lambda: ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=anywhere),
        "dev", "added", "aws_eks_cluster.cluster: rule ID: ingress tcp 0-65535 from 0.0.0.0/0",
        undo=lambda _: ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=anywhere),
    )  # fmt: skip


def of_data(aws: boto3.Session, known: Known) -> Iterator[Tampering]:
    rds, secrets, efs = aws.client("rds"), aws.client("secretsmanager"), aws.client("efs")
    database = known("dev", "aws_db_instance.database-bubblepool_instance", "identifier")
    days = known("dev", "aws_db_instance.database-bubblepool_instance", "backup_retention_period")

    def keep(number: int) -> Any:
        return rds.modify_db_instance(
            DBInstanceIdentifier=database, BackupRetentionPeriod=number, ApplyImmediately=True
        )

    yield Tampering(
        lambda: keep(1),
        "dev", "changed", "aws_db_instance.database-bubblepool_instance", ("backup_retention_period",),
        undo=lambda _: keep(days),  # Terraform would take more than a minute
    )  # fmt: skip
    secret = known("dev", "aws_secretsmanager_secret.database-bubblepool_user-secret", "arn")
    yield Tampering(
        lambda: secrets.put_resource_policy(SecretId=secret, ResourcePolicy=_POLICY_OF_ANYONE),
        "dev", "changed", "aws_secretsmanager_secret.database-bubblepool_user-secret", ("policy",),
        undo=lambda _: secrets.delete_resource_policy(SecretId=secret),
    )  # fmt: skip
    yield Tampering(lambda: secrets.put_secret_value(SecretId=secret, SecretString="not checked"))
    yield Tampering(
        lambda: efs.put_file_system_policy(
            FileSystemId=known("dev", "aws_efs_file_system.file-system"), Policy=_POLICY_OF_ANYONE
        ),
        "dev", "changed", "aws_efs_file_system_policy.file-system_policy", ("policy",),
    )  # fmt: skip
    yield Tampering(
        lambda: efs.delete_mount_target(
            MountTargetId=known("dev", "aws_efs_mount_target.file-system_mount-target-ap-northeast-2a")
        ),
        "dev", "deleted", "aws_efs_mount_target.file-system_mount-target-ap-northeast-2a",
    )  # fmt: skip


def of_controllers(aws: boto3.Session, known: Known) -> Iterator[Tampering]:
    """Resources that controllers and AWS create, which must not be reported."""
    ec2: Any = aws.client("ec2")
    eks, dns = aws.client("eks"), aws.client("route53")
    owned: Any = [
        {"ResourceType": "security-group", "Tags": [{"Key": "elbv2.k8s.aws/cluster", "Value": _CLUSTER}]},
    ]
    yield Tampering(
        lambda: ec2.create_security_group(
            GroupName="k8s-traffic", Description="[k8s] Shared Backend SecurityGroup for LoadBalancer",
            VpcId=known("shared", "aws_vpc.vpc"), TagSpecifications=owned,
        )["GroupId"],
        undo=lambda id_: ec2.delete_security_group(GroupId=id_),
    )  # fmt: skip
    (network,) = known("dev", "aws_eks_cluster.cluster", "vpc_config")
    group = network["cluster_security_group_id"]
    signed = {"CidrIp": "10.0.0.0/16", "Description": "elbv2.k8s.aws/targetGroupBinding=shared"}
    permissions = [{"IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080, "IpRanges": [signed]}]
    yield Tampering(
        lambda: ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=permissions),
        undo=lambda _: ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=permissions),
    )
    nodes = known("dev", "aws_iam_role.node-role", "arn")
    yield Tampering(
        lambda: eks.create_access_entry(clusterName=_CLUSTER, principalArn=nodes, type="EC2_LINUX"),
        undo=lambda _: eks.delete_access_entry(clusterName=_CLUSTER, principalArn=nodes),
    )
    zone = known("dev", "aws_route53_zone.dns_zone", "zone_id")
    records: list[Any] = [
        {
            "Name": "shop.dev.platform.your-domain.com", "Type": "A", "TTL": 60,
            "ResourceRecords": [{"Value": "198.51.100.7"}],
        },
        {
            "Name": "a-shop.dev.platform.your-domain.com", "Type": "TXT", "TTL": 60,
            "ResourceRecords": [{"Value": '"heritage=external-dns,external-dns/owner=dev"'}],
        },
    ]  # fmt: skip

    def change(action: Any) -> Any:
        changes: Any = [{"Action": action, "ResourceRecordSet": record} for record in records]
        return dns.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})

    yield Tampering(lambda: change("CREATE"), undo=lambda _: change("DELETE"))


EVERY = (
    of_the_state_bucket, of_roles, of_the_network, of_images_names_and_logs, of_the_cluster, of_data, of_controllers,
)  # fmt: skip
