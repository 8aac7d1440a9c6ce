"""EKS Auto Mode: AWS runs the nodes of a cluster, their network, its load balancers and its volumes.

Source: https://docs.aws.amazon.com/eks/latest/userguide/automode.html
"""

from collections.abc import Iterator
from typing import Literal

from constructs import Construct

from eks_gitops.config import Config, Problem
from eks_gitops.context import Context
from eks_gitops.controller_tags import EKS_TAG
from eks_gitops.iam import Role, Statement, policy_document, service_trust
from eks_gitops.location import Location
from eks_gitops.values import listed_twice

BuiltInNodePool = Literal["general-purpose", "system"]
"""The NodePools that EKS creates: both have on-demand instances of the categories c, m and r; `system` also has ARM
instances, and a taint that only critical add-ons tolerate.

Source: https://docs.aws.amazon.com/eks/latest/userguide/set-builtin-node-pools.html
"""

CLUSTER_POLICIES = (
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSClusterPolicy",
    "AmazonEKSComputePolicy",
    "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingPolicy",
)
"""The managed policies of the cluster's role.

Source: https://docs.aws.amazon.com/eks/latest/userguide/auto-cluster-iam-role.html
"""

REPLACED_ADDONS = (
    "aws-ebs-csi-driver",
    "coredns",
    "eks-node-monitoring-agent",
    "eks-pod-identity-agent",
    "kube-proxy",
    "vpc-cni",
)
"""The add-ons of the platform that are part of EKS Auto Mode, which updates them."""


class AutoModeConfig(Config):
    """EKS Auto Mode, in place of node groups, Karpenter, the AWS Load Balancer Controller and most add-ons.

    AWS adds a fee to the price of each instance, replaces every node within 21 days, and limits no number of nodes.
    """

    node_pools: tuple[BuiltInNodePool, ...] = ("general-purpose", "system")
    """The NodePools that EKS creates. Nodes of a removed one are drained."""

    def problems(self) -> Iterator[Problem]:
        """No NodePool for Pods without tolerations, or a duplicate one."""
        if "general-purpose" not in self.node_pools:
            message = "Argo CD and the services run on general-purpose; add it"
            yield Problem("node_pools", self.node_pools, message)
        yield from listed_twice("node_pools", self.node_pools, "NodePool")


class AutoModeNodeRole(Construct):
    """The IAM role of the nodes that EKS starts. EKS itself creates its instance profile and its access entry.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/auto-create-node-role.html
    """

    def __init__(self, scope: Construct, id_: str, *, context: Context) -> None:
        super().__init__(scope, id_)
        role = Role(
            self,
            "role",
            location=context.location,
            name="auto-mode-node",
            description="Nodes of EKS Auto Mode: join the cluster and pull images",
            trust=[service_trust("ec2.amazonaws.com")],
            permissions_boundary=context.permissions_boundary,
            managed_policies=["AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodeMinimalPolicy"],
        )
        self.arn: str = role.arn
        self.permissions = role.permissions


def tagging_policy(location: Location, cluster: str) -> str:
    """Let EKS Auto Mode set the tags of StorageClasses and IngressClasses, which its managed policies do not permit.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/auto-cluster-iam-role.html#tag-prop, which compares the tag
    with that of the principal, whose value is the cluster's name.
    """
    requested = {"StringEquals": {f"aws:RequestTag/{EKS_TAG}": cluster}}
    return policy_document(
        Statement(
            sid="Volumes",
            actions=["ec2:CreateSnapshot", "ec2:CreateVolume"],
            resources=[
                location.arn("ec2", "volume/*"),
                location.arn("ec2", "snapshot/*", account_id="*"),
            ],
            conditions=requested,
        ),
        Statement(
            sid="LoadBalancers",
            actions=[
                "ec2:CreateSecurityGroup",
                "elasticloadbalancing:CreateListener",
                "elasticloadbalancing:CreateLoadBalancer",
                "elasticloadbalancing:CreateRule",
                "elasticloadbalancing:CreateTargetGroup",
            ],
            resources=["*"],
            conditions=requested,
        ),
    )
