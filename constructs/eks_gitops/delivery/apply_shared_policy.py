"""IAM policies for applying a region's shared stack: its network, image repositories, domain and key."""

from eks_gitops.delivery.apply_policy import manage_certificates, manage_ec2, manage_iam, manage_keys, tagged, tags_new
from eks_gitops.iam import Statement
from eks_gitops.location import Location
from eks_gitops.runners import log_group_name, runner_name
from eks_gitops.vpc import VpcConfig

_OF_RUNNERS = ("Project", "Webhook")


def statements(
    location: Location,
    vpc: VpcConfig | None,
    *,
    existing_key_arn: str | None = None,
    existing_boundary_arn: str | None = None,
    access_host: bool = False,
    connection_arn: str | None = None,
    cost_tags: bool = False,
    threat_detection: bool = False,
) -> dict[str, list[Statement]]:
    """The statements by policy name. They exclude the delivery roles, which only an administrator changes.

    `vpc` is None for an existing VPC, in which they permit nothing but what the host and the runners need.
    `connection_arn` is that of the runners; None if there are none. `threat_detection` is whether there are settings
    of GuardDuty.
    """
    flow_logs = Statement(sid="FlowLogs", actions=["logs:*"], resources=[location.arn("logs", "log-group:/aws/vpc/*")])
    tags = Statement(sid="CostTags", actions=["ce:UpdateCostAllocationTagsStatus"], resources=["*"])
    optional = {
        **({"access-host": _access_host(location)} if access_host else {}),
        **({"runners": _runners(location, connection_arn)} if connection_arn is not None else {}),
    }
    if optional and vpc is None:
        optional["existing-vpc"] = _in_existing_vpc(location)
    return {
        **({"network": _network(location, vpc)} if vpc is not None else {}),
        "images-and-domain": [
            Statement(
                sid="MakeRepositories",
                actions=["ecr:CreateRepository", "ecr:TagResource"],
                resources=[location.arn("ecr", "repository/*")],
                conditions=tags_new(location),
            ),
            Statement(
                sid="KeepRepositories",
                actions=["ecr:*"],
                resources=[location.arn("ecr", "repository/*")],
                conditions=tagged(location),
            ),
            Statement(
                sid="Replication",
                actions=[
                    "ecr:CreateRepositoryCreationTemplate",
                    "ecr:DeleteRepositoryCreationTemplate",
                    "ecr:PutReplicationConfiguration",
                    "ecr:UpdateRepositoryCreationTemplate",
                ],
                resources=["*"],
            ),
            # What a template contains. Source:
            # https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-creation-templates-create.html
            Statement(
                sid="ReplicasOfImages",
                actions=["ecr:CreateRepository", "ecr:PutLifecyclePolicy"],
                resources=[location.arn("ecr", "repository/*", region="*")],
                conditions={"StringNotEquals": {"aws:RequestedRegion": location.region}},
            ),
            Statement(sid="MakeZones", actions=["route53:CreateHostedZone"], resources=["*"]),
            Statement(
                sid="Zones",
                actions=[
                    "route53:ChangeResourceRecordSets",
                    "route53:ChangeTagsForResource",
                    "route53:DeleteHostedZone",
                    "route53:UpdateHostedZoneComment",
                ],
                resources=[location.arn("route53", "hostedzone/*")],
            ),
            *manage_certificates(location),
            *([flow_logs] if vpc is not None else []),
        ],
        "identity": [
            *manage_iam(
                location,
                passed_to=[
                    "ecr.amazonaws.com",
                    "vpc-flow-logs.amazonaws.com",
                    *(["ec2.amazonaws.com"] if access_host else []),
                    *(["codebuild.amazonaws.com"] if connection_arn is not None else []),
                ],
                linked=["replication.ecr.amazonaws.com", *(["guardduty.amazonaws.com"] if threat_detection else [])],
                existing_boundary_arn=existing_boundary_arn,
            ),
            *manage_keys(location, existing_key_arn),
        ],
        **optional,
        **({"cost-tags": [tags]} if cost_tags else {}),
        **({"threat-detection": _threat_detection(location)} if threat_detection else {}),
    }


def _threat_detection(location: Location) -> list[Statement]:
    detectors = [location.arn("guardduty", "detector/*")]
    return [
        Statement(
            sid="MakeDetector",
            actions=["guardduty:CreateDetector"],
            resources=["*"],
            conditions=tagged(location, "aws:RequestTag/Environment"),
        ),
        Statement(
            sid="TagNewDetector", actions=["guardduty:TagResource"], resources=detectors, conditions=tags_new(location)
        ),
        Statement(
            sid="KeepDetector",
            actions=[
                "guardduty:DeleteDetector",
                "guardduty:TagResource",
                "guardduty:UntagResource",
                "guardduty:UpdateDetector",
            ],
            resources=detectors,
            conditions=tagged(location),
        ),
        Statement(
            sid="Findings", actions=["events:*"], resources=[location.arn("events", f"rule/{location.name('*')}")]
        ),
    ]


def _network(location: Location, vpc: VpcConfig) -> list[Statement]:
    # A transit gateway can be of another account.
    gateways = [
        location.arn("ec2", f"transit-gateway/{connection.id}", account_id="*")
        for connection in vpc.connections
        if not connection.is_peering
    ]
    attach = ["ec2:CreateTransitGatewayVpcAttachment"] if gateways else []
    in_vpc = [
        "ec2:CreateFlowLogs",
        "ec2:CreateNatGateway",
        "ec2:CreateRouteTable",
        "ec2:CreateSecurityGroup",
        "ec2:CreateSubnet",
        "ec2:CreateVpcEndpoint",
    ]
    owned = manage_ec2(
        location,
        create=[*in_vpc, *attach, "ec2:AllocateAddress", "ec2:CreateInternetGateway", "ec2:CreateVpc"],
        created=[
            "elastic-ip",
            "internet-gateway",
            "natgateway",
            "route-table",
            "security-group",
            "subnet",
            *(["transit-gateway-attachment"] if attach else []),
            "vpc",
            "vpc-endpoint",
            "vpc-flow-log",
        ],
        rules=["ec2:AuthorizeSecurityGroupIngress"],
        keep=[
            *in_vpc,
            *([*attach, "ec2:ModifyTransitGatewayVpcAttachment"] if attach else []),
            *(["ec2:AssociateVpcCidrBlock", "ec2:DisassociateVpcCidrBlock"] if vpc.secondary_cidrs else []),
            "ec2:AssociateNatGatewayAddress",
            "ec2:AssociateRouteTable",
            "ec2:AttachInternetGateway",
            "ec2:CreateRoute",
            "ec2:Delete*",
            "ec2:DetachInternetGateway",
            "ec2:DisassociateAddress",
            "ec2:DisassociateNatGatewayAddress",
            "ec2:DisassociateRouteTable",
            "ec2:ModifySecurityGroupRules",
            "ec2:ModifySubnetAttribute",
            "ec2:ModifyVpcAttribute",
            "ec2:ModifyVpcEndpoint",
            "ec2:ReleaseAddress",
            "ec2:ReplaceRoute",
            "ec2:RevokeSecurityGroupEgress",
            "ec2:RevokeSecurityGroupIngress",
        ],
    )
    return [*owned, *([Statement(sid="AttachVpc", actions=attach, resources=gateways)] if attach else [])]


def _in_existing_vpc(location: Location) -> list[Statement]:
    """What the host and the runners need in a VPC without the tags of the platform."""
    return [
        *manage_ec2(
            location,
            create=["ec2:CreateSecurityGroup"],
            created=["security-group"],
            rules=["ec2:AuthorizeSecurityGroupIngress"],
            keep=[
                "ec2:DeleteSecurityGroup",
                "ec2:ModifySecurityGroupRules",
                "ec2:RevokeSecurityGroupEgress",
                "ec2:RevokeSecurityGroupIngress",
            ],
        ),
        Statement(sid="InVpc", actions=["ec2:CreateSecurityGroup"], resources=[location.arn("ec2", "vpc/*")]),
        Statement(sid="InSubnets", actions=["ec2:RunInstances"], resources=[location.arn("ec2", "subnet/*")]),
    ]


def _access_host(location: Location) -> list[Statement]:
    """What the host needs beside its role and the ingress rules of security groups."""
    return [
        *manage_ec2(
            location,
            create=["ec2:RunInstances"],
            created=["instance", "volume"],
            rules=["ec2:AuthorizeSecurityGroupEgress"],
            keep=[
                "ec2:ModifyInstance*",
                "ec2:RunInstances",  # in the subnet and the security group
                "ec2:StartInstances",
                "ec2:StopInstances",
                "ec2:TerminateInstances",
            ],
        ),
        Statement(
            sid="LaunchFrom",
            actions=["ec2:RunInstances"],
            resources=[location.arn("ec2", "image/*", account_id="")],
            conditions={"StringEquals": {"ec2:Owner": "amazon"}},
        ),
        Statement(
            sid="LaunchWith",
            actions=["ec2:RunInstances"],
            resources=[location.arn("ec2", "network-interface/*")],
            conditions={"StringEqualsIfExists": {"aws:ResourceTag/Environment": location.environment}},
        ),
    ]


def _runners(location: Location, connection_arn: str) -> list[Statement]:
    """What the runners need beside their roles and the ingress rules of security groups."""
    projects = runner_name(location, "*")
    return [
        Statement(
            sid="Runners",
            actions=[f"codebuild:{verb}{what}" for verb in ("Create", "Delete", "Update") for what in _OF_RUNNERS],
            resources=[location.arn("codebuild", f"project/{projects}")],
        ),
        Statement(
            sid="Connection",
            actions=[f"codeconnections:{verb}Connection" for verb in ("Get", "Pass", "Use")],
            resources=[connection_arn],
        ),
        Statement(
            sid="RunnerLogs",
            actions=["logs:*"],
            resources=[location.arn("logs", f"log-group:{log_group_name(projects)}")],
        ),
        *manage_ec2(
            location,
            create=["ec2:CreateSecurityGroup"],
            created=["security-group"],
            rules=["ec2:AuthorizeSecurityGroupEgress"],
            keep=[],
        ),
    ]
