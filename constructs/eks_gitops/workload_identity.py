"""WorkloadRole: the IAM role of a Kubernetes service account, with EKS Pod Identity or IRSA."""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from cdktf_cdktf_provider_aws.eks_pod_identity_association import EksPodIdentityAssociation
from constructs import Construct

from eks_gitops.cluster import Cluster
from eks_gitops.config import Config
from eks_gitops.context import Context
from eks_gitops.iam import Role, Statement, policy_document, service_trust

WorkloadIdentity = Literal["pod-identity", "irsa"]
"""`pod-identity` is recommended by AWS; `irsa` is required on Fargate."""


class ServiceAccount(Config):
    """A Kubernetes service account."""

    namespace: str
    name: str


class WorkloadRole(Construct):
    """A role that only one service account of one cluster can assume.

    With `target_role_arn`, it may only assume that role, whose permissions the Pods get. Without `session_tags`, the
    target must recognize the service account by the external ID.
    Source: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-assign-target-role.html

    `managed_policies` are names of AWS managed policies, `policy_arns` ARNs of others. With `associate=False`, the EKS
    add-on that owns the service account creates the Pod Identity association.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        identity: WorkloadIdentity,
        service_account: ServiceAccount,
        *,
        context: Context,
        name: str,
        cluster: Cluster,
        policies: Mapping[str, str] | None = None,
        managed_policies: Sequence[str] = (),
        policy_arns: Sequence[str] = (),
        associate: bool = True,
        target_role_arn: str | None = None,
        session_tags: bool = True,
    ) -> None:
        super().__init__(scope, id_)
        self.identity = identity
        self.service_account = service_account
        trust = (
            _pod_identity_trust(service_account, cluster, session_tags=session_tags)
            if identity == "pod-identity"
            else _irsa_trust(service_account, cluster)
        )
        environment = context.location.environment
        role = Role(
            self,
            "role",
            location=context.location,
            name=name,
            description=f"{service_account.namespace}/{service_account.name} of the cluster of {environment}",
            trust=[trust],
            permissions_boundary=context.permissions_boundary,
            policies=policies if target_role_arn is None else {"assume-target": _assume(target_role_arn)},
            managed_policies=managed_policies,
        )
        for arn in policy_arns:
            role.attach(re.sub("[:/]", "-", arn.partition("::")[2]), arn)
        self.arn: str = role.arn
        self.name: str = role.name
        self.permissions = role.permissions
        if identity == "pod-identity" and associate:
            EksPodIdentityAssociation(
                self,
                "association",
                cluster_name=cluster.name,
                namespace=service_account.namespace,
                service_account=service_account.name,
                role_arn=role.arn,
                target_role_arn=target_role_arn,
                disable_session_tags=None if session_tags else True,
            )


def _assume(role_arn: str) -> str:
    return policy_document(Statement(actions=["sts:AssumeRole", "sts:TagSession"], resources=[role_arn]))


def _pod_identity_trust(service_account: ServiceAccount, cluster: Cluster, *, session_tags: bool) -> Statement:
    # Pod Identity sets session tags. Source: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-abac.html
    if not session_tags:
        return service_trust("pods.eks.amazonaws.com")
    return Statement(
        actions=["sts:AssumeRole", "sts:TagSession"],
        principals={"Service": ["pods.eks.amazonaws.com"]},
        conditions={
            "StringEquals": {
                "aws:RequestTag/eks-cluster-arn": cluster.arn,
                "aws:RequestTag/kubernetes-namespace": service_account.namespace,
                "aws:RequestTag/kubernetes-service-account": service_account.name,
            }
        },
    )


def _irsa_trust(service_account: ServiceAccount, cluster: Cluster) -> Statement:
    subject = f"system:serviceaccount:{service_account.namespace}:{service_account.name}"
    return Statement(
        actions=["sts:AssumeRoleWithWebIdentity"],
        principals={"Federated": [cluster.oidc_provider_arn]},
        conditions={
            "StringEquals": {f"{cluster.oidc_issuer}:aud": "sts.amazonaws.com", f"{cluster.oidc_issuer}:sub": subject}
        },
    )
