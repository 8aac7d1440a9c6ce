"""ClusterSecret: the Secret that registers a cluster in an Argo CD, with values that only Terraform knows.

ApplicationSets select clusters by the labels and read values from the annotations. The keys are the interface between
Terraform and Git: if you change one here, change it in `management/` and `service/` in the same commit.
`docs/in-cluster.md` lists them.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from cdktf import ITerraformDependable, Precondition, TerraformResourceLifecycle
from cdktf_cdktf_provider_kubernetes.secret_v1 import SecretV1, SecretV1Metadata
from constructs import Construct

_PREFIX = "platform/"
_REFERENCE = re.compile(r"\$\{TfToken\[[^\]]+\]\}")


@dataclass(frozen=True, kw_only=True)
class ClusterLabels:
    """Labels that ApplicationSets select a cluster by. A value has at most 63 letters, digits, `-`, `_` and `.`."""

    environment: str
    region: str
    purpose: str
    """`production` or `development`: by it a component chooses values such as the number of replicas."""
    policies: str
    """`enforce` or `audit`: whether violations of the policies are rejected, or only reported."""
    karpenter: str
    """`true` if Karpenter's AWS resources exist for the cluster, else `false`."""
    container_logs: str | None = None
    """`true` if the cluster has a log group for its containers; otherwise, there is no such label."""
    hub: str | None = None
    """The environment whose Argo CD deploys to the cluster; without the label, the cluster has its own."""


@dataclass(frozen=True, kw_only=True)
class ClusterAnnotations:
    """Annotations that ApplicationSets read. No value is secret or empty."""

    account_id: str
    vpc_id: str
    vpc_cidr: str
    """The first network of the VPC."""
    vpc_peers: str
    """JSON: all networks of the VPC, where load balancers and databases are, as peers of a NetworkPolicy."""
    vpc_name: str
    """The value of the tag `karpenter.sh/discovery` of the private subnets."""
    cluster_name: str
    domain: str
    hosted_zone_id: str
    certificate_arn: str
    image_registry: str
    """Host name of the ECR registry, without a repository."""
    repository_name: str
    """This repository on GitHub, `<owner>/<name>`. Its workflow signs the images of services."""
    repository_url: str
    repository_revision: str
    argo_cd_url: str
    secret_prefix: str
    """Prefix of the names of this environment's secrets in Secrets Manager."""
    databases: str
    """JSON: for each database, `host`, the ARN of `master_secret`, the name of `user_secret`, and `engine` if it is not
    `postgres`; `{}` if none."""
    controller_roles: str
    """JSON: the role ARN of each controller."""
    irsa_roles: str
    """JSON: the same, only for controllers whose service account must be annotated with the role."""
    file_system_id: str
    """`none` if the environment has no file system."""
    karpenter_queue: str
    """Name of Karpenter's interruption queue; `none` without Karpenter."""
    karpenter_instance_profile: str
    """Name of the instance profile of Karpenter's nodes; `none` without Karpenter."""
    karpenter_limits: str
    """JSON: the limits of Karpenter's NodePool; `none` without Karpenter."""
    karpenter_architectures: str
    """JSON: the architectures of Karpenter's NodePool; `none` without Karpenter."""
    karpenter_capacity_types: str
    """JSON: the capacity types of Karpenter's NodePool; `none` without Karpenter."""
    tags: str
    """JSON: the tags of all AWS resources of the environment."""
    zonal_shift: str
    """`true` if the cluster is registered for zonal shifts, else `false`."""
    dns_weight: str | None = None
    """The weight of this cluster's DNS records, 0 to 255; with None, there is no such annotation."""
    further_cluster: str | None = None
    """The name of a further cluster within its environment; with None, there is no such annotation."""
    container_log_group: str | None = None
    """The log group of the cluster's containers; with None, there is no such annotation."""


def label_key(field: str) -> str:
    """The key of a label or annotation, such as `platform/vpc-id` for `vpc_id`."""
    return f"{_PREFIX}{field.replace('_', '-')}"


class RegisteredCluster(NamedTuple):
    """How Argo CD reaches a cluster: the name of its Secret, and what is in it.

    Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/#clusters
    """

    secret: str
    name: str
    """What AppProjects may name in their destinations, in place of `server`."""
    server: str
    config: Mapping[str, Any]


OWN_CLUSTER = RegisteredCluster(
    "in-cluster", "in-cluster", "https://kubernetes.default.svc", {"tlsClientConfig": {"insecure": False}}
)


def eks_cluster(name: str, *, cluster_name: str, endpoint: str, certificate_authority: str) -> RegisteredCluster:
    """An EKS cluster other than that of Argo CD, whose Pods have a role with an access entry in it.

    Argo CD signs its tokens with the role of its Pods, so there is neither a token nor a role to assume here.
    `certificate_authority` is base64-encoded.
    Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/#eks
    """
    return RegisteredCluster(
        secret=f"cluster-{name}",
        name=name,
        server=endpoint,
        config={
            "awsAuthConfig": {"clusterName": cluster_name},
            "tlsClientConfig": {"insecure": False, "caData": certificate_authority},
        },
    )


class ClusterSecret(Construct):
    """The Secret that registers `cluster`, by default the one that Argo CD runs in."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        labels: ClusterLabels,
        annotations: ClusterAnnotations,
        *,
        namespace: str,
        depends_on: Sequence[ITerraformDependable],
        cluster: RegisteredCluster = OWN_CLUSTER,
    ) -> None:
        super().__init__(scope, id_)
        values = {field: value for field, value in asdict(annotations).items() if value is not None}
        self.resource = SecretV1(
            self,
            "secret",
            metadata=SecretV1Metadata(
                name=cluster.secret,
                namespace=namespace,
                labels={
                    "argocd.argoproj.io/secret-type": "cluster",
                    **{label_key(field): value for field, value in asdict(labels).items() if value is not None},
                },
                annotations={label_key(field): value for field, value in values.items()},
            ),
            data={
                "name": cluster.name,
                "server": cluster.server,
                "config": json.dumps(cluster.config),
            },
            lifecycle=TerraformResourceLifecycle(
                precondition=[rule for field, value in values.items() for rule in _is_not_empty(field, value)]
            ),
            depends_on=list(depends_on),
        )


def _is_not_empty(field: str, value: str) -> Iterator[Precondition]:
    """A precondition that fails the plan if `value` is empty, because an ApplicationSet would render it silently.

    Terraform rejects a condition without a reference. Each reference is compared separately, because CDKTF drops the
    braces of references inside a quoted string, and Terraform would compare their names instead of their values.

    Raises:
        ValueError: if `value` is empty and has no references.
    """
    message = f"{label_key(field)} of the cluster secret is empty"
    if not value:
        raise ValueError(message)
    references = _REFERENCE.findall(value)
    if references:
        filled = " && ".join(f'{reference} != ""' for reference in references)
        yield Precondition(
            condition=f"${{{filled}}}", error_message=f"{message}; deploy the stack that it comes from first"
        )
