"""IAM policies for applying a region's shared stack: its network, image repositories, domain and key."""

from eks_gitops.delivery.apply_policy import manage_certificates, manage_ec2, manage_iam, manage_keys, tagged, tags_new
from eks_gitops.iam import Statement
from eks_gitops.location import Location
from eks_gitops.vpc import VpcConfig


def statements(
    location: Location,
    vpc: VpcConfig | None,
    *,
    existing_key_arn: str | None = None,
    existing_boundary_arn: str | None = None,
) -> dict[str, list[Statement]]:
    """The statements by policy name. They exclude the delivery roles, which only an administrator changes.

    `vpc` is None for an existing VPC, in which they permit nothing.
    """
    flow_logs = Statement(sid="FlowLogs", actions=["logs:*"], resources=[location.arn("logs", "log-group:/aws/vpc/*")])
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
                passed_to=["ecr.amazonaws.com", "vpc-flow-logs.amazonaws.com"],
                linked=["replication.ecr.amazonaws.com"],
                existing_boundary_arn=existing_boundary_arn,
            ),
            *manage_keys(location, existing_key_arn),
        ],
    }


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
