"""Finding untracked additions, and recognizing those of AWS and of controllers. `tests/e2e` has more cases."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from eks_gitops.controller_tags import controller_tags
from operations.drift import untracked
from operations.state.states import States, parse_resources
from operations.terraform.stacks import Cluster

_CLUSTER = "gitops-cluster-dev"
_STACK = "ap-northeast-2-dev"


class Aws:
    """A session whose operations return the given answers, in one page; all other lists are empty."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers

    def client(self, _service: str) -> "Aws":
        return self

    def __getattr__(self, operation: str) -> Any:
        return lambda **_: self._answers[operation]

    def get_paginator(self, operation: str) -> Any:
        answers = self._answers

        class Paginator:
            def paginate(self, **_: object) -> Iterator[Any]:
                answer = answers.get(operation, _Empty())
                if isinstance(answer, Exception):
                    raise answer
                yield answer

        return Paginator()


class _Empty(dict[str, list[Any]]):
    def __missing__(self, _key: str) -> list[Any]:
        return []


def _states(**resources: dict[str, Any]) -> States:
    entries = [
        {"mode": "managed", "type": kind, "name": "main", "instances": [{"attributes": attributes}]}
        for kind, attributes in resources.items()
    ]
    return States(parse_resources(_STACK, {"resources": entries}), [Cluster(_CLUSTER, controller_tags(_CLUSTER))])


def _found(states: States, **answers: Any) -> list[str]:
    session: Any = Aws(**answers)
    added, problems = untracked.find_untracked(session, states, [_STACK])
    assert problems == []
    return [one.what for one in added]


def _vpc() -> States:
    return _states(aws_vpc={"id": "vpc-1"}, aws_eks_cluster={"name": _CLUSTER, "vpc_config": [_NETWORK]})


_NETWORK = {"cluster_security_group_id": "sg-eks"}
_CLUSTERS = _states(aws_eks_cluster={"name": _CLUSTER, "vpc_config": [_NETWORK]})


@pytest.mark.parametrize(
    "one",
    [
        {"Tags": [{"Key": "elbv2.k8s.aws/cluster", "Value": _CLUSTER}]},
        {"Tags": [{"Key": "aws:eks:cluster-name", "Value": _CLUSTER}]},
        {"Tags": [{"Key": f"kubernetes.io/cluster/{_CLUSTER}", "Value": "owned"}]},
        {"Tags": [{"Key": "GuardDutyManaged", "Value": "true"}]},
        {"IsDefault": True},
        {"RequesterManaged": True},
        {"Associations": [{"Main": True}]},
        {"State": "deleted"},
    ],
)
def test_resources_of_aws_and_of_controllers_in_the_vpc_are_not_reported(one: dict[str, Any]) -> None:
    assert (
        _found(_vpc(), describe_security_groups={"SecurityGroups": [{"GroupId": "sg-1", "VpcId": "vpc-1", **one}]})
        == []
    )


@pytest.mark.parametrize(
    "tags",
    [
        [],
        [{"Key": "elbv2.k8s.aws/cluster", "Value": "another-cluster"}],
        [{"Key": f"kubernetes.io/cluster/{_CLUSTER}", "Value": "shared"}],
    ],
)
def test_other_resources_in_the_vpc_are_reported(tags: list[dict[str, str]]) -> None:
    group = {"GroupId": "sg-1", "VpcId": "vpc-1", "Tags": tags}
    assert _found(_vpc(), describe_security_groups={"SecurityGroups": [group]}) == ["security group sg-1"]


def _rule(**rule: Any) -> dict[str, Any]:
    return {"SecurityGroupRuleId": "sgr-1", "IsEgress": False, "IpProtocol": "-1", **rule}


@pytest.mark.parametrize(
    "rule",
    [
        _rule(ReferencedGroupInfo={"GroupId": "sg-eks"}),
        _rule(IsEgress=True, CidrIpv4="0.0.0.0/0"),
        _rule(IsEgress=True, CidrIpv6="::/0"),
        _rule(CidrIpv4="10.0.0.0/16", Description="elbv2.k8s.aws/targetGroupBinding=shared"),
    ],
)
def test_rules_of_eks_and_of_the_load_balancer_controller_are_not_reported(rule: dict[str, Any]) -> None:
    assert _found(_CLUSTERS, describe_security_group_rules={"SecurityGroupRules": [rule]}) == []


@pytest.mark.parametrize(
    ("rule", "traffic"),
    [
        (_rule(CidrIpv4="0.0.0.0/0"), "ingress all from 0.0.0.0/0"),
        (_rule(IpProtocol="tcp", FromPort=22, ToPort=22, CidrIpv6="::/0"), "ingress tcp 22 from ::/0"),
        (
            _rule(IsEgress=True, IpProtocol="udp", FromPort=1, ToPort=9, PrefixListId="pl-1"),
            "egress udp 1-9 to pl-1",
        ),
    ],
)
def test_a_rule_is_reported_with_its_traffic(rule: dict[str, Any], traffic: str) -> None:
    found = _found(_CLUSTERS, describe_security_group_rules={"SecurityGroupRules": [rule]})
    assert found == [f"rule sgr-1: {traffic}"]


def test_access_entries_that_eks_creates_are_not_reported() -> None:
    service = "arn:aws:iam::123456789012:role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS"
    found = _found(
        _CLUSTERS,
        list_access_entries={"accessEntries": ["role/nodes", "role/pods", service, "role/stranger"]},
        list_nodegroups={"nodegroups": ["main"]},
        list_fargate_profiles={"fargateProfileNames": ["jobs"]},
        describe_nodegroup={"nodegroup": {"nodeRole": "role/nodes"}},
        describe_fargate_profile={"fargateProfile": {"podExecutionRoleArn": "role/pods"}},
    )
    assert found == ["Fargate profile jobs", "access entry role/stranger", "node group main"]


def test_stacks_that_were_not_chosen_are_not_checked() -> None:
    session: Any = Aws()
    assert untracked.find_untracked(session, _states(aws_iam_role={"name": "r"}), ["ap-northeast-2-prod"]) == ([], [])


def _error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "ListRolePolicies")


def test_a_deleted_resource_has_no_additions() -> None:
    assert _found(_states(aws_iam_role={"name": "r"}), list_role_policies=_error("NoSuchEntity")) == []


def test_access_denied_is_an_error_and_not_an_empty_result() -> None:
    session: Any = Aws(list_role_policies=_error("AccessDenied"))
    added, (problem,) = untracked.find_untracked(session, _states(aws_iam_role={"name": "r"}), [_STACK])
    assert added == []
    assert problem[0] == _STACK
    assert problem[1].startswith("aws_iam_role.main: An error occurred (AccessDenied)")


def test_only_records_with_an_ownership_record_belong_to_external_dns() -> None:
    def record(name: str, kind: str, *values: str) -> dict[str, Any]:
        return {"Name": name, "Type": kind, "ResourceRecords": [{"Value": value} for value in values]}

    signed = '"heritage=external-dns,external-dns/owner=gitops-cluster-dev"'
    records = [
        record("example.com.", "NS", "ns-1."), record("example.com.", "MX", "evil."),
        record("dev.example.com.", "NS", "ns.evil."), record("a-argocd.dev.example.com.", "TXT", signed),
        record("argocd.dev.example.com.", "A"), record("cname-shop.example.com.", "TXT", signed),
        record("shop.example.com.", "A"), record("old.example.com.", "TXT", signed), record("old.example.com.", "A"),
    ]  # fmt: skip
    zone = _states(aws_route53_zone={"zone_id": "Z1", "name": "example.com"})
    found = _found(zone, list_resource_record_sets={"ResourceRecordSets": records})
    assert found == ["record dev.example.com NS", "record example.com MX"]
