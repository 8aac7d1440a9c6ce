"""Finding untracked additions, and recognizing those of AWS and of controllers. `tests/e2e` has more cases."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from eks_gitops.controller_tags import controller_tags
from operations.drift import untracked
from operations.state.states import States, parse_resources
from operations.terraform.stacks import Cluster
from tests.stacks import TRUST

_CLUSTER = "gitops-cluster-dev"
_STACK = "ap-northeast-2-dev"


class Aws:
    """A session whose operations return the given answers, in one page; all other lists are empty.

    An answer may be a function of the arguments, or an error.
    """

    def __init__(self, **answers: Any) -> None:
        self._answers = answers

    def client(self, _service: str) -> "Aws":
        return self

    def __getattr__(self, operation: str) -> Any:
        answer = self._answers[operation]
        return answer if callable(answer) else lambda **_: answer

    def get_paginator(self, operation: str) -> Any:
        answers = self._answers

        class Paginator:
            def paginate(self, **arguments: object) -> Iterator[Any]:
                answer = answers.get(operation, _Empty())
                if isinstance(answer, Exception):
                    raise answer
                yield answer(**arguments) if callable(answer) else answer

        return Paginator()


class _Empty(dict[str, list[Any]]):
    def __missing__(self, _key: str) -> list[Any]:
        return []


def _states(**resources: dict[str, Any] | list[dict[str, Any]]) -> States:
    """States with these resources, by type."""
    entries = [
        {"mode": "managed", "type": kind, "name": "main", "instances": [{"attributes": attributes}]}
        for kind, some in resources.items()
        for attributes in (some if isinstance(some, list) else [some])
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


def test_the_route_table_of_a_regional_nat_gateway_is_not_reported() -> None:
    gateway = {"NatGatewayId": "nat-1", "VpcId": "vpc-1", "RouteTableId": "rtb-1", "State": "available"}
    tables = [{"RouteTableId": id_, "VpcId": "vpc-1"} for id_ in ("rtb-1", "rtb-2")]
    found = _found(
        _vpc(),
        describe_nat_gateways={"NatGateways": [gateway]},
        describe_route_tables={"RouteTables": tables},
    )
    assert found == ["NAT gateway nat-1", "route table rtb-2"]


def _rule(**rule: Any) -> dict[str, Any]:
    return {"SecurityGroupRuleId": "sgr-1", "IsEgress": False, "IpProtocol": "-1", **rule}


@pytest.mark.parametrize(
    "rule",
    [
        _rule(ReferencedGroupInfo={"GroupId": "sg-eks"}),
        _rule(IsEgress=True, CidrIpv4="0.0.0.0/0"),
        _rule(IsEgress=True, CidrIpv6="::/0"),
        _rule(CidrIpv4="10.0.0.0/16", Description="elbv2.k8s.aws/targetGroupBinding=shared"),
        _rule(CidrIpv4="10.0.0.0/16", Tags=[{"Key": "eks:eks-cluster-name", "Value": _CLUSTER}]),
    ],
)
def test_rules_of_eks_and_of_load_balancers_are_not_reported(rule: dict[str, Any]) -> None:
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


def test_what_guardduty_and_aws_backup_add_to_a_cluster_is_not_reported() -> None:
    role = "arn:aws:iam::123456789012:role/ap-northeast-2/dev/ap-northeast-2-dev-backup"
    session = Aws(
        list_addons={"addons": ["aws-guardduty-agent"]},
        list_access_entries={"accessEntries": [role]},
    )
    states = _states(
        aws_eks_cluster={"name": _CLUSTER, "vpc_config": [_NETWORK]}, aws_backup_selection={"iam_role_arn": role}
    )
    assert untracked.find_untracked(session, states, [_STACK]) == ([], [])  # type: ignore[arg-type]


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


def test_access_entry_of_the_nodes_of_auto_mode_is_not_reported() -> None:
    compute = [{"enabled": True, "node_role_arn": "role/auto-mode-nodes"}]
    states = _states(aws_eks_cluster={"name": _CLUSTER, "vpc_config": [_NETWORK], "compute_config": compute})
    found = _found(states, list_access_entries={"accessEntries": ["role/auto-mode-nodes", "role/stranger"]})
    assert found == ["access entry role/stranger"]


def test_stacks_that_were_not_chosen_are_not_checked() -> None:
    session: Any = Aws()
    assert untracked.find_untracked(session, _states(aws_iam_role={"name": "r"}), ["ap-northeast-2-prod"]) == ([], [])


def test_node_groups_and_add_ons_are_compared_with_the_state() -> None:
    states = _states(
        aws_eks_cluster={"name": _CLUSTER, "vpc_config": [_NETWORK]},
        aws_eks_node_group={"cluster_name": _CLUSTER, "node_group_name": "main-20260101"},
        aws_eks_addon={"cluster_name": "gitops-cluster-prod", "addon_name": "adot"},
    )
    found = _found(states, list_nodegroups={"nodegroups": ["main-20260101", "miner"]}, list_addons={"addons": ["adot"]})
    assert found == ["add-on adot", "node group miner"]


def test_access_policies_are_compared_with_the_state() -> None:
    entries = {"cluster_name": _CLUSTER, "principal_arn": "role/plan"}
    states = _states(
        aws_eks_cluster={"name": _CLUSTER, "vpc_config": [_NETWORK]},
        aws_eks_access_entry=[entries, {"cluster_name": _CLUSTER, "principal_arn": "role/apply"}],
        aws_eks_access_policy_association={**entries, "policy_arn": "policy/View"},
    )
    associated = {"associatedAccessPolicies": [{"policyArn": "policy/View"}, {"policyArn": "policy/Admin"}]}

    def policies(principalArn: str, **_: object) -> dict[str, Any]:  # noqa: N803 (the name in AWS)
        return associated if principalArn == "role/plan" else _Empty()

    found = _found(
        states,
        list_access_entries={"accessEntries": ["role/plan", "role/apply"]},
        list_associated_access_policies=policies,
    )
    assert found == ["access policy Admin of role/plan"]


def test_pod_identity_associations_of_add_ons_and_of_the_state_are_not_reported() -> None:
    states = _states(
        aws_eks_cluster={"name": _CLUSTER, "vpc_config": [_NETWORK]},
        aws_eks_pod_identity_association={"association_id": "known", "cluster_name": _CLUSTER},
    )
    account = {"namespace": "default", "serviceAccount": "web"}

    def describe(associationId: str, **_: object) -> dict[str, Any]:  # noqa: N803 (the name in AWS)
        owner = {"ownerArn": "arn:addon"} if associationId == "add-on" else {}
        return {"association": {"roleArn": "role/web", **owner}}

    ids = ("known", "add-on", "extra")
    found = _found(
        states,
        list_pod_identity_associations={"associations": [{"associationId": id_, **account} for id_ in ids]},
        describe_pod_identity_association=describe,
    )
    assert found == ["Pod Identity association of default/web with role/web"]


def test_rules_of_a_security_group_are_compared_with_the_state() -> None:
    states = _states(
        aws_security_group={"id": "sg-1"},
        aws_vpc_security_group_ingress_rule={"security_group_rule_id": "sgr-1"},
    )
    known, added = _rule(CidrIpv4="10.0.0.0/16"), {**_rule(CidrIpv4="0.0.0.0/0"), "SecurityGroupRuleId": "sgr-2"}
    found = _found(states, describe_security_group_rules={"SecurityGroupRules": [known, added]})
    assert found == ["rule sgr-2: ingress all from 0.0.0.0/0"]


def test_a_rule_that_eks_would_create_is_reported_in_other_groups() -> None:
    within = _rule(ReferencedGroupInfo={"GroupId": "sg-1"})
    found = _found(
        _states(aws_security_group={"id": "sg-1"}), describe_security_group_rules={"SecurityGroupRules": [within]}
    )
    assert found == ["rule sgr-1: ingress all from sg-1"]


def test_only_routes_that_a_user_created_and_no_state_has_are_reported() -> None:
    states = _states(
        aws_route_table={"id": "rtb-1"},
        aws_route=[
            {"route_table_id": "rtb-1", "destination_cidr_block": "0.0.0.0/0"},
            {"route_table_id": "rtb-2", "destination_cidr_block": "192.0.2.0/24"},
        ],
    )
    routes = [
        {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "Origin": "CreateRouteTable"},
        {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1", "Origin": "CreateRoute"},
        {"DestinationPrefixListId": "pl-1", "GatewayId": "vpce-1", "Origin": "CreateRoute"},
        {"DestinationCidrBlock": "172.16.0.0/12", "GatewayId": "vgw-1", "Origin": "EnableVgwRoutePropagation"},
        {"DestinationCidrBlock": "192.0.2.0/24", "GatewayId": "igw-1", "Origin": "CreateRoute"},
        {"DestinationIpv6CidrBlock": "::/0", "GatewayId": "igw-1", "Origin": "CreateRoute"},
        {"DestinationPrefixListId": "pl-2", "GatewayId": "tgw-1", "Origin": "CreateRoute"},
    ]
    found = _found(states, describe_route_tables={"RouteTables": [{"Routes": routes}]})
    assert found == ["route to 192.0.2.0/24", "route to ::/0", "route to pl-2"]


# --- on an emulated AWS -----------------------------------------------------------------------------------------------

_ALLOW = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
_POLICY = json.dumps({"Version": "2012-10-17", "Statement": [_ALLOW]})


def _found_in(aws: boto3.Session, states: States) -> list[str]:
    added, problems = untracked.find_untracked(aws, states, [_STACK])
    assert problems == []
    return [one.what for one in added]


def test_policies_of_a_role_are_compared_with_the_state(aws: boto3.Session) -> None:
    iam, role = aws.client("iam"), "compared"
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=TRUST)
    for name in ("known", "extra"):
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=_POLICY)
    arns = [
        iam.create_policy(PolicyName=name, PolicyDocument=_POLICY)["Policy"]["Arn"] for name in ("attached", "added")
    ]
    for arn in arns:
        iam.attach_role_policy(RoleName=role, PolicyArn=arn)
    states = _states(
        aws_iam_role={"name": role},
        aws_iam_role_policy={"role": role, "name": "known"},
        aws_iam_role_policy_attachment={"role": role, "policy_arn": arns[0]},
    )
    assert _found_in(aws, states) == [f"attached policy {arns[1]}", "inline policy extra"]


def test_a_repository_policy_is_reported_unless_it_is_in_the_state(aws: boto3.Session) -> None:
    ecr = aws.client("ecr")
    for name in ("without", "with"):
        ecr.create_repository(repositoryName=name)
    ecr.set_repository_policy(repositoryName="with", policyText=_POLICY)
    repositories = [{"name": "without"}, {"name": "with"}]
    assert _found_in(aws, _states(aws_ecr_repository=repositories)) == ["repository policy"]
    known = {"repository": "with", "policy": _POLICY}
    assert _found_in(aws, _states(aws_ecr_repository=repositories, aws_ecr_repository_policy=known)) == []


def test_a_subnet_that_is_in_no_state_is_reported(aws: boto3.Session) -> None:
    ec2 = aws.client("ec2")
    vpc = str(ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"])
    groups = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["SecurityGroups"]
    default = {"id": str(groups[0]["GroupId"])}
    known, added = (
        str(ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24")["Subnet"]["SubnetId"]) for number in (1, 2)
    )
    states = _states(aws_vpc={"id": vpc}, aws_subnet={"id": known}, aws_default_security_group=default)
    # Terraform would have removed the rules of the default group.
    assert [one for one in _found_in(aws, states) if not one.startswith("rule ")] == [f"subnet {added}"]


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
    zone.elsewhere = ["dev"]  # the environment of another account, which writes this record
    assert _found(zone, list_resource_record_sets={"ResourceRecordSets": records}) == ["record example.com MX"]
