"""VpcFlowLog: the flow logs of a VPC, stored in CloudWatch Logs."""

from cdktf_cdktf_provider_aws.cloudwatch_log_group import CloudwatchLogGroup
from cdktf_cdktf_provider_aws.flow_log import FlowLog
from constructs import Construct

from eks_gitops.context import Context
from eks_gitops.iam import Role, Statement, policy_document, service_trust

_SECONDS = 60


def flow_log_group_name(vpc: str) -> str:
    """The name of the log group of a VPC's flow logs."""
    return f"/aws/vpc/{vpc}/flow-logs"


class VpcFlowLog(Construct):
    """Encrypted flow logs of all traffic of a VPC, aggregated per minute and kept for `retention_days`."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        context: Context,
        vpc_id: str,
        name: str,
        retention_days: int,
    ) -> None:
        super().__init__(scope, id_)
        group_name = flow_log_group_name(name)
        group = CloudwatchLogGroup(
            self, "log-group", name=group_name, retention_in_days=retention_days, kms_key_id=context.key.arn
        )
        role = Role(
            self,
            "role",
            location=context.location,
            name="flow-log",
            description=f"Writes the flow logs of VPC {name}",
            # The condition prevents another account from using the service as a confused deputy.
            trust=[
                service_trust(
                    "vpc-flow-logs.amazonaws.com",
                    conditions={"StringEquals": {"aws:SourceAccount": context.location.account_id}},
                )
            ],
            permissions_boundary=context.permissions_boundary,
            policies={
                "write": policy_document(
                    Statement(
                        actions=["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
                        resources=[context.location.arn("logs", f"log-group:{group_name}:*")],
                    ),
                    Statement(actions=["logs:DescribeLogGroups"], resources=["*"]),
                )
            },
        )
        FlowLog(
            self,
            "flow-log",
            vpc_id=vpc_id,
            traffic_type="ALL",
            max_aggregation_interval=_SECONDS,
            log_destination_type="cloud-watch-logs",
            log_destination=group.arn,
            iam_role_arn=role.arn,
            tags={"Name": name},
        )
