"""What exists in an account, by the APIs of AWS, and what a state says: by type of Terraform and what identifies it.

Only what Terraform creates as a resource of its own; settings of another resource are compared by a plan.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from operations.clients.aws import object_of, paginate
from operations.state.states import parse_resources
from operations.terraform.stacks import Stack

Found = tuple[str, str]
"""A type and an identity."""

_IDENTITY = {"aws_iam_policy": "arn", "aws_iam_role_policy_attachment": "policy_arn"}
_SETTINGS = (
    "aws_default_security_group", "aws_ecr_lifecycle_policy", "aws_route", "aws_s3_bucket_ownership_controls",
    "aws_s3_bucket_policy", "aws_s3_bucket_public_access_block", "aws_s3_bucket_replication_configuration",
    "aws_s3_bucket_server_side_encryption_configuration", "aws_s3_bucket_versioning",
)  # fmt: skip
"""Types that belong to another resource: there is one of each."""


def held_in_state(s3: Any, stack: Stack) -> set[Found]:
    """What the state of a stack holds."""
    body = object_of(s3, stack.state.bucket, stack.state.key)
    resources = parse_resources(stack.name, json.loads(body)) if body else []
    return {(one.kind, str(one[_IDENTITY.get(one.kind, "id")])) for one in resources if one.kind not in _SETTINGS}


def found_in_aws(client: Callable[[str], Any]) -> set[Found]:
    """What exists, besides what every account has."""
    return {*_network(client("ec2")), *_identities(client("iam")), *_keys(client("kms")), *_others(client)}


def _network(ec2: Any) -> Iterator[Found]:
    vpcs = [vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"] if not vpc["IsDefault"]]
    yield from (("aws_vpc", vpc) for vpc in vpcs)
    for subnet in ec2.describe_subnets()["Subnets"]:
        if subnet["VpcId"] in vpcs:
            yield "aws_subnet", subnet["SubnetId"]
    for table in ec2.describe_route_tables()["RouteTables"]:
        associations = table["Associations"]
        if table["VpcId"] in vpcs and not any(one["Main"] for one in associations):
            yield "aws_route_table", table["RouteTableId"]
            yield from (("aws_route_table_association", one["RouteTableAssociationId"]) for one in associations)
    groups = [one for one in ec2.describe_security_groups()["SecurityGroups"] if one["GroupName"] != "default"]
    yield from (("aws_security_group", group["GroupId"]) for group in groups)
    for rule in ec2.describe_security_group_rules()["SecurityGroupRules"]:
        if rule["GroupId"] in {group["GroupId"] for group in groups} and not rule["IsEgress"]:
            yield "aws_vpc_security_group_ingress_rule", rule["SecurityGroupRuleId"]
    for gateway in ec2.describe_internet_gateways()["InternetGateways"]:
        if all(one["VpcId"] in vpcs for one in gateway["Attachments"]):
            yield "aws_internet_gateway", gateway["InternetGatewayId"]
    yield from (("aws_eip", address["AllocationId"]) for address in ec2.describe_addresses()["Addresses"])
    yield from (("aws_flow_log", log["FlowLogId"]) for log in ec2.describe_flow_logs()["FlowLogs"])


def _identities(iam: Any) -> Iterator[Found]:
    for policy in paginate(iam, "list_policies", "Policies", Scope="Local"):
        yield "aws_iam_policy", policy["Arn"]
    for role in [one["RoleName"] for one in paginate(iam, "list_roles", "Roles")]:
        yield "aws_iam_role", role
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            yield "aws_iam_role_policy", f"{role}:{name}"
        for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
            yield "aws_iam_role_policy_attachment", policy["PolicyArn"]
    for provider in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]:
        yield "aws_iam_openid_connect_provider", provider["Arn"]


def _keys(kms: Any) -> Iterator[Found]:
    for key in paginate(kms, "list_keys", "Keys"):
        described = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
        if described["KeyManager"] == "CUSTOMER" and described["KeyState"] == "Enabled":
            yield "aws_kms_key", key["KeyId"]
    for alias in paginate(kms, "list_aliases", "Aliases"):
        if not alias["AliasName"].startswith("alias/aws/"):
            yield "aws_kms_alias", alias["AliasName"]


def _others(client: Callable[[str], Any]) -> Iterator[Found]:
    for group in paginate(client("logs"), "describe_log_groups", "logGroups"):
        yield "aws_cloudwatch_log_group", group["logGroupName"]
    for repository in paginate(client("ecr"), "describe_repositories", "repositories"):
        yield "aws_ecr_repository", repository["repositoryName"]
    for bucket in client("s3").list_buckets()["Buckets"]:
        yield "aws_s3_bucket", bucket["Name"]
