"""ClusterSecret: Argo CD's own cluster, registered with what only Terraform knows. The names are the contract with Git.

ApplicationSets select clusters by the labels and read values from the annotations. A name that is changed here is
changed in `management/` and `service/` in the same commit; `docs/in-cluster.md` lists them.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from cdktf import ITerraformDependable, Precondition, TerraformResourceLifecycle
from cdktf_cdktf_provider_kubernetes.secret_v1 import SecretV1, SecretV1Metadata
from constructs import Construct

_PREFIX = "platform/"
_SERVER = "https://kubernetes.default.svc"
_REFERENCE = re.compile(r"\$\{TfToken\[[^\]]+\]\}")


@dataclass(frozen=True, kw_only=True)
class ClusterLabels:
    """What a cluster is selected by. Values are at most 63 letters, digits, `-`, `_` and `.`."""

    environment: str
    region: str
    karpenter: str
    """`true` where the cluster has Karpenter's AWS side."""


@dataclass(frozen=True, kw_only=True)
class ClusterAnnotations:
    """What is read of a cluster. None of them is secret, and none is empty."""

    account_id: str
    vpc_id: str
    cluster_name: str
    domain: str
    hosted_zone_id: str
    certificate_arn: str
    image_registry: str
    """Host of the ECR registry, without a repository."""
    repository_name: str
    """This repository as GitHub names it, `<owner>/<name>`; its workflow signs the images of services."""
    repository_url: str
    repository_revision: str
    argo_cd_url: str
    secret_prefix: str
    """What the names of this environment's secrets in Secrets Manager begin with."""
    databases: str
    """JSON: database to its `host`, the ARN of its `master_secret` and the name of its `user_secret`; `{}` for none."""
    controller_roles: str
    """JSON: controller to the ARN of its role."""
    irsa_roles: str
    """JSON: the same, of those controllers alone whose service account must name its role."""
    file_system_id: str
    """`none` where the environment has no file system."""
    karpenter_queue: str
    """Name of Karpenter's interruption queue, `none` without Karpenter."""
    karpenter_instance_profile: str
    """Name of the instance profile of Karpenter's nodes, `none` without Karpenter."""


def label_key(field: str) -> str:
    """The key of a label or annotation: `platform/vpc-id` for `vpc_id`."""
    return f"{_PREFIX}{field.replace('_', '-')}"


class ClusterSecret(Construct):
    """The Secret by which Argo CD knows the cluster that it runs in."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        labels: ClusterLabels,
        annotations: ClusterAnnotations,
        *,
        namespace: str,
        depends_on: Sequence[ITerraformDependable],
    ) -> None:
        super().__init__(scope, id_)
        values = asdict(annotations)
        self.resource = SecretV1(
            self,
            "secret",
            metadata=SecretV1Metadata(
                name="in-cluster",
                namespace=namespace,
                labels={
                    "argocd.argoproj.io/secret-type": "cluster",
                    **{label_key(field): value for field, value in asdict(labels).items()},
                },
                annotations={label_key(field): value for field, value in values.items()},
            ),
            data={
                "name": "in-cluster",
                "server": _SERVER,
                "config": json.dumps({"tlsClientConfig": {"insecure": False}}),
            },
            lifecycle=TerraformResourceLifecycle(
                precondition=[rule for field, value in values.items() for rule in _is_not_empty(field, value)]
            ),
            depends_on=list(depends_on),
        )


def _is_not_empty(field: str, value: str) -> Iterator[Precondition]:
    """Refused while planning, and without a reference at once: an ApplicationSet would render it without a word.

    Terraform takes no condition without a reference. Each is compared by itself: between the quotes of a string CDKTF
    would drop their braces, and Terraform compare their names.
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
