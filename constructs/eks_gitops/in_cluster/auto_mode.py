"""NetworkPolicies: makes EKS Auto Mode enforce network policies, as a setting of the add-on vpc-cni does elsewhere."""

from cdktf_cdktf_provider_kubernetes.config_map_v1 import ConfigMapV1, ConfigMapV1Metadata
from constructs import Construct


class NetworkPolicies(Construct):
    """The ConfigMap that enables the network policy controller of EKS Auto Mode.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/auto-net-pol.html
    """

    def __init__(self, scope: Construct, id_: str) -> None:
        super().__init__(scope, id_)
        ConfigMapV1(
            self,
            "config",
            metadata=ConfigMapV1Metadata(name="amazon-vpc-cni", namespace="kube-system"),
            data={"enable-network-policy-controller": "true"},
        )
