"""What is known to belong to an environment that was destroyed."""

import pytest

from operations.sweep import Environment, kind_of

DEV = Environment(
    tags={"Environment": "dev", "Project": "gitops-platform", "Region": "ap-northeast-2"},
    clusters=["gitops-cluster-dev"],
    log_groups=[],
)


@pytest.mark.parametrize(
    "tags",
    [
        {**DEV.tags, "Name": "ap-northeast-2-dev-efs"},
        {"kubernetes.io/cluster/gitops-cluster-dev": "owned"},
        {"elbv2.k8s.aws/cluster": "gitops-cluster-dev"},
        {"cluster.k8s.amazonaws.com/name": "gitops-cluster-dev"},
    ],
)
def test_what_terraform_or_a_controller_tagged_is_its_own(tags: dict[str, str]) -> None:
    assert DEV.owns(tags)


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"Environment": "dev"},  # of another project
        {**DEV.tags, "Region": "us-west-2"},
        {"kubernetes.io/cluster/gitops-cluster-prod": "owned"},
        {"elbv2.k8s.aws/cluster": "gitops-cluster-prod"},
    ],
)
def test_what_carries_other_tags_is_not(tags: dict[str, str]) -> None:
    assert not DEV.owns(tags)


@pytest.mark.parametrize(
    ("arn", "kind"),
    [
        ("arn:aws:kms:ap-northeast-2:123456789012:key/1", "kms:key"),
        ("arn:aws:rds:ap-northeast-2:123456789012:snapshot:main-final", "rds:snapshot"),
        ("arn:aws:s3:::bucket", "s3"),
        ("arn:aws:logs:ap-northeast-2:123456789012:log-group:/aws/eks/dev/cluster", "logs:log-group"),
    ],
)
def test_kind_is_read_from_the_arn(arn: str, kind: str) -> None:
    assert kind_of(arn) == kind
