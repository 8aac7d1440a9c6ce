"""The tags by which AWS and the controllers of a cluster mark the resources that they make for it."""

LOAD_BALANCER_CONTROLLER_TAG = "elbv2.k8s.aws/cluster"
"""The AWS Load Balancer Controller's, with the cluster's name.

Source: https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/#resource-tags
"""

EKS_TAG = "eks:eks-cluster-name"
"""Karpenter's, as Amazon EKS names the cluster of an instance. Source: https://karpenter.sh/docs/concepts/nodeclasses/"""

_NAMED_BY_VALUE = ("aws:eks:cluster-name", "cluster.k8s.amazonaws.com/name", EKS_TAG, LOAD_BALANCER_CONTROLLER_TAG)


def ownership_tag(cluster_name: str) -> dict[str, str]:
    """The tag of Kubernetes itself, which Karpenter and the CSI drivers set: this cluster owns the resource."""
    return {f"kubernetes.io/cluster/{cluster_name}": "owned"}


def controller_tags(cluster_name: str) -> dict[str, str]:
    """Every such tag of a cluster; a resource that carries one of them was made for it."""
    return {**dict.fromkeys(_NAMED_BY_VALUE, cluster_name), **ownership_tag(cluster_name)}
