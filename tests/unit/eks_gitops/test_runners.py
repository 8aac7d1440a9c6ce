"""Runners of GitHub Actions, which are off in the example settings."""

import pytest

from tests.edited_settings import EditedSettings
from tests.policies import Role
from tests.template import Template, every_stack, resolved

ACCOUNT = "123456789012"
CONNECTION = f"arn:aws:codeconnections:ap-northeast-2:{ACCOUNT}:connection/01234567-89ab-cdef-0123-456789abcdef"
PROJECT = f"arn:aws:codebuild:ap-northeast-2:{ACCOUNT}:project/ap-northeast-2-shared-runner-dev"
SHAREDS = {"Environment": "shared"}
TAGGED_SHARED = {"aws:RequestTag/Environment": "shared"}
NAMES = ("plan", "dev", "staging", "prod")
CLUSTER_GROUP = "${aws_eks_cluster.cluster.vpc_config[0].cluster_security_group_id}"


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Template]:
    """The stacks of the example settings with runners."""
    settings = EditedSettings(tmp_path_factory.mktemp("settings"))
    settings.replace(
        "ap_northeast_2/shared.py",
        "owns_github_provider=True,",
        f'owns_github_provider=True, runners={{"connection_arn": "{CONNECTION}"}},',
    )
    return every_stack(settings.load(), tmp_path_factory.mktemp("runners"))


@pytest.fixture(scope="module")
def with_runners(stacks: dict[str, Template]) -> Template:
    return stacks["ap-northeast-2-shared"]


def _arn(kind: str, id_: str = "any") -> str:
    return f"arn:aws:ec2:ap-northeast-2:{ACCOUNT}:{kind}/{id_}"


def test_without_the_setting_there_are_no_runners(shared: Template) -> None:
    assert not shared.resources("aws_codebuild_project")
    assert "codebuild" not in str(shared.document("aws_kms_key.key"))
    role = Role(shared, "apply-shared_role")
    assert not role.may("codebuild:CreateProject", PROJECT, tags={}, **TAGGED_SHARED)


def test_each_environment_and_plans_have_a_project_of_their_own(with_runners: Template) -> None:
    projects = with_runners.resources("aws_codebuild_project")
    assert {name: project["name"] for name, project in projects.items()} == {
        f"runner-{name}_project": f"ap-northeast-2-shared-runner-{name}" for name in NAMES
    }
    for project in projects.values():
        assert project["environment"] == {
            "type": "ARM_CONTAINER",
            "compute_type": "BUILD_GENERAL1_MEDIUM",
            "image": "aws/codebuild/amazonlinux-aarch64-standard:3.0",
            "image_pull_credentials_type": "CODEBUILD",
            "privileged_mode": False,
        }
        assert project["concurrent_build_limit"] == 4
        assert project["build_timeout"] == 120
        assert project["artifacts"] == {"type": "NO_ARTIFACTS"}


def test_a_runner_starts_for_each_queued_job_of_the_repository(with_runners: Template) -> None:
    project = with_runners.resources("aws_codebuild_project")["runner-dev_project"]
    assert project["source"] == {
        "type": "GITHUB",
        "location": "https://github.com/your-org/platform.git",
        "auth": {"type": "CODECONNECTIONS", "resource": CONNECTION},
    }
    webhook = with_runners.resources("aws_codebuild_webhook")["runner-dev_webhook"]
    assert webhook["project_name"] == "${aws_codebuild_project.runner-dev_project.name}"
    assert webhook["filter_group"] == [{"filter": [{"type": "EVENT", "pattern": "WORKFLOW_JOB_QUEUED"}]}]


def test_runners_are_in_the_private_subnets_and_nothing_connects_to_them(with_runners: Template) -> None:
    group = "${aws_security_group.runner-dev_security-group.id}"
    assert with_runners.resources("aws_codebuild_project")["runner-dev_project"]["vpc_config"] == {
        "vpc_id": "${aws_vpc.vpc.id}",
        "subnets": [f"${{aws_subnet.vpc_private-ap-northeast-2{zone}.id}}" for zone in "abc"],
        "security_group_ids": [group],
    }
    ingress = with_runners.resources("aws_vpc_security_group_ingress_rule").values()
    assert group not in {rule["security_group_id"] for rule in ingress}
    egress = with_runners.resources("aws_vpc_security_group_egress_rule")["runner-dev_https"]
    assert (egress["security_group_id"], egress["from_port"], egress["to_port"]) == (group, 443, 443)


def test_logs_are_encrypted_and_expire(with_runners: Template) -> None:
    group = with_runners.resources("aws_cloudwatch_log_group")["runner-dev_log-group"]
    assert group["name"] == "/aws/codebuild/ap-northeast-2-shared-runner-dev"
    assert (group["retention_in_days"], group["kms_key_id"]) == (365, "${aws_kms_key.key.arn}")
    logs = with_runners.resources("aws_codebuild_project")["runner-dev_project"]["logs_config"]["cloudwatch_logs"]
    assert logs["group_name"] == "${aws_cloudwatch_log_group.runner-dev_log-group.name}"
    (allowed,) = [
        one for one in with_runners.document("aws_kms_key.key")["Statement"] if one.get("Sid") == "CloudWatchLogs"
    ]
    assert allowed["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"] == [
        f"arn:aws:logs:ap-northeast-2:{ACCOUNT}:log-group:/aws/codebuild/ap-northeast-2-shared-runner-*",
        f"arn:aws:logs:ap-northeast-2:{ACCOUNT}:log-group:/aws/vpc/gitops-vpc/flow-logs",
    ]


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_a_cluster_admits_the_runners_of_its_environment_and_of_plans(
    stacks: dict[str, Template], environment: str
) -> None:
    rules = stacks[f"ap-northeast-2-{environment}"].resources("aws_vpc_security_group_ingress_rule").values()
    admitted = {
        resolved(rule["referenced_security_group_id"], stacks)
        for rule in rules
        if rule["security_group_id"] == CLUSTER_GROUP
    }
    assert admitted == {f"${{aws_security_group.runner-{name}_security-group.id}}" for name in ("plan", environment)}


def test_only_codebuild_assumes_the_role_for_its_project(with_runners: Template) -> None:
    role = Role(with_runners, "runner-dev_role")
    (trust,) = role.trust["Statement"]
    assert trust["Principal"] == {"Service": ["codebuild.amazonaws.com"]}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceArn": PROJECT}}
    assert (role.arguments["path"], role.aws_managed) == ("/ap-northeast-2/shared/", [])
    assert role.boundary == "${aws_iam_policy.boundary-shared_policy.arn}"


LOGS = f"arn:aws:logs:ap-northeast-2:{ACCOUNT}:log-group:/aws/codebuild/ap-northeast-2-shared-runner-dev:log-stream:any"
SUBNET = _arn("subnet", "${aws_subnet.vpc_private-ap-northeast-2a.id}")
GROUP = _arn("security-group", "${aws_security_group.runner-dev_security-group.id}")
Request = tuple[str, str, dict[str, str], dict[str, str]]

ROLE_MAY: list[Request] = [
    ("logs:CreateLogStream", LOGS, {}, {}),
    ("logs:PutLogEvents", LOGS, {}, {}),
    ("codeconnections:GetConnectionToken", CONNECTION, {}, {}),
    ("ec2:DescribeSubnets", "*", {}, {}),
    ("ec2:CreateNetworkInterface", _arn("network-interface"), {}, {}),
    ("ec2:CreateNetworkInterface", SUBNET, SHAREDS, {}),
    ("ec2:CreateNetworkInterface", GROUP, SHAREDS, {}),
    (
        "ec2:CreateNetworkInterfacePermission",
        _arn("network-interface"),
        {},
        {"ec2:AuthorizedService": "codebuild.amazonaws.com", "ec2:Subnet": SUBNET},
    ),
    ("ec2:DeleteNetworkInterface", _arn("network-interface"), {}, {"ec2:Subnet": SUBNET}),
]
ROLE_MAY_NOT: list[Request] = [
    ("logs:PutLogEvents", LOGS.replace("runner-dev", "runner-prod"), {}, {}),
    ("logs:GetLogEvents", LOGS, {}, {}),
    ("codeconnections:GetConnectionToken", CONNECTION.replace("01234567", "76543210"), {}, {}),
    ("ec2:CreateNetworkInterface", _arn("security-group"), {}, {}),
    ("ec2:CreateNetworkInterface", _arn("subnet"), {}, {}),
    ("ec2:DeleteNetworkInterface", _arn("network-interface"), {}, {"ec2:Subnet": _arn("subnet", "other")}),
    ("ec2:DeleteNetworkInterface", _arn("network-interface"), SHAREDS, {"ec2:Subnet": SUBNET}),
    ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/ap-northeast-2/delivery/ap-northeast-2-dev-apply", {}, {}),
    ("eks:DescribeCluster", f"arn:aws:eks:ap-northeast-2:{ACCOUNT}:cluster/gitops-cluster-dev", {}, {}),
]


@pytest.mark.parametrize(
    ("request_", "allowed"), [(one, True) for one in ROLE_MAY] + [(one, False) for one in ROLE_MAY_NOT]
)
def test_role_starts_runners_and_does_nothing_else(with_runners: Template, request_: Request, *, allowed: bool) -> None:
    action, resource, tags, context = request_
    assert Role(with_runners, "runner-dev_role").may(action, resource, tags=tags, **context) is allowed


RUNNER_ROLE = f"arn:aws:iam::{ACCOUNT}:role/ap-northeast-2/shared/ap-northeast-2-shared-runner-dev"
APPLY_MAY: list[Request] = [
    ("codebuild:CreateProject", PROJECT, {}, TAGGED_SHARED),
    ("codebuild:UpdateProject", PROJECT, SHAREDS, {}),
    ("codebuild:CreateWebhook", PROJECT, SHAREDS, {}),
    ("codebuild:DeleteProject", PROJECT, SHAREDS, {}),
    ("codebuild:BatchGetProjects", PROJECT, SHAREDS, {}),
    ("codeconnections:PassConnection", CONNECTION, {}, {}),
    ("iam:PassRole", RUNNER_ROLE, {}, {"iam:PassedToService": "codebuild.amazonaws.com"}),
    ("logs:CreateLogGroup", LOGS.partition(":log-stream")[0], {}, {}),
    ("ec2:CreateSecurityGroup", _arn("security-group"), {}, TAGGED_SHARED),
    ("ec2:AuthorizeSecurityGroupEgress", _arn("security-group"), SHAREDS, {}),
]
APPLY_MAY_NOT: list[Request] = [
    ("codebuild:StartBuild", PROJECT, SHAREDS, {}),
    ("codebuild:DeleteProject", PROJECT.replace("shared-runner-dev", "of-another-owner"), {}, {}),
    ("codebuild:ImportSourceCredentials", "*", {}, {}),
    ("codeconnections:DeleteConnection", CONNECTION, {}, {}),
    ("codeconnections:PassConnection", CONNECTION.replace("01234567", "76543210"), {}, {}),
    ("iam:PassRole", RUNNER_ROLE, {}, {"iam:PassedToService": "ec2.amazonaws.com"}),
]


@pytest.mark.parametrize(
    ("request_", "allowed"), [(one, True) for one in APPLY_MAY] + [(one, False) for one in APPLY_MAY_NOT]
)
def test_apply_role_manages_the_runners(with_runners: Template, request_: Request, *, allowed: bool) -> None:
    action, resource, tags, context = request_
    assert Role(with_runners, "apply-shared_role").may(action, resource, tags=tags, **context) is allowed


def test_plan_role_reads_the_projects(with_runners: Template) -> None:
    role = Role(with_runners, "plan_role")
    assert role.may("codebuild:BatchGetProjects", PROJECT, tags=SHAREDS)
    assert not role.may("codebuild:StartBuild", PROJECT, tags=SHAREDS)
