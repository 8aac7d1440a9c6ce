"""The tables of clusters and node groups."""

from collections.abc import Callable
from datetime import date
from typing import Any

from operations.portal import clusters
from operations.portal.model import Day, Lines, State, Text, Unknown
from operations.terraform.stacks import Stack
from tests.unit.operations.portal.conftest import OFFLINE, Answering, Make

Resources = dict[str, dict[str, dict[str, Any]]]


def _resources(version: str = "1.35", **more: Any) -> Resources:
    group = {
        "node_group_name_prefix": "main-",
        "instance_types": ["t3.medium", "t3a.medium"],
        "capacity_type": "ON_DEMAND",
        "ami_type": "AL2023_x86_64_STANDARD",
        "scaling_config": {"desired_size": 3, "min_size": 2, "max_size": 10},
    }
    cluster = {"name": "gitops-cluster-dev", "version": version, **more}
    return {"aws_eks_cluster": {"cluster": cluster}, "aws_eks_node_group": {"main": group}}


def _offered(*versions: str) -> dict[str, Any]:
    entries = [{"addonVersion": version, "compatibilities": [{"clusterVersion": "1.35"}]} for version in versions]
    return {"addons": [{"addonVersions": entries}]}


def test_the_end_of_support_needs_no_aws(make: Make, stack: Callable[..., Stack]) -> None:
    one = stack(resources=_resources())
    (row,) = clusters.table(make(one), {one.name: OFFLINE}).rows
    assert row[2:] == ["gitops-cluster-dev", "1.35", OFFLINE, Day(date(2027, 3, 27)), OFFLINE]


def test_a_version_without_a_known_end_says_so(make: Make, stack: Callable[..., Stack]) -> None:
    one = stack(resources=_resources("1.30"))
    assert clusters.table(make(one), {one.name: OFFLINE}).rows[0][5] == Unknown("no-end-of-support", "", "1.30")


def test_the_running_version_counts_and_addons_are_compared_by_number(
    make: Make, stack: Callable[..., Stack], answering: Answering
) -> None:
    clients = answering(
        ("eks", "describe_cluster", {"cluster": {"version": "1.35"}}),
        ("eks", "list_addons", {"addons": ["vpc-cni", "coredns", "other"]}),
        ("eks", "describe_addon", {"addon": {"addonVersion": "v1.14.3-eksbuild.3"}}),
        ("eks", "describe_addon_versions", _offered("v1.14.3-eksbuild.3", "v1.9.0-eksbuild.1")),
        ("eks", "describe_addon", {"addon": {"addonVersion": "v1.0.0"}}),
        ("eks", "describe_addon_versions", {"addons": []}),
        ("eks", "describe_addon", {"addon": {"addonVersion": "v1.9.0-eksbuild.1"}}),
        ("eks", "describe_addon_versions", _offered("v1.9.0-eksbuild.1", "v1.10.0-eksbuild.1")),
    )
    one = stack(resources=_resources("1.36"))
    sources = make(one, clients=clients)
    found = clusters.described(sources, one)
    (row,) = clusters.table(sources, {one.name: found}).rows
    behind = Lines(("vpc-cni v1.9.0-eksbuild.1 < v1.10.0-eksbuild.1",))
    assert row[3:] == ["1.36", Text("1.35", "warn"), Day(date(2027, 3, 27)), behind]


def test_node_groups_without_aws_are_those_of_the_settings(make: Make, stack: Callable[..., Stack]) -> None:
    one = stack(resources=_resources())
    (row,) = clusters.node_groups(make(one), {one.name: OFFLINE}).rows
    assert row[2:6] == ["main", "t3.medium, t3a.medium ON_DEMAND", "3 (2-10)", "AL2023_x86_64_STANDARD"]
    assert row[6:] == [OFFLINE, OFFLINE]


def test_a_node_group_is_found_by_the_start_of_its_name(
    make: Make, stack: Callable[..., Stack], answering: Answering
) -> None:
    group = {"version": "1.34", "releaseVersion": "1.34.2-20261101", "status": "ACTIVE", "health": {"issues": []}}
    clients = answering(
        ("eks", "list_nodegroups", {"nodegroups": ["main-2026", "other-2026"]}),
        ("eks", "describe_nodegroup", {"nodegroup": group}),
    )
    one = stack(resources=_resources())
    rows = clusters.node_groups(make(one, clients=clients), {one.name: {"version": "1.35"}}).rows
    assert rows[0][6:] == [Text("1.34 (1.34.2-20261101)", "warn"), State("ACTIVE", "good")]


def test_a_node_group_shows_what_its_health_says(make: Make, stack: Callable[..., Stack], answering: Answering) -> None:
    issue = {"code": "Ec2SubnetNotFound", "message": "gone", "resourceIds": ["subnet-1"]}
    group = {"version": "1.35", "status": "DEGRADED", "health": {"issues": [issue]}}
    clients = answering(
        ("eks", "list_nodegroups", {"nodegroups": ["main-2026"]}), ("eks", "describe_nodegroup", {"nodegroup": group})
    )
    one = stack(resources=_resources())
    rows = clusters.node_groups(make(one, clients=clients), {one.name: {"version": "1.35"}}).rows
    assert rows[0][6:] == [Text("1.35 ()"), Lines(("Ec2SubnetNotFound: gone",), "bad")]


def test_a_node_group_that_eks_does_not_have_is_not_deployed(
    make: Make, stack: Callable[..., Stack], answering: Answering
) -> None:
    one = stack(resources=_resources())
    sources = make(one, clients=answering(("eks", "list_nodegroups", {"nodegroups": []})))
    cell = clusters.node_groups(sources, {one.name: {"version": "1.35"}}).rows[0][6]
    assert cell == Unknown("not-deployed", "make deploy STACK=ap-northeast-2-dev")


def test_what_adds_nodes_as_needed_has_a_row(make: Make, stack: Callable[..., Stack]) -> None:
    resources = {**_resources(compute_config={"enabled": True}), "aws_sqs_queue": {"karpenter": {}}}
    one = stack(resources=resources)
    rows = clusters.node_groups(make(one), {one.name: OFFLINE}).rows
    assert [row[2] for row in rows] == ["main", "Karpenter", "EKS Auto Mode"]
    assert rows[1][4] == State("as-needed")
