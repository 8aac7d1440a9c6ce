"""LoadBalancerController: creates AWS load balancers for Ingresses. Releases with an Ingress must depend on it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from constructs import Construct

from eks_gitops.config import Cidr, Config, Problem, matching
from eks_gitops.controller_tags import SUBNET_TAGS
from eks_gitops.in_cluster.helm import HelmRelease
from eks_gitops.location import Location
from eks_gitops.values import RULES_OF_A_SECURITY_GROUP, listed_twice
from eks_gitops.versions import LOAD_BALANCER_CONTROLLER_CHART

NAMESPACE = "kube-system"
SERVICE_ACCOUNT = "aws-load-balancer-controller"
INGRESS_CLASS = "alb"

_REPLICAS = 2
_PORTS = 2  # of each Ingress: HTTP, which redirects, and HTTPS; the controller adds one rule per port and network

Scheme = Literal["internet-facing", "internal"]
"""Where a load balancer is reachable from: the internet, or the VPC and connected networks."""

TlsPolicy = Annotated[
    str,
    matching(
        r"ELBSecurityPolicy-TLS13-("
        r"(1-[013]|1-2(-Res|-Ext1|-Ext2)?)-2021-06|(1-[013]|1-2(-Res|-Ext0|-Ext1|-Ext2)?)-FIPS-2023-04|"
        r"(1-[03]|1-2(-Res|-Ext1|-Ext2)?)-PQ-2025-09|(1-[013]|1-2(-Res|-Ext0|-Ext1|-Ext2)?)-FIPS-PQ-2025-09)",
        "not a TLS 1.3 policy of Elastic Load Balancing; use one such as ELBSecurityPolicy-TLS13-1-2-2021-06",
    ),
]
"""The security policy of HTTPS listeners: one of the policies with TLS 1.3 that Elastic Load Balancing publishes.

Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html, and `SslPolicy`
of aws-cdk-lib.
"""


class IngressClassConfig(Config):
    """The load balancer of an IngressClass: its scheme, the networks that can reach it and its TLS policy."""

    scheme: Scheme
    """Where the load balancer is reachable from: the internet, or the VPC and connected networks. A change replaces the
    load balancer."""
    allowed_cidrs: tuple[Cidr, ...]
    """Networks that can reach the load balancer: each is a rule of its security group for HTTP and one for HTTPS."""
    tls_policy: TlsPolicy = "ELBSecurityPolicy-TLS13-1-2-2021-06"
    """The security policy of the HTTPS listener: TLS versions and ciphers."""

    def problems(self) -> Iterator[Problem]:
        """No network, for which the controller would allow all addresses, duplicate networks or too many."""
        if not self.allowed_cidrs:
            yield Problem("allowed_cidrs", "()", "would allow all addresses; list the networks, or 0.0.0.0/0 for all")
        yield from listed_twice("allowed_cidrs", self.allowed_cidrs, "network")
        most = RULES_OF_A_SECURITY_GROUP // _PORTS
        if len(self.allowed_cidrs) > most:
            message = (
                f"each needs a rule for HTTP and one for HTTPS, and a security group has at most "
                f"{RULES_OF_A_SECURITY_GROUP} rules; list {most} networks or fewer"
            )
            yield Problem("allowed_cidrs", len(self.allowed_cidrs), message)


def ingress_class_params(
    config: IngressClassConfig,
    *,
    group: str | None,
    tags: Mapping[str, str],
    certificate_arns: Sequence[str],
    access_logs_bucket: str | None = None,
    web_acl: str | None = None,
) -> dict[str, Any]:
    """The `spec` of IngressClassParams, which overrides the annotations of all Ingresses of the class.

    With a `group`, all Ingresses of the class share one load balancer. The first certificate is the default one.
    `web_acl` is a name: the controller prefers a name in an annotation, also `none`, to an ARN here.
    Source: `buildWAFv2WebACLAssociation` of the AWS Load Balancer Controller 3.5.0
    """
    logs = {"access_logs.s3.enabled": "true", "access_logs.s3.bucket": access_logs_bucket}
    return {
        **({} if group is None else {"group": {"name": group}}),
        "scheme": config.scheme,
        # The controller would find the subnets by the same tag, but only when it creates the load balancer: targets in
        # a zone that is added later would get no requests.
        "subnets": {"tags": {SUBNET_TAGS[config.scheme]: ["1"]}},
        "inboundCIDRs": [str(cidr) for cidr in config.allowed_cidrs],
        "certificateArn": list(certificate_arns),
        "sslPolicy": config.tls_policy,
        "tags": [{"key": key, "value": value} for key, value in sorted(tags.items())],
        **(
            {"loadBalancerAttributes": [{"key": key, "value": value} for key, value in logs.items()]}
            if access_logs_bucket is not None
            else {}
        ),
        **({} if web_acl is None else {"wafv2AclName": web_acl}),
    }


def ingress_class(
    name: str, params: Mapping[str, Any], *, auto_mode: bool, labels: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """An IngressClass and its IngressClassParams, of the AWS Load Balancer Controller or of EKS Auto Mode.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/auto-configure-alb.html, with the fields that differ.
    """
    group, version, controller = "elbv2.k8s.aws", "v1beta1", "ingress.k8s.aws/alb"
    spec = dict(params)
    if auto_mode:
        group, version, controller = "eks.amazonaws.com", "v1", "eks.amazonaws.com/alb"
        spec["certificateARNs"] = spec.pop("certificateArn")
    return [
        {
            "apiVersion": f"{group}/{version}",
            "kind": "IngressClassParams",
            "metadata": {"name": name, **({} if labels is None else {"labels": dict(labels)})},
            "spec": spec,
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": {"name": name},
            "spec": {
                "controller": controller,
                "parameters": {"apiGroup": group, "kind": "IngressClassParams", "name": name},
            },
        },
    ]


def ingress_group(location: Location) -> str:
    """The group of the Ingresses of all services of a cluster, which share one load balancer."""
    return "-".join(filter(None, (location.region, location.environment, location.cluster)))


class LoadBalancerController(Construct):
    """The AWS Load Balancer Controller, with two replicas in different zones.

    The API server rejects every Ingress until the controller is ready, because its webhook fails closed. `release`
    waits for that.
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
        certificate_arns: Sequence[str],
        role_arn: str | None,
        tags: Mapping[str, str],
        access_logs_bucket: str | None = None,
        web_acl: str | None = None,
        outside_aws: bool = False,
    ) -> None:
        """`role_arn` is the IRSA annotation of the service account; with Pod Identity it is None.

        With `outside_aws`, no replica runs. The CRDs and the IngressClass are installed, and Ingresses are accepted,
        but get no load balancer and no finalizer that would block their deletion.
        """
        super().__init__(scope, id_)
        params = ingress_class_params(
            config,
            group=ingress_group(location),
            tags=tags,
            certificate_arns=certificate_arns,
            access_logs_bucket=access_logs_bucket,
            web_acl=web_acl,
        )
        self.release = HelmRelease(
            self,
            "release",
            LOAD_BALANCER_CONTROLLER_CHART,
            {
                "clusterName": cluster_name,
                # Both are set because Pods cannot read them from the instance metadata (its hop limit is 1).
                "region": location.region,
                "vpcId": vpc_id,
                "serviceAccount": {"create": True, "name": SERVICE_ACCOUNT, "annotations": _irsa(role_arn)},
                "replicaCount": 0 if outside_aws else _REPLICAS,
                "topologySpreadConstraints": [_spread_over_zones()],
                "podDisruptionBudget": {"maxUnavailable": 1},
                "resources": {
                    "requests": {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "64Mi"},
                    "limits": {"memory": "256Mi", "ephemeral-storage": "1Gi"},
                },
                "createIngressClassResource": True,
                "ingressClass": INGRESS_CLASS,
                "ingressClassParams": {"create": True, "name": INGRESS_CLASS, "spec": params},
                "defaultTags": dict(tags),
                "defaultTargetType": "ip",
                "webhookConfig": {"ingressValdationFailurePolicy": "Ignore" if outside_aws else "Fail"},  # [sic]
                # This webhook would reject every Service of the cluster while the controller is not running.
                "enableServiceMutatorWebhook": False,
                # A new certificate on every upgrade would not be loaded by running Pods (upstream issue 2473).
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
