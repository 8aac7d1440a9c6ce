"""The host for Session Manager, which is off in the example settings."""

import pytest

from eks_gitops.access_host import AccessHostConfig
from tests.edited_settings import EditedSettings
from tests.policies import Role
from tests.template import Template, every_stack, resolved

ACCOUNT = "123456789012"
SHAREDS = {"Environment": "shared"}
TAGGED_SHARED = {"aws:RequestTag/Environment": "shared"}
HOST_ROLE = f"arn:aws:iam::{ACCOUNT}:role/ap-northeast-2/shared/ap-northeast-2-shared-access-host"
IMAGE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
CLUSTER_GROUP = "${aws_eks_cluster.cluster.vpc_config[0].cluster_security_group_id}"


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Template]:
    """The stacks of the example settings with a host."""
    settings = EditedSettings(tmp_path_factory.mktemp("settings"))
    settings.replace(
        "ap_northeast_2/shared.py",
        "owns_github_provider=True,",
        'owns_github_provider=True, access_host={"zone": "ap-northeast-2b"},',
    )
    return every_stack(settings.load(), tmp_path_factory.mktemp("host"))


@pytest.fixture(scope="module")
def with_host(stacks: dict[str, Template]) -> Template:
    return stacks["ap-northeast-2-shared"]


def _arn(kind: str) -> str:
    return f"arn:aws:ec2:ap-northeast-2:{ACCOUNT}:{kind}/any"


def test_without_the_setting_there_is_no_host_and_clusters_admit_none(platform: dict[str, Template]) -> None:
    assert not platform["ap-northeast-2-shared"].resources("aws_instance")
    for environment in ("dev", "staging", "prod"):
        rules = platform[f"ap-northeast-2-{environment}"].resources("aws_vpc_security_group_ingress_rule").values()
        assert CLUSTER_GROUP not in {rule["security_group_id"] for rule in rules}


def test_host_is_the_smallest_arm_instance_in_the_private_subnet_of_its_zone(with_host: Template) -> None:
    host = with_host.only("aws_instance")
    assert host["instance_type"] == AccessHostConfig(zone="any").instance_type == "t4g.nano"
    assert host["subnet_id"] == "${aws_subnet.vpc_private-ap-northeast-2b.id}"
    assert host["associate_public_ip_address"] is False
    assert host["credit_specification"] == {"cpu_credits": "standard"}
    assert "key_name" not in host
    assert "user_data" not in host


def test_a_newer_image_does_not_replace_the_host(with_host: Template) -> None:
    host = with_host.only("aws_instance")
    (image,) = with_host.json["data"]["aws_ssm_parameter"].values()
    assert image["name"] == IMAGE
    assert host["ami"] == "${data.aws_ssm_parameter.access-host_image.insecure_value}"
    assert host["lifecycle"] == {"ignore_changes": ["ami"]}


def test_disk_is_encrypted_with_the_key_of_the_stack(with_host: Template) -> None:
    disk = with_host.only("aws_instance")["root_block_device"]
    assert (disk["encrypted"], disk["kms_key_id"]) == (True, "${aws_kms_key.key.arn}")


def test_instance_metadata_requires_a_token(with_host: Template) -> None:
    options = with_host.only("aws_instance")["metadata_options"]
    assert (options["http_tokens"], options["http_put_response_hop_limit"]) == ("required", 1)


def test_nothing_connects_to_the_host(with_host: Template) -> None:
    group = "${aws_security_group.access-host_security-group.id}"
    assert with_host.only("aws_instance")["vpc_security_group_ids"] == [group]
    ingress = with_host.resources("aws_vpc_security_group_ingress_rule").values()
    assert group not in {rule["security_group_id"] for rule in ingress}
    assert "ingress" not in with_host.resources("aws_security_group")["access-host_security-group"]
    egress = with_host.only("aws_vpc_security_group_egress_rule")
    assert (egress["security_group_id"], egress["from_port"], egress["to_port"]) == (group, 443, 443)


def test_role_has_only_the_permissions_of_the_agent(with_host: Template) -> None:
    role = Role(with_host, "access-host_role")
    assert role.aws_managed == ["AmazonSSMManagedInstanceCore"]
    assert role.statements == []
    assert role.arguments["path"] == "/ap-northeast-2/shared/"
    assert role.boundary == "${aws_iam_policy.boundary-shared_policy.arn}"
    (trust,) = role.trust["Statement"]
    assert trust["Principal"] == {"Service": ["ec2.amazonaws.com"]}
    profile = with_host.only("aws_iam_instance_profile")
    assert (profile["role"], profile["path"]) == ("${aws_iam_role.access-host_role.name}", "/ap-northeast-2/shared/")


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_every_cluster_admits_the_host_by_its_security_group(stacks: dict[str, Template], environment: str) -> None:
    rules = stacks[f"ap-northeast-2-{environment}"].resources("aws_vpc_security_group_ingress_rule").values()
    (rule,) = [rule for rule in rules if rule["security_group_id"] == CLUSTER_GROUP]
    group = resolved(rule["referenced_security_group_id"], stacks)
    assert group == "${aws_security_group.access-host_security-group.id}"
    assert (rule["ip_protocol"], rule["from_port"], rule["to_port"]) == ("tcp", 443, 443)
    assert "cidr_ipv4" not in rule


Request = tuple[str, str, dict[str, str], dict[str, str]]

APPLY_MAY: list[Request] = [
    ("ec2:RunInstances", _arn("instance"), {}, TAGGED_SHARED),
    ("ec2:RunInstances", _arn("volume"), {}, TAGGED_SHARED),
    ("ec2:RunInstances", _arn("network-interface"), {}, {}),
    ("ec2:RunInstances", _arn("subnet"), SHAREDS, {}),
    ("ec2:RunInstances", _arn("security-group"), SHAREDS, {}),
    ("ec2:RunInstances", "arn:aws:ec2:ap-northeast-2::image/ami-1", {}, {"ec2:Owner": "amazon"}),
    ("ec2:CreateTags", _arn("instance"), {}, {**TAGGED_SHARED, "ec2:CreateAction": "RunInstances"}),
    ("ec2:AuthorizeSecurityGroupEgress", _arn("security-group"), SHAREDS, {}),
    ("ec2:AuthorizeSecurityGroupEgress", _arn("security-group-rule"), {}, TAGGED_SHARED),
    ("ec2:StopInstances", _arn("instance"), SHAREDS, {}),
    ("ec2:ModifyInstanceAttribute", _arn("instance"), SHAREDS, {}),
    ("ec2:StartInstances", _arn("instance"), SHAREDS, {}),
    ("ec2:TerminateInstances", _arn("instance"), SHAREDS, {}),
    ("iam:PassRole", HOST_ROLE, {}, {"iam:PassedToService": "ec2.amazonaws.com"}),
    ("kms:CreateGrant", f"arn:aws:kms:ap-northeast-2:{ACCOUNT}:key/1", SHAREDS, {}),
    ("kms:GenerateDataKeyWithoutPlaintext", f"arn:aws:kms:ap-northeast-2:{ACCOUNT}:key/1", SHAREDS, {}),
    ("ssm:GetParameter", f"arn:aws:ssm:ap-northeast-2::parameter{IMAGE}", {}, {}),
]
APPLY_MAY_NOT: list[Request] = [
    ("ec2:RunInstances", _arn("instance"), {}, {}),
    ("ec2:RunInstances", _arn("security-group"), {"Environment": "prod"}, {}),
    ("ec2:RunInstances", _arn("security-group"), {"aws:eks:cluster-name": "gitops-cluster-prod"}, {}),
    ("ec2:RunInstances", "arn:aws:ec2:ap-northeast-2::image/ami-1", {}, {"ec2:Owner": "210987654321"}),
    ("ec2:RunInstances", _arn("network-interface"), {"Environment": "prod"}, {}),
    ("ec2:TerminateInstances", _arn("instance"), {"Environment": "prod"}, {}),
    ("ec2:TerminateInstances", _arn("instance"), {}, {}),
    ("ssm:GetParameter", f"arn:aws:ssm:ap-northeast-2:{ACCOUNT}:parameter/any", {}, {}),
    ("ssm:StartSession", _arn("instance"), SHAREDS, {}),
]


@pytest.mark.parametrize(
    ("request_", "allowed"), [(one, True) for one in APPLY_MAY] + [(one, False) for one in APPLY_MAY_NOT]
)
def test_apply_role_manages_the_host(with_host: Template, request_: Request, *, allowed: bool) -> None:
    action, resource, tags, context = request_
    role = Role(with_host, "apply-shared_role")
    assert role.may(action, resource, tags=tags, **context) is allowed


def test_apply_role_cannot_start_instances_without_a_host(shared: Template) -> None:
    role = Role(shared, "apply-shared_role")
    assert not role.may("ec2:RunInstances", _arn("instance"), tags={}, **TAGGED_SHARED)


def test_plan_role_reads_which_image_is_the_newest_and_no_other_parameter(with_host: Template) -> None:
    role = Role(with_host, "plan_role")
    assert role.may("ssm:GetParameter", f"arn:aws:ssm:ap-northeast-2::parameter{IMAGE}", tags={})
    assert not role.may("ssm:GetParameter", f"arn:aws:ssm:ap-northeast-2:{ACCOUNT}:parameter/any", tags={})


AGENT = "GetDeployablePatchSnapshotForInstance GetManifest ListAssociations PutConfigurePackageResult PutInventory"
OF_INSTANCES = (
    "DescribeAssociation ListInstanceAssociations PutComplianceItems UpdateAssociationStatus "
    "UpdateInstanceAssociationStatus UpdateInstanceInformation"
)
OF_DOCUMENTS = "DescribeDocument GetDocument UpdateAssociationStatus"
CHANNELS = "CreateControlChannel CreateDataChannel OpenControlChannel OpenDataChannel"
DOCUMENT = f"arn:aws:ssm:ap-northeast-2:{ACCOUNT}:document/AWS-StartPortForwardingSessionToRemoteHost"


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        *[(f"ssm:{name}", "*") for name in AGENT.split()],
        *[(f"ssmmessages:{name}", "*") for name in CHANNELS.split()],
        *[(f"ssm:{name}", _arn("instance")) for name in OF_INSTANCES.split()],
        *[(f"ssm:{name}", DOCUMENT) for name in OF_DOCUMENTS.split()],
    ],
)
def test_boundary_permits_what_the_agent_does(with_host: Template, action: str, resource: str) -> None:
    """The actions of AmazonSSMManagedInstanceCore, without parameters and messages of Run Command.

    Source: https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonSSMManagedInstanceCore.html
    """
    role = Role(with_host, "access-host_role")
    role.inline = ['{"Statement": [{"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}]}']
    assert role.may(action, resource, tags={})
