"""Runner: GitHub Actions runners inside the VPC, which AWS CodeBuild starts for one job each."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from cdktf_cdktf_provider_aws.cloudwatch_log_group import CloudwatchLogGroup
from cdktf_cdktf_provider_aws.codebuild_project import (
    CodebuildProject,
    CodebuildProjectArtifacts,
    CodebuildProjectEnvironment,
    CodebuildProjectLogsConfig,
    CodebuildProjectLogsConfigCloudwatchLogs,
    CodebuildProjectSource,
    CodebuildProjectSourceAuth,
    CodebuildProjectVpcConfig,
)
from cdktf_cdktf_provider_aws.codebuild_webhook import (
    CodebuildWebhook,
    CodebuildWebhookFilterGroup,
    CodebuildWebhookFilterGroupFilter,
)
from cdktf_cdktf_provider_aws.security_group import SecurityGroup
from cdktf_cdktf_provider_aws.vpc_security_group_egress_rule import VpcSecurityGroupEgressRule
from constructs import Construct
from pydantic import Field

from eks_gitops.config import Config, LogRetentionDays, matching
from eks_gitops.context import Context
from eks_gitops.github import GithubRepository
from eks_gitops.iam import Role, Statement, policy_document, service_trust
from eks_gitops.location import Location
from eks_gitops.security_group import group_description

# It has Python, the AWS CLI, kubectl, Git and Make, of which AWS updates the minor versions.
# Source: https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-available.html
_IMAGE = "aws/codebuild/amazonlinux-aarch64-standard:3.0"
_MINUTES = 120  # as long as a session of an apply role


class RunnersConfig(Config):
    """GitHub Actions runners in the private subnets: a CodeBuild project for each environment, and one for plans.

    Source: https://docs.aws.amazon.com/codebuild/latest/userguide/action-runner.html
    """

    connection_arn: Annotated[
        str,
        matching(
            r"arn:(aws|aws-cn|aws-us-gov):codeconnections:[a-z0-9-]+:\d{12}:connection/[0-9a-f-]{36}",
            "not a connection; write arn:aws:codeconnections:<region>:<account id>:connection/<id>",
        ),
    ]
    """The connection of AWS CodeConnections to GitHub, which an administrator creates and authorizes in the console
    (docs/delivery.md). It must have access to `repository`."""
    size: Literal["small", "medium", "large"] = "medium"
    """The size of a runner: 2, 4 or 8 vCPUs of ARM. A change applies to later jobs."""
    jobs: int = Field(strict=True, default=4, ge=1, le=100)
    """The greatest number of jobs that run at once, for each environment and for plans. Others wait."""
    log_retention_days: LogRetentionDays = 365
    """Days that CloudWatch Logs keeps the logs of the runners. A change to fewer days deletes older ones."""


def runner_name(location: Location, name: str) -> str:
    """The name of a CodeBuild project, and of its role and security group. `*` is that of every project."""
    return location.name(f"runner-{name}")


def log_group_name(project: str) -> str:
    """The log group of a CodeBuild project."""
    return f"/aws/codebuild/{project}"


class Runner(Construct):
    """A CodeBuild project that starts a runner for each queued job with its label, and deletes it afterwards.

    The job gets the credentials of the role of the project: they permit nothing but what starting the runner needs. It
    assumes the roles of pipelines by itself. `subnet_ids` are the private subnets by zone. Nothing connects to a
    runner; what it reaches is decided by the security groups that admit `security_group_id`.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        config: RunnersConfig,
        *,
        context: Context,
        name: str,
        repository: GithubRepository,
        vpc_id: str,
        subnet_ids: Mapping[str, str],
    ) -> None:
        super().__init__(scope, id_)
        location, project = context.location, runner_name(context.location, name)
        group = SecurityGroup(
            self,
            "security-group",
            name=project,
            description=group_description("Runners of GitHub Actions, which nothing connects to"),
            vpc_id=vpc_id,
            tags={"Name": project},
        )
        VpcSecurityGroupEgressRule(
            self,
            "https",
            security_group_id=group.id,
            description=group_description("HTTPS to GitHub, AWS, registries and the API of the clusters"),
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            cidr_ipv4="0.0.0.0/0",
        )
        logs = CloudwatchLogGroup(
            self,
            "log-group",
            name=log_group_name(project),
            retention_in_days=config.log_retention_days,
            kms_key_id=context.key.arn,
        )
        subnets = list(subnet_ids.values())
        role = Role(
            self,
            "role",
            location=location,
            name=f"runner-{name}",
            description=f"Starts the runners of {name}",
            trust=[
                service_trust(
                    "codebuild.amazonaws.com",
                    conditions={"StringEquals": {"aws:SourceArn": location.arn("codebuild", f"project/{project}")}},
                )
            ],
            permissions_boundary=context.permissions_boundary,
            policies={"start": policy_document(*_start(location, config, project, group.id, subnets))},
        )
        resource = CodebuildProject(
            self,
            "project",
            name=project,
            description=f"Runners of GitHub Actions: {name}",
            service_role=role.arn,
            build_timeout=_MINUTES,
            concurrent_build_limit=config.jobs,
            artifacts=CodebuildProjectArtifacts(type="NO_ARTIFACTS"),
            environment=CodebuildProjectEnvironment(
                type="ARM_CONTAINER",
                compute_type=f"BUILD_GENERAL1_{config.size.upper()}",
                image=_IMAGE,
                image_pull_credentials_type="CODEBUILD",
                privileged_mode=False,
            ),
            source=CodebuildProjectSource(
                type="GITHUB",
                location=f"https://github.com/{repository.owner}/{repository.name}.git",
                auth=CodebuildProjectSourceAuth(type="CODECONNECTIONS", resource=config.connection_arn),
            ),
            vpc_config=CodebuildProjectVpcConfig(vpc_id=vpc_id, subnets=subnets, security_group_ids=[group.id]),
            logs_config=CodebuildProjectLogsConfig(
                cloudwatch_logs=CodebuildProjectLogsConfigCloudwatchLogs(status="ENABLED", group_name=logs.name)
            ),
            depends_on=role.permissions,
        )
        webhook = CodebuildWebhookFilterGroupFilter(type="EVENT", pattern="WORKFLOW_JOB_QUEUED")
        CodebuildWebhook(
            self,
            "webhook",
            project_name=resource.name,
            build_type="BUILD",
            filter_group=[CodebuildWebhookFilterGroup(filter=[webhook])],
        )
        self.security_group_id: str = group.id


def _start(
    location: Location, config: RunnersConfig, project: str, group_id: str, subnet_ids: Sequence[str]
) -> list[Statement]:
    """Write logs, use the connection, and create the network interface of a runner in the VPC.

    Source: https://docs.aws.amazon.com/codebuild/latest/userguide/auth-and-access-control-iam-identity-based-access-control.html
    and https://docs.aws.amazon.com/codebuild/latest/userguide/connections-github-app.html
    """
    interfaces = location.arn("ec2", "network-interface/*")
    subnets = [location.arn("ec2", f"subnet/{subnet}") for subnet in subnet_ids]
    return [
        Statement(
            actions=["logs:CreateLogStream", "logs:PutLogEvents"],
            resources=[location.arn("logs", f"log-group:{log_group_name(project)}:*")],
        ),
        Statement(
            actions=[
                "codeconnections:GetConnection",
                "codeconnections:GetConnectionToken",
                "codeconnections:UseConnection",
            ],
            resources=[config.connection_arn],
        ),
        Statement(
            actions=[
                "ec2:DescribeDhcpOptions",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcs",
            ],
            resources=["*"],
        ),
        Statement(
            actions=["ec2:CreateNetworkInterface"],
            resources=[interfaces, location.arn("ec2", f"security-group/{group_id}"), *subnets],
        ),
        Statement(
            actions=["ec2:CreateNetworkInterfacePermission"],
            resources=[interfaces],
            conditions={
                "StringEquals": {"ec2:AuthorizedService": "codebuild.amazonaws.com"},
                "ArnEquals": {"ec2:Subnet": subnets},
            },
        ),
        Statement(
            actions=["ec2:DeleteNetworkInterface"],
            resources=[interfaces],
            # A runner could otherwise delete those of others that are not in use
            conditions={"ArnEquals": {"ec2:Subnet": subnets}, "Null": {"aws:ResourceTag/Environment": "true"}},
        ),
    ]
