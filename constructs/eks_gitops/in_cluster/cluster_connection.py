"""ClusterConnection: how Terraform connects to a cluster, with the caller's AWS credentials or a kubeconfig."""

from dataclasses import dataclass

from cdktf import Fn, TerraformStack
from cdktf_cdktf_provider_helm.provider import HelmProvider, HelmProviderKubernetes, HelmProviderKubernetesExec
from cdktf_cdktf_provider_kubernetes.provider import KubernetesProvider, KubernetesProviderExec

_API_VERSION = "client.authentication.k8s.io/v1"


@dataclass(frozen=True, kw_only=True)
class ClusterConnection:
    """Connection to an EKS cluster or, with `kubeconfig`, to the cluster of that file's current context.

    It contains no token, key or password. `aws eks get-token` creates a token for the caller of Terraform, and the
    cluster's access entries determine its permissions. `certificate_authority` is base64-encoded.
    """

    cluster_name: str
    region: str
    endpoint: str
    certificate_authority: str
    kubeconfig: str | None = None

    def add_providers(self, stack: TerraformStack) -> None:
        """Add the Kubernetes and Helm providers to `stack`."""
        if self.kubeconfig is not None:
            KubernetesProvider(stack, "kubernetes", config_path=self.kubeconfig)
            HelmProvider(stack, "helm", kubernetes=HelmProviderKubernetes(config_path=self.kubeconfig))
            return
        arguments = [
            "eks",
            "get-token",
            "--cluster-name",
            self.cluster_name,
            "--region",
            self.region,
            "--output",
            "json",
        ]
        authority = Fn.base64decode(self.certificate_authority)
        KubernetesProvider(
            stack,
            "kubernetes",
            host=self.endpoint,
            cluster_ca_certificate=authority,
            exec=[KubernetesProviderExec(api_version=_API_VERSION, command="aws", args=arguments)],
        )
        HelmProvider(
            stack,
            "helm",
            kubernetes=HelmProviderKubernetes(
                host=self.endpoint,
                cluster_ca_certificate=authority,
                exec=HelmProviderKubernetesExec(api_version=_API_VERSION, command="aws", args=arguments),
            ),
        )

    @property
    def shell_input(self) -> dict[str, str]:
        """The values that `shell_kubectl` reads, to be set as `input` of the resource whose provisioner runs it."""
        if self.kubeconfig is not None:
            return {"kubeconfig": self.kubeconfig}
        return {"cluster_name": self.cluster_name, "region": self.region}

    @property
    def shell_kubectl(self) -> str:
        """Shell commands that configure `kubectl`. A destroy-time provisioner can reference nothing but `self`."""
        if self.kubeconfig is not None:
            return 'export KUBECONFIG="${self.input.kubeconfig}"'
        return """export KUBECONFIG=$(mktemp)
trap 'rm -f "$KUBECONFIG"' EXIT
aws eks update-kubeconfig --name "${self.input.cluster_name}" --region "${self.input.region}" >/dev/null"""
