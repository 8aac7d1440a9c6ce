"""The tags that AWS and the controllers of a cluster set on the resources that they create for it."""

LOAD_BALANCER_CONTROLLER_TAG = "elbv2.k8s.aws/cluster"
"""The tag of the AWS Load Balancer Controller. Its value is the cluster's name.

Source: https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/#resource-tags
"""

EKS_TAG = "eks:eks-cluster-name"
"""The tag of Karpenter and of EKS Auto Mode. Its value is the cluster's name.

Source: https://karpenter.sh/docs/concepts/nodeclasses/, and
https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonEKSComputePolicy.html
"""

SUBNET_TAGS = {"internal": "kubernetes.io/role/internal-elb", "internet-facing": "kubernetes.io/role/elb"}
"""The tags by which subnets of load balancers are found, by the scheme of the load balancer."""

DISCOVERY_TAG = "karpenter.sh/discovery"
"""The tag by which Karpenter finds its subnets, as `management/karpenter` selects them. Its value is the VPC's name."""

_NAMED_BY_VALUE = ("aws:eks:cluster-name", "cluster.k8s.amazonaws.com/name", EKS_TAG, LOAD_BALANCER_CONTROLLER_TAG)


def ownership_tag(cluster_name: str) -> dict[str, str]:
    """The ownership tag of Kubernetes, which Karpenter and the CSI drivers set on resources that the cluster owns."""
    return {f"kubernetes.io/cluster/{cluster_name}": "owned"}


def controller_tags(cluster_name: str) -> dict[str, str]:
    """All controller tags of a cluster. A resource with any of them was created for this cluster."""
    return {**dict.fromkeys(_NAMED_BY_VALUE, cluster_name), **ownership_tag(cluster_name)}
