import json
from pathlib import Path

import pytest

from eks_gitops.delivery import boundary
from tests.edited_settings import EditedSettings
from tests.policies import Role, statement
from tests.template import Json, Template, every_stack

CLUSTER = "kubernetes.io/cluster/gitops-cluster-dev"
EC2 = "arn:aws-us-gov:ec2:us-gov-west-1:123456789012"


@pytest.fixture(scope="module")
def karpenter(alternative: dict[str, Template]) -> Template:
    return alternative["us-gov-west-1-dev"]


@pytest.fixture(scope="module")
def controller(karpenter: Template) -> Role:
    return Role(karpenter, "karpenter_role")


def _nodes_policy(karpenter: Template) -> Json:
    return karpenter.document("aws_iam_role_policy.karpenter_role_nodes")


def test_karpenter_is_optional(prod: Template) -> None:
    assert not [name for kind, name, _ in prod.all_resources() if name.startswith("karpenter")]


def test_nodes_have_an_access_entry(karpenter: Template) -> None:
    entry = karpenter.resources("aws_eks_access_entry")["karpenter_node-access"]
    assert entry["principal_arn"] == "${aws_iam_role.karpenter_node-role.arn}"
    assert entry["type"] == "EC2_LINUX"


def test_controller_can_only_use_an_existing_instance_profile(karpenter: Template, controller: Role) -> None:
    profile = karpenter.only("aws_iam_instance_profile")
    assert profile["role"] == "${aws_iam_role.karpenter_node-role.name}"
    assert profile["path"] == "/us-gov-west-1/dev/"
    actions = {action for entry in controller.statements for action in entry["Action"]}
    assert {action for action in actions if action.startswith("iam:")} == {
        "iam:CreateServiceLinkedRole",
        "iam:GetInstanceProfile",
        "iam:ListInstanceProfiles",
        "iam:PassRole",
    }


def test_controller_can_create_only_the_service_linked_role_of_spot(controller: Role) -> None:
    (entry,) = [entry for entry in controller.statements if "iam:CreateServiceLinkedRole" in entry["Action"]]
    service = "spot.amazonaws.com"
    assert entry["Resource"] == [
        f"arn:aws-us-gov:iam::123456789012:role/aws-service-role/{service}/AWSServiceRoleForEC2Spot"
    ]
    assert entry["Condition"] == {"StringEquals": {"iam:AWSServiceName": service}}


def test_controller_creates_no_service_linked_role_without_spot(tmp_path: Path) -> None:
    settings = EditedSettings(tmp_path)
    settings.replace("ap_northeast_2/dev.py", "databases=(", 'karpenter={"max_nodes": 10}, databases=(')
    role = Role(every_stack(settings.load(), tmp_path / "out")["ap-northeast-2-dev"], "karpenter_role")
    assert "iam:CreateServiceLinkedRole" not in {action for entry in role.statements for action in entry["Action"]}


def test_controller_can_read_the_zonal_shifts_of_its_cluster(controller: Role) -> None:
    (entry,) = [entry for entry in controller.statements if "arc-zonal-shift:GetManagedResource" in entry["Action"]]
    arn = "${aws_eks_cluster.cluster.arn}"
    assert entry["Condition"] == {"StringEquals": {"arc-zonal-shift:ResourceIdentifier": arn}}
    assert "arc-zonal-shift:GetManagedResource" in boundary._WITHOUT_RESOURCE


def test_controller_can_pass_only_the_node_role_and_only_to_ec2(controller: Role) -> None:
    (passing,) = [entry for entry in controller.statements if "iam:PassRole" in entry["Action"]]
    assert passing["Resource"] == ["${aws_iam_role.karpenter_node-role.arn}"]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}


@pytest.mark.parametrize(
    ("resource", "tags", "allowed"),
    [
        ("instance/i-1", {CLUSTER: "owned"}, True),
        ("instance/i-1", {CLUSTER: "shared"}, False),
        ("instance/i-1", {"kubernetes.io/cluster/another": "owned"}, False),
        ("instance/i-1", {}, False),
    ],
)
def test_controller_can_terminate_only_instances_of_its_cluster(
    karpenter: Template, resource: str, tags: dict[str, str], *, allowed: bool
) -> None:
    role = Role(karpenter, "karpenter_role")
    role.boundary = None
    assert role.may("ec2:TerminateInstances", f"{EC2}:{resource}", tags=tags) is allowed


def test_controller_can_launch_instances_only_with_the_clusters_tag(karpenter: Template) -> None:
    launch = statement(_nodes_policy(karpenter), "LaunchTagged")
    assert launch["Condition"] == {
        "StringEquals": {f"aws:RequestTag/{CLUSTER}": "owned"},
        "StringLike": {"aws:RequestTag/karpenter.sh/nodepool": "*"},
    }


@pytest.mark.parametrize(
    ("tags", "allowed"),
    [
        ({"aws:eks:cluster-name": "gitops-cluster-dev"}, True),
        ({"aws:eks:cluster-name": "gitops-cluster-prod"}, False),
        ({"Environment": "dev"}, False),
        ({}, False),
    ],
)
def test_controller_can_put_nodes_only_into_the_security_group_of_its_cluster(
    karpenter: Template, tags: dict[str, str], *, allowed: bool
) -> None:
    role = Role(karpenter, "karpenter_role")
    role.boundary = None
    assert role.may("ec2:RunInstances", f"{EC2}:security-group/sg-1", tags=tags) is allowed


def test_interruptions_are_sent_to_the_queue(karpenter: Template) -> None:
    patterns = [
        json.loads(rule["event_pattern"])["detail-type"]
        for rule in karpenter.resources("aws_cloudwatch_event_rule").values()
    ]
    assert sorted(patterns) == [
        ["AWS Health Event"],
        ["EC2 Instance Rebalance Recommendation"],
        ["EC2 Instance State-change Notification"],
        ["EC2 Spot Instance Interruption Warning"],
    ]
    targets = karpenter.resources("aws_cloudwatch_event_target").values()
    assert [target["arn"] for target in targets] == ["${aws_sqs_queue.karpenter_queue.arn}"] * 4


def test_queue_accepts_only_messages_of_these_rules(karpenter: Template) -> None:
    (entry,) = karpenter.document("aws_sqs_queue_policy.karpenter_queue-policy")["Statement"]
    assert entry["Principal"] == {"Service": ["events.amazonaws.com"]}
    assert set(entry["Condition"]["ArnEquals"]["aws:SourceArn"]) == {
        f"${{aws_cloudwatch_event_rule.{name}.arn}}" for name in karpenter.resources("aws_cloudwatch_event_rule")
    }


def test_queue_is_encrypted(karpenter: Template) -> None:
    assert karpenter.only("aws_sqs_queue")["sqs_managed_sse_enabled"] is True
