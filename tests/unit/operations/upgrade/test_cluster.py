"""The checks of a cluster in AWS, which answers from botocore stubs."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from operations.errors import OperationError
from operations.upgrade import cluster
from operations.upgrade.cluster import Addons, Change

UP, BACK = Change("dev", "1.35", "1.36"), Change("dev", "1.36", "1.35")
Answers = Callable[..., Any]


@pytest.fixture
def eks() -> Iterator[Answers]:
    """A client that returns these answers in order: operation and response."""
    client = boto3.client("eks", region_name="ap-northeast-2", aws_access_key_id="a", aws_secret_access_key="b")  # noqa: S106
    with Stubber(client) as stubber:

        def answering(*answers: tuple[str, dict[str, Any]]) -> Any:
            for operation, answer in answers:
                stubber.add_response(operation, answer)
            return client

        yield answering
        stubber.assert_no_pending_responses()


@pytest.mark.parametrize("version", ["1", "1.x", "2.36", "v1.36", "1.36.1", ""])
def test_rejects_what_is_no_version(version: str) -> None:
    with pytest.raises(OperationError, match="not a Kubernetes version; write it like"):
        cluster.minor(version)


@pytest.mark.parametrize(
    ("running", "version", "outcome", "message"),
    [
        ("1.35", "1.36", "passed", "runs 1.35"),
        ("1.36", "1.36", "passed", "runs 1.36 already"),
        ("1.34", "1.36", "failed", "EKS changes one minor version at a time; choose 1.35"),
        ("1.36", "1.34", "failed", "EKS changes one minor version at a time; choose 1.35"),
        ("1.36", "1.35", "warning", "only within 7 days of the upgrade from 1.35"),
    ],
)
def test_a_version_changes_by_one_step(running: str, version: str, outcome: str, message: str) -> None:
    (line,) = cluster.step(Change("dev", running, version), {"status": "ACTIVE"})
    assert line.outcome == outcome
    assert message in line.message


def test_a_cluster_that_is_being_updated_has_to_wait() -> None:
    assert [line.outcome for line in cluster.step(UP, {"status": "UPDATING"})] == ["failed", "passed"]


def _insight(status: str, version: str = "1.36", **more: Any) -> dict[str, Any]:
    return {
        "id": "1", "name": "Deprecated APIs", "kubernetesVersion": version, "lastRefreshTime": datetime.now(UTC),
        "insightStatus": {"status": status, "reason": "because"}, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "status", "outcome"),
    [
        (UP, "ERROR", "failed"),
        (UP, "WARNING", "warning"),
        (UP, "UNKNOWN", "warning"),
        (BACK, "UNKNOWN", "failed"),
        (BACK, "WARNING", "warning"),
    ],
)
def test_an_insight_blocks_as_in_eks(eks: Answers, change: Change, status: str, outcome: str) -> None:
    insight = _insight(
        status, change.version, recommendation="migrate",
        resources=[{"kubernetesResourceUri": "/apis/batch/v1beta1/cronjobs/a"}, {"arn": "arn:b"}],
        categorySpecificSummary={"deprecationDetails": [
            {"usage": "/apis/batch/v1beta1", "replacedWith": "/apis/batch/v1",
             "clientStats": [{"userAgent": "kubectl"}]},
            {"usage": "/apis/old", "replacedWith": "/apis/new", "clientStats": []}]},
    )  # fmt: skip
    listed = ("list_insights", {"insights": [_insight(status, change.version), _insight("ERROR", "1.99")]})
    (line,) = cluster.insights(change, eks(listed, ("describe_insight", {"insight": insight})))
    assert (line.subject, line.outcome) == ("insight Deprecated APIs", outcome)
    assert line.message.splitlines() == [
        f"{status}: because",
        "/apis/batch/v1beta1: used by kubectl; use /apis/batch/v1",
        "/apis/old: used by no client in 30 days; use /apis/new",
        "/apis/batch/v1beta1/cronjobs/a",
        "arn:b",
        "migrate",
    ]


def test_a_passing_insight_is_not_described(eks: Answers) -> None:
    (line,) = cluster.insights(UP, eks(("list_insights", {"insights": [_insight("PASSING")]})))
    assert line.outcome == "passed"


@pytest.mark.parametrize(("change", "message"), [(UP, "every 24 hours"), (BACK, "for 7 days after an upgrade")])
def test_a_cluster_without_insights_is_a_warning(eks: Answers, change: Change, message: str) -> None:
    (line,) = cluster.insights(change, eks(("list_insights", {"insights": []})))
    assert line.outcome == "warning"
    assert message in line.message


@pytest.mark.parametrize(
    ("change", "group", "outcome", "message"),
    [
        (UP, ("1.35", "ACTIVE"), "passed", ""),
        (UP, ("1.36", "ACTIVE"), "passed", ""),
        (UP, ("1.34", "ACTIVE"), "failed", "deploy the environment with version='1.35' first"),
        (UP, ("1.35", "UPDATING"), "failed", "is UPDATING; wait"),
        (
            BACK,
            ("1.36", "ACTIVE"),
            "failed",
            "aws eks update-nodegroup-version --cluster-name dev --nodegroup-name main",
        ),
        (BACK, ("1.35", "ACTIVE"), "passed", ""),
    ],
)
def test_node_groups_have_the_version_that_the_change_needs(
    eks: Answers, change: Change, group: tuple[str, str], outcome: str, message: str
) -> None:
    described = {"nodegroup": {"version": group[0], "status": group[1]}}
    (line,) = cluster.node_groups(
        change, eks(("list_nodegroups", {"nodegroups": ["main"]}), ("describe_nodegroup", described))
    )
    assert line.outcome == outcome
    assert message in line.message


@pytest.mark.parametrize(
    ("versions", "offered", "outcome", "message"),
    [
        (Addons({}, {}), "v1", "passed", "keeps v1, which EKS offers for Kubernetes 1.36"),
        (Addons({}, {"coredns": "v2"}), "v2", "passed", "v1 -> v2"),
        (Addons({"coredns": "v1"}, {"coredns": "v2"}), "v2", "passed", "v1 -> v2"),
        (Addons({}, {}), "v9", "failed",
         'runs v1, which EKS does not offer for Kubernetes 1.36; set addons.versions["coredns"], such as v9'),
        (Addons({"coredns": "v1"}, {}), "v9", "failed", "the settings have v1, which"),
        (Addons({"coredns": "v1"}, {"coredns": "v2"}), "v9", "failed", "addon_versions.json has v2, which"),
    ],
)  # fmt: skip
def test_an_add_on_needs_a_version_that_eks_offers(
    eks: Answers, versions: Addons, offered: str, outcome: str, message: str
) -> None:
    compatibilities = [{"clusterVersion": "1.36", "defaultVersion": True}]
    described = {"addonName": "coredns", "addonVersions": [
        {"addonVersion": offered, "compatibilities": compatibilities}]}  # fmt: skip
    client = eks(
        ("list_addons", {"addons": ["coredns"]}),
        ("describe_addon", {"addon": {"addonVersion": "v1"}}),
        ("describe_addon_versions", {"addons": [described]}),
    )
    (line,) = cluster.addons(UP, versions, client)
    assert (line.subject, line.outcome) == ("add-on coredns", outcome)
    assert message in line.message


def test_an_add_on_that_is_too_new_goes_back_first(eks: Answers) -> None:
    compatibilities = [{"clusterVersion": "1.35", "defaultVersion": True}]
    described = {"addonName": "kube-proxy", "addonVersions": [
        {"addonVersion": "v1.35.3", "compatibilities": compatibilities}]}  # fmt: skip
    client = eks(
        ("list_addons", {"addons": ["kube-proxy"]}),
        ("describe_addon", {"addon": {"addonVersion": "v1.36.0"}}),
        ("describe_addon_versions", {"addons": [described]}),
    )
    (line,) = cluster.addons(BACK, Addons({}, {"kube-proxy": "v1.35.3"}), client)
    assert line.outcome == "failed"
    assert "--addon-name kube-proxy --addon-version v1.35.3 --resolve-conflicts OVERWRITE" in line.message


def test_only_pinned_add_ons_get_new_pins() -> None:
    versions = Addons(pinned={"coredns": "v1", "vpc-cni": "v1"}, tested={"coredns": "v2", "kube-proxy": "v2"})
    assert versions.new_pins() == {"coredns": "v2"}
