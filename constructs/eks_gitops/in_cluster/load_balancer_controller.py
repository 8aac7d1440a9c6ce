"""LoadBalancerController: makes AWS load balancers of Ingresses. Every release that brings one comes after it."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from constructs import Construct

from eks_gitops.config import Cidr, Config, Problem, matching
from eks_gitops.in_cluster.helm import HelmRelease
from eks_gitops.location import Location
from eks_gitops.versions import LOAD_BALANCER_CONTROLLER_CHART

NAMESPACE = "kube-system"
SERVICE_ACCOUNT = "aws-load-balancer-controller"
INGRESS_CLASS = "alb"

_REPLICAS = 2

Scheme = Literal["internet-facing", "internal"]
"""Where a load balancer is reached from: the internet, or the VPC and what is connected to it."""

TlsPolicy = Annotated[
    str,
    matching(
        r"ELBSecurityPolicy-TLS13-[A-Za-z0-9-]+", "not a TLS 1.3 policy, such as ELBSecurityPolicy-TLS13-1-2-2021-06"
    ),
]
"""The security policy of HTTPS listeners."""


class IngressClassConfig(Config):
    """The load balancer that the services of a cluster share: one for all Ingresses of the class `alb`."""

    scheme: Scheme
    allowed_cidrs: tuple[Cidr, ...]
    tls_policy: TlsPolicy = "ELBSecurityPolicy-TLS13-1-2-2021-06"

    def problems(self) -> Iterator[Problem]:
        """No network: the controller then takes the Ingress's own, or the whole world."""
        if not self.allowed_cidrs:
            yield Problem("allowed_cidrs", "()", "would be open to the world; name the networks, or 0.0.0.0/0 for all")


def ingress_class_params(
    config: IngressClassConfig, *, group: str | None, tags: Mapping[str, str], certificate_arn: str
) -> dict[str, Any]:
    """The `spec` of IngressClassParams: what no Ingress of the class can choose otherwise.

    With a `group` all Ingresses of the class share one load balancer.
    """
    return {
        **({} if group is None else {"group": {"name": group}}),
        "scheme": config.scheme,
        "inboundCIDRs": [str(cidr) for cidr in config.allowed_cidrs],
        "certificateArn": [certificate_arn],
        "sslPolicy": config.tls_policy,
        "tags": [{"key": key, "value": value} for key, value in sorted(tags.items())],
    }


class LoadBalancerController(Construct):
    """The AWS Load Balancer Controller, two of it in different zones.

    Until it answers, the cluster refuses every Ingress, because its webhook fails closed. `release` is what waits.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        config: IngressClassConfig,
        *,
        location: Location,
        cluster_name: str,
        vpc_id: str,
        certificate_arn: str,
        role_arn: str | None,
        tags: Mapping[str, str],
        outside_aws: bool = False,
    ) -> None:
        """`role_arn` annotates the service account for IRSA; with Pod Identity it is None.

        In a cluster `outside_aws` no replica runs: kinds and classes are there, Ingresses are taken, and none waits
        for a load balancer, nor for somebody to take its finalizer away.
        """
        super().__init__(scope, id_)
        params = ingress_class_params(
            config, group=f"{location.region}-{location.environment}", tags=tags, certificate_arn=certificate_arn
        )
        self.release = HelmRelease(
            self,
            "release",
            LOAD_BALANCER_CONTROLLER_CHART,
            {
                "clusterName": cluster_name,
                # Both named: pods cannot ask the instance's metadata, whose answers end on the node.
                "region": location.region,
                "vpcId": vpc_id,
                "serviceAccount": {"create": True, "name": SERVICE_ACCOUNT, "annotations": _irsa(role_arn)},
                "replicaCount": 0 if outside_aws else _REPLICAS,
                "topologySpreadConstraints": [_spread_over_zones()],
                "podDisruptionBudget": {"maxUnavailable": 1},
                "resources": {
                    "requests": {"cpu": "100m", "memory": "128Mi"},
                    "limits": {"memory": "256Mi"},
                },
                "createIngressClassResource": True,
                "ingressClass": INGRESS_CLASS,
                "ingressClassParams": {"create": True, "name": INGRESS_CLASS, "spec": params},
                "defaultTags": dict(tags),
                "defaultTargetType": "ip",
                "webhookConfig": {"ingressValdationFailurePolicy": "Ignore" if outside_aws else "Fail"},  # spelt so
                # Its webhook would refuse every Service of the cluster while the controller is away.
                "enableServiceMutatorWebhook": False,
                # A new certificate at every upgrade would not reach the pods that run (upstream issue 2473).
                "keepTLSSecret": True,
            },
            namespace=NAMESPACE,
        )


def _irsa(role_arn: str | None) -> dict[str, str]:
    return {} if role_arn is None else {"eks.amazonaws.com/role-arn": role_arn}


def _spread_over_zones() -> dict[str, Any]:
    return {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"app.kubernetes.io/name": LOAD_BALANCER_CONTROLLER_CHART.name}},
    }
