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


@pytest.mark.parametrize(("controller", "namespace", "account"), CONTROLLERS[:2])
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
    associations = alternative["us-gov-west-1-dev"].resources("aws_eks_pod_identity_association")
    assert associations.keys() == {f"controllers_{name}_association" for name in ("external-dns", "kyverno")}


def test_a_controller_with_a_role_in_another_account_can_only_assume_it(alternative: dict[str, Template]) -> None:
    dev = alternative["us-gov-west-1-dev"]
    associations = dev.resources("aws_eks_pod_identity_association")
    for controller, target in (("external-dns", "role/dns"), ("kyverno", "role/images")):
        arn = f"arn:aws-us-gov:iam::210987654321:{target}"
        role = Role(dev, f"controllers_{controller}_role")
        assert [(one["Action"], one["Resource"]) for one in role.statements] == [
            (["sts:AssumeRole", "sts:TagSession"], [arn])
        ]
        assert associations[f"controllers_{controller}_association"]["target_role_arn"] == arn


def test_a_role_without_session_tags_has_no_condition_on_them(alternative: dict[str, Template]) -> None:
    """EKS Pod Identity then passes an external ID to the target."""
    dev = alternative["us-gov-west-1-dev"]
    associations = dev.resources("aws_eks_pod_identity_association")
    tags = {
        name: "Condition" in Role(dev, f"controllers_{name}_role").trust["Statement"][0]
        for name in ("external-dns", "kyverno")
    }
    assert tags == {"external-dns": True, "kyverno": False}
    assert associations["controllers_kyverno_association"]["disable_session_tags"] is True
    assert "disable_session_tags" not in associations["controllers_external-dns_association"]
