"""Karpenter: the roles of its controller and of its nodes, and its interruption queue."""

import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from cdktf_cdktf_provider_aws.cloudwatch_event_rule import CloudwatchEventRule
from cdktf_cdktf_provider_aws.cloudwatch_event_target import CloudwatchEventTarget
from cdktf_cdktf_provider_aws.eks_access_entry import EksAccessEntry
from cdktf_cdktf_provider_aws.iam_instance_profile import IamInstanceProfile
from cdktf_cdktf_provider_aws.sqs_queue import SqsQueue
from cdktf_cdktf_provider_aws.sqs_queue_policy import SqsQueuePolicy
from constructs import Construct
from pydantic import Field

from eks_gitops.cluster import Cluster
from eks_gitops.config import MAX_INTEGER, Config, Count, Problem
from eks_gitops.context import Context
from eks_gitops.controller_tags import EKS_TAG, ownership_tag
from eks_gitops.iam import Statement, policy_document
from eks_gitops.location import Location
from eks_gitops.node_group import NodeRole
from eks_gitops.values import listed_twice
from eks_gitops.workload_identity import ServiceAccount, WorkloadIdentity, WorkloadRole

_INTERRUPTIONS = {
    "scheduled-change": ("aws.health", "AWS Health Event"),
    "spot-interruption": ("aws.ec2", "EC2 Spot Instance Interruption Warning"),
    "rebalance": ("aws.ec2", "EC2 Instance Rebalance Recommendation"),
    "state-change": ("aws.ec2", "EC2 Instance State-change Notification"),
}
_QUEUE_SECONDS = 300


Architecture = Literal["amd64", "arm64"]
"""The architecture of nodes, as in the label `kubernetes.io/arch`."""

CapacityType = Literal["on-demand", "spot"]
"""The purchase option of nodes, as in the label `karpenter.sh/capacity-type`. With several, Karpenter prefers spot.

Source: https://karpenter.sh/docs/concepts/nodepools/#capacity-type
"""


class KarpenterConfig(Config):
    """Karpenter for a cluster. Its NodePool and EC2NodeClass are deployed from Git, with these values."""

    max_nodes: Count
    """The most nodes of the NodePool. The subnets must have enough addresses for them. Nodes above a lower limit
    remain."""
    max_vcpus: Annotated[int, Field(strict=True, ge=2, le=MAX_INTEGER)] | None = None
    """The most vCPUs of all nodes of the NodePool together; with None, only `max_nodes` limits it. Its smallest
    instances have 2."""
    architectures: tuple[Architecture, ...] = ("amd64",)
    """The architectures of the nodes. With `arm64`, the images of all Pods need a variant for it. Nodes of an
    architecture that is removed are replaced gradually."""
    capacity_types: tuple[CapacityType, ...] = ("on-demand",)
    """How the nodes are bought. AWS can reclaim `spot` nodes within two minutes. Nodes of a type that is removed are
    replaced gradually."""
    identity: WorkloadIdentity = "pod-identity"
    """How Karpenter gets its IAM role. With `irsa`, Argo CD sets it in the annotation of the service account."""

    def problems(self) -> Iterator[Problem]:
        """No architecture or capacity type, or a duplicate one."""
        for field, what in (("architectures", "architecture"), ("capacity_types", "capacity type")):
            if not getattr(self, field):
                yield Problem(field, "()", f"Karpenter could start no node; list at least one {what}")
            yield from listed_twice(field, getattr(self, field), what)

    @property
    def limits(self) -> dict[str, int]:
        """The `limits` of the NodePool.

        Source: https://karpenter.sh/docs/concepts/nodepools/#speclimits, and `resources.Node` of
        sigs.k8s.io/karpenter v1.14.0.
        """
        return {"nodes": self.max_nodes, **({} if self.max_vcpus is None else {"cpu": self.max_vcpus})}


class Karpenter(Construct):
    """The AWS resources of Karpenter. Its EC2NodeClass uses `instance_profile`, so it creates no IAM resources."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        config: KarpenterConfig,
        *,
        context: Context,
        cluster: Cluster,
        cluster_name: str,
    ) -> None:
        super().__init__(scope, id_)
        location = context.location
        nodes = NodeRole(self, "node-role", context=context, name="karpenter-node")
        # EKS creates the access entry for the role of a managed node group, but not for this role.
        EksAccessEntry(self, "node-access", cluster_name=cluster.name, principal_arn=nodes.arn, type="EC2_LINUX")
        self.instance_profile: str = IamInstanceProfile(
            self,
            "instance-profile",
            name=location.name("karpenter-node"),
            path=location.iam_path,
            role=nodes.name,
        ).name
        queue = self._interruption_queue(location)
        self.queue_name: str = queue.name
        role = WorkloadRole(
            self,
            "role",
            config.identity,
            ServiceAccount(namespace="kube-system", name="karpenter"),
            context=context,
            name="karpenter",
            cluster=cluster,
            policies={
                "nodes": policy_document(*_launch(location, cluster_name), *_look_up(location, cluster.arn)),
                "queue-and-profile": policy_document(
                    *_use(location, queue.arn, nodes.arn), *_start_spot(location, config.capacity_types)
                ),
            },
        )
        self.role_arn: str = role.arn

    def _interruption_queue(self, location: Location) -> SqsQueue:
        queue = SqsQueue(
            self,
            "queue",
            name=location.name("karpenter"),
            message_retention_seconds=_QUEUE_SECONDS,
            sqs_managed_sse_enabled=True,
        )
        rules = []
        for name, (source, detail_type) in _INTERRUPTIONS.items():
            rule = CloudwatchEventRule(
                self,
                f"{name}-rule",
                name=location.name(f"karpenter-{name}"),
                description=f"{detail_type}, for Karpenter",
                event_pattern=json.dumps({"source": [source], "detail-type": [detail_type]}, sort_keys=True),
            )
            CloudwatchEventTarget(self, f"{name}-target", rule=rule.name, arn=queue.arn, target_id="queue")
            rules.append(rule.arn)
        SqsQueuePolicy(
            self,
            "queue-policy",
            queue_url=queue.url,
            policy=policy_document(
                Statement(
                    actions=["sqs:SendMessage"],
                    resources=[queue.arn],
                    principals={"Service": ["events.amazonaws.com"]},
                    conditions={"ArnEquals": {"aws:SourceArn": rules}},
                )
            ),
        )
        return queue


def _launch(location: Location, cluster: str) -> list[Statement]:
    """Launch, tag and terminate instances of this cluster, identified by their tags.

    Unlike those of the source, nodes can be put only into the security group of this cluster.
    Source: https://karpenter.sh/docs/reference/cloudformation/
    """
    owned = {f"aws:ResourceTag/{tag}": value for tag, value in ownership_tag(cluster).items()}
    requested = {f"aws:RequestTag/{tag}": value for tag, value in ownership_tag(cluster).items()}
    inputs = ("capacity-reservation", "subnet")
    kinds = ("fleet", "instance", "launch-template", "network-interface", "spot-instances-request", "volume")
    created = [location.arn("ec2", f"{kind}/*") for kind in kinds]
    return [
        Statement(
            sid="LaunchFrom",
            actions=["ec2:CreateFleet", "ec2:RunInstances"],
            resources=[
                *[location.arn("ec2", f"{kind}/*") for kind in inputs],
                *[location.arn("ec2", f"{kind}/*", account_id="") for kind in ("image", "snapshot")],
            ],
        ),
        Statement(
            sid="LaunchInto",  # the security group that EKS creates for this cluster, as EC2NodeClass selects it
            actions=["ec2:RunInstances"],
            resources=[location.arn("ec2", "security-group/*")],
            conditions={"StringEquals": {"aws:ResourceTag/aws:eks:cluster-name": cluster}},
        ),
        Statement(
            sid="LaunchFromOwnTemplate",
            actions=["ec2:CreateFleet", "ec2:RunInstances"],
            resources=[location.arn("ec2", "launch-template/*")],
            conditions={"StringEquals": owned, "StringLike": {"aws:ResourceTag/karpenter.sh/nodepool": "*"}},
        ),
        Statement(
            sid="LaunchTagged",
            actions=["ec2:CreateFleet", "ec2:CreateLaunchTemplate", "ec2:RunInstances"],
            resources=created,
            conditions={"StringEquals": requested, "StringLike": {"aws:RequestTag/karpenter.sh/nodepool": "*"}},
        ),
        Statement(
            sid="TagWhatIsLaunched",
            actions=["ec2:CreateTags"],
            resources=created,
            conditions={
                "StringEquals": {
                    **requested,
                    "ec2:CreateAction": ["CreateFleet", "CreateLaunchTemplate", "RunInstances"],
                },
            },
        ),
        Statement(
            sid="TagOwnInstances",
            actions=["ec2:CreateTags"],
            resources=[location.arn("ec2", "instance/*")],
            conditions={
                "StringEquals": owned,
                "ForAllValues:StringEquals": {"aws:TagKeys": ["Name", EKS_TAG, "karpenter.sh/nodeclaim"]},
            },
        ),
        Statement(
            sid="EndOwn",
            actions=["ec2:DeleteLaunchTemplate", "ec2:TerminateInstances"],
            resources=[location.arn("ec2", f"{kind}/*") for kind in ("instance", "launch-template")],
            conditions={"StringEquals": owned},
        ),
    ]


def _look_up(location: Location, cluster_arn: str) -> list[Statement]:
    return [
        Statement(
            sid="LookUp", actions=["ec2:Describe*", "iam:ListInstanceProfiles", "pricing:GetProducts"], resources=["*"]
        ),
        Statement(
            sid="LookUpImages",
            actions=["ssm:GetParameter"],
            resources=[location.arn("ssm", "parameter/aws/service/*", account_id="")],
        ),
        Statement(sid="LookUpCluster", actions=["eks:DescribeCluster"], resources=[cluster_arn]),
        Statement(
            sid="LookUpZonalShifts",
            actions=["arc-zonal-shift:GetManagedResource"],
            resources=["*"],
            conditions={"StringEquals": {"arc-zonal-shift:ResourceIdentifier": cluster_arn}},
        ),
    ]


def _use(location: Location, queue_arn: str, node_role_arn: str) -> list[Statement]:
    return [
        Statement(
            actions=["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"],
            resources=[queue_arn],
        ),
        Statement(
            actions=["iam:PassRole"],
            resources=[node_role_arn],
            conditions={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
        ),
        Statement(
            actions=["iam:GetInstanceProfile"],
            resources=[location.arn("iam", f"instance-profile{location.iam_path}*")],
        ),
    ]


def _start_spot(location: Location, capacity_types: Sequence[CapacityType]) -> list[Statement]:
    """Let the first spot instance of the account create the service-linked role of EC2 Spot.

    Source: https://karpenter.sh/docs/troubleshooting/#missing-service-linked-role, and AmazonEKSComputePolicy of AWS,
    which has the same statement.
    """
    if "spot" not in capacity_types:
        return []
    service = "spot.amazonaws.com"
    return [
        Statement(
            actions=["iam:CreateServiceLinkedRole"],
            resources=[location.arn("iam", f"role/aws-service-role/{service}/AWSServiceRoleForEC2Spot")],
            conditions={"StringEquals": {"iam:AWSServiceName": service}},
        )
    ]
