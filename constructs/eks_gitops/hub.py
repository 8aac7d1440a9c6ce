"""HubRoles: the IAM roles with which the Argo CD of a cluster also deploys to other clusters."""

from constructs import Construct

from eks_gitops.cluster import Access, Cluster
from eks_gitops.context import Context
from eks_gitops.workload_identity import ServiceAccount, WorkloadRole

_SERVICE_ACCOUNTS = {"controller": "argocd-application-controller", "server": "argocd-server"}
"""Those of the Pods that connect to clusters: one deploys, the other shows logs and changes objects for users.

The ApplicationSet controller reads the Secrets of the clusters only.
Source: docs/operator-manual/declarative-setup.md of Argo CD 3.6.0, section EKS
"""


class HubRoles(Construct):
    """A role for each Pod of Argo CD that connects to clusters, with EKS Pod Identity.

    They have no permissions in AWS: a token for EKS is a signed request for the identity of the caller, which needs
    none, and access entries in the other clusters name the roles. `namespace` is that of Argo CD.
    Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    """

    def __init__(self, scope: Construct, id_: str, *, context: Context, cluster: Cluster, namespace: str) -> None:
        super().__init__(scope, id_)
        self.arns: dict[str, str] = {}
        for name, service_account in _SERVICE_ACCOUNTS.items():
            role = WorkloadRole(
                self,
                name,
                "pod-identity",
                ServiceAccount(namespace=namespace, name=service_account),
                context=context,
                name=f"argo-cd-{name}",
                cluster=cluster,
            )
            self.arns[name] = role.arn

    def access(self) -> dict[str, Access]:
        """The access entries by ID that a cluster needs, so that the Argo CD of the hub deploys to it.

        Argo CD manages objects of all kinds, including ClusterRoles and CustomResourceDefinitions, which of the access
        policies of EKS only this one permits.
        Source: https://docs.aws.amazon.com/eks/latest/userguide/access-policy-permissions.html
        """
        return {f"hub-{name}": Access(arn, "AmazonEKSClusterAdminPolicy") for name, arn in self.arns.items()}
