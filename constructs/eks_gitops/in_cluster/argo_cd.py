"""ArgoCd: the GitOps controller of a cluster. What it may do (RBAC) and whom it tells (notifications) belong to Git."""

from collections.abc import Mapping

from cdktf import TerraformStack
from cdktf_cdktf_provider_kubernetes.namespace_v1 import NamespaceV1, NamespaceV1Metadata
from cdktf_cdktf_provider_kubernetes.secret_v1 import SecretV1, SecretV1Metadata
from constructs import Construct

from eks_gitops.in_cluster import argo_cd_values
from eks_gitops.in_cluster.argo_cd_config import ArgoCdConfig
from eks_gitops.in_cluster.helm import HelmRelease
from eks_gitops.in_cluster.load_balancer_controller import LoadBalancerController
from eks_gitops.versions import ARGO_CD_CHARTS

NAMESPACE = "argocd"

_REDIS_PASSWORD_LENGTH = 48
_REDIS_PASSWORD_REVISION = 1


class ArgoCd(Construct):
    """Argo CD in a namespace that admits only restricted pods. `release` is what its applications wait for.

    The Redis password is made while Terraform runs and written where no state sees it.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        config: ArgoCdConfig,
        *,
        certificate_arn: str,
        tags: Mapping[str, str],
        load_balancer_controller: LoadBalancerController,
    ) -> None:
        super().__init__(scope, id_)
        namespace = NamespaceV1(
            self,
            "namespace",
            metadata=NamespaceV1Metadata(
                name=NAMESPACE,
                labels={
                    "pod-security.kubernetes.io/enforce": "restricted",
                    "pod-security.kubernetes.io/warn": "restricted",
                },
            ),
        )
        self.namespace: str = namespace.metadata.name
        redis = self._redis_password()
        self.release = HelmRelease(
            self,
            "release",
            ARGO_CD_CHARTS[config.chart_version],
            argo_cd_values.values(config, certificate_arn=certificate_arn, tags=tags),
            namespace=self.namespace,
            name=NAMESPACE,  # the chart then names its objects as Argo CD's own documentation does: argocd-server
            timeout_seconds=900,
            depends_on=[load_balancer_controller.release.resource, redis],
        )

    def _redis_password(self) -> SecretV1:
        name = "argo_cd_redis"
        TerraformStack.of(self).add_override(
            f"ephemeral.aws_secretsmanager_random_password.{name}",
            {"password_length": _REDIS_PASSWORD_LENGTH, "exclude_punctuation": True},
        )
        return SecretV1(
            self,
            "redis",
            metadata=SecretV1Metadata(name="argocd-redis", namespace=self.namespace),
            data_wo={"auth": f"${{ephemeral.aws_secretsmanager_random_password.{name}.random_password}}"},
            data_wo_revision=_REDIS_PASSWORD_REVISION,
        )
