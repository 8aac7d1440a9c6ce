"""Finding the resources that remain of a destroyed environment."""

from collections.abc import Iterator, Sequence
from typing import Any

import boto3
import pytest

from eks_gitops.controller_tags import controller_tags
from operations.clients.aws import paginate
from operations.destroy import leftovers
from operations.destroy.leftovers import Environment, kind_of
from operations.local.emulator_process import Emulator
from operations.terraform.stacks import Cluster

DEV = Environment(
    tags={"Environment": "dev", "Project": "gitops-platform", "Region": "ap-northeast-2"},
    cluster=Cluster("gitops-cluster-dev", controller_tags("gitops-cluster-dev")),
    log_groups=[],
    iam_path="/ap-northeast-2/dev/",
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
def test_owns_what_terraform_or_a_controller_tagged(tags: dict[str, str]) -> None:
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
def test_does_not_own_resources_with_other_tags(tags: dict[str, str]) -> None:
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


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[boto3.Session]:
    """An account in which one role of dev and one of prod remain."""
    with (
        Emulator(tmp_path_factory.mktemp("emulator") / "log") as emulator,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in emulator.environment.items():
            patch.setenv(name, value)
        session = boto3.Session(region_name="ap-northeast-2")
        for environment in ("dev", "prod"):
            session.client("iam").create_role(
                Path=f"/ap-northeast-2/{environment}/", RoleName=environment, AssumeRolePolicyDocument="{}"
            )
        yield session


def _find(aws: boto3.Session, monkeypatch: pytest.MonkeyPatch, **tagged: Sequence[str]) -> list[str]:
    """The resources that are found if the tagging API lists these ARNs, by region."""

    def answer(client: Any, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
        if operation == "get_resources":
            return iter([{"ResourceARN": arn} for arn in tagged.get(client.meta.region_name.replace("-", "_"), ())])
        return paginate(client, operation, key, **arguments)

    monkeypatch.setattr(leftovers, "paginate", answer)
    return [one.id_ for one in leftovers.find_leftovers(aws, DEV)]


_ROLE = "arn:aws:iam::123456789012:role/ap-northeast-2/dev/dev"
_ISSUER = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.ap-northeast-2.amazonaws.com/id/1"
_ZONE = "arn:aws:route53:::hostedzone/Z1"
_QUEUE = "arn:aws:sqs:ap-northeast-2:123456789012:karpenter"


def test_finds_resources_of_global_services(aws: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = "arn:aws:sqs:us-east-1:123456789012:another"
    found = _find(aws, monkeypatch, ap_northeast_2=[_QUEUE], us_east_1=[_ISSUER, _ZONE, elsewhere])
    assert sorted(found) == sorted([_QUEUE, _ISSUER, _ZONE, _ROLE])


def test_a_resource_that_two_regions_list_is_reported_once(aws: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = "arn:aws:s3:::dev-backups"
    assert sorted(_find(aws, monkeypatch, ap_northeast_2=[bucket], us_east_1=[bucket])) == sorted([bucket, _ROLE])
