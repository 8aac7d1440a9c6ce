import pytest

from tests.policies import Role
from tests.template import Template

CONTROLLERS = [
    ("aws-load-balancer-controller", "kube-system", "aws-load-balancer-controller"),
    ("external-secrets", "external-secrets", "external-secrets"),
    ("external-dns", "external-dns", "external-dns"),
    ("kyverno", "kyverno", "kyverno-admission-controller"),
]


@pytest.mark.parametrize(("controller", "namespace", "account"), CONTROLLERS)
def test_pod_identity_role_trusts_one_service_account_of_one_cluster(
    prod: Template, controller: str, namespace: str, account: str
) -> None:
    (trust,) = Role(prod, f"controllers_{controller}_role").trust["Statement"]
    assert trust["Principal"] == {"Service": ["pods.eks.amazonaws.com"]}
    assert trust["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    assert trust["Condition"] == {
        "StringEquals": {
            "aws:RequestTag/eks-cluster-arn": "${aws_eks_cluster.cluster.arn}",
            "aws:RequestTag/kubernetes-namespace": namespace,
            "aws:RequestTag/kubernetes-service-account": account,
        }
    }


@pytest.mark.parametrize(("controller", "namespace", "account"), CONTROLLERS)
def test_pod_identity_associates_the_service_account(
    prod: Template, controller: str, namespace: str, account: str
) -> None:
    association = prod.resources("aws_eks_pod_identity_association")[f"controllers_{controller}_association"]
    assert (association["namespace"], association["service_account"]) == (namespace, account)
    assert association["role_arn"] == f"${{aws_iam_role.controllers_{controller}_role.arn}}"


@pytest.mark.parametrize(("controller", "namespace", "account"), CONTROLLERS)
def test_irsa_role_trusts_one_service_account(
    alternative: dict[str, Template], controller: str, namespace: str, account: str
) -> None:
    (trust,) = Role(alternative["us-gov-west-1-dev"], f"controllers_{controller}_role").trust["Statement"]
    issuer = "${local.cluster_oidc-issuer}"
    assert trust["Principal"] == {"Federated": ["${aws_iam_openid_connect_provider.cluster_oidc-provider.arn}"]}
    assert trust["Action"] == ["sts:AssumeRoleWithWebIdentity"]
    assert trust["Condition"] == {
        "StringEquals": {
            f"{issuer}:aud": "sts.amazonaws.com",
            f"{issuer}:sub": f"system:serviceaccount:{namespace}:{account}",
        }
    }


def test_oidc_issuer_has_no_scheme(alternative: dict[str, Template]) -> None:
    assert alternative["us-gov-west-1-dev"].json["locals"] == {
        "cluster_oidc-issuer": '${trimprefix(aws_eks_cluster.cluster.identity[0].oidc[0].issuer, "https://")}'
    }


def test_irsa_needs_no_association(alternative: dict[str, Template]) -> None:
    assert not alternative["us-gov-west-1-dev"].resources("aws_eks_pod_identity_association")
