"""Finds resources of a stack that exist in AWS, with the IDs by which Terraform imports them.

Sources: the section Import of each resource type in the documentation of the Terraform AWS provider 5.100.0
(`website/docs/r/*.html.markdown`), and the operations and error codes of botocore 1.43.
"""

import functools
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from operations.clients.aws import paginate, tags_by_name
from operations.errors import OperationError

_ABSENT = {
    "404", "AWS.SimpleQueueService.NonExistentQueue", "DBClusterNotFoundFault", "DBInstanceNotFound",
    "DBParameterGroupNotFound",
    "DBSubnetGroupNotFoundFault", "FileSystemNotFound", "InvalidGroup.NotFound", "InvalidRouteTableID.NotFound",
    "LifecyclePolicyNotFoundException",
    "NoSuchBucket", "NoSuchBucketPolicy", "NoSuchEntity", "NoSuchHostedZone", "NoSuchLifecycleConfiguration",
    "NoSuchPublicAccessBlockConfiguration", "NotFoundException", "OwnershipControlsNotFoundError", "PolicyNotFound",
    "QueueDoesNotExist", "ReplicationConfigurationNotFoundError", "RepositoryNotFoundException",
    "RepositoryPolicyNotFoundException",
    "ResourceNotFoundException", "ServerSideEncryptionConfigurationNotFoundError",
    "TemplateNotFoundException",
}  # fmt: skip
_OF_ANOTHER_ACCOUNT = {"403", "AccessDenied", "Forbidden"}
_OF_ANOTHER_REGION = {"301", "PermanentRedirect"}
_GONE = {"deleted", "deleting"}
_IDENTITY = ("Name", "Environment", "Project", "Region")
"""The tags that tell resources apart. Others, such as the cost center, may have changed since."""


class _NotKnownError(Exception):
    """An argument is known only after another resource is found."""


class Values(dict[str, Any]):
    """The known arguments of a resource, with `tags_all`. `by_name` is whether what others made is found, too.

    It has the name of the resource, but need not have the other tags.
    """

    def __init__(self, values: Mapping[str, Any], *, by_name: bool = False) -> None:
        super().__init__({name: value for name, value in values.items() if value is not None})
        self.by_name = by_name

    def __missing__(self, name: str) -> Any:
        raise _NotKnownError(name)


class Account:
    """What exists in one region of an account. Each question is asked once."""

    def __init__(self, client: Callable[[str], Any]) -> None:
        self._client = client
        self._answers: dict[str, Any] = {}

    def all(self, service: str, operation: str, key: str, **arguments: Any) -> list[Any]:
        """What an operation lists under `key`; nothing if what the arguments name does not exist."""
        return self._once(
            [service, operation, key, arguments],
            lambda: _pages(self._client(service), operation, key, arguments),
        )

    def get(self, service: str, operation: str, **arguments: Any) -> list[Any]:
        """The answer of an operation; nothing if what the arguments name does not exist."""
        return self._once(
            [service, operation, arguments], lambda: [getattr(self._client(service), operation)(**arguments)]
        )

    def _once(self, question: Any, ask: Callable[[], list[Any]]) -> list[Any]:
        name = repr(question)
        if name not in self._answers:
            try:
                self._answers[name] = ask()
            except ClientError as error:
                if error.response["Error"]["Code"] not in _ABSENT:
                    raise
                self._answers[name] = []
        found: list[Any] = self._answers[name]
        return found


def _pages(client: Any, operation: str, key: str, arguments: Mapping[str, Any]) -> list[Any]:
    if client.can_paginate(operation):
        return list(paginate(client, operation, key, **arguments))
    return list(getattr(client, operation)(**arguments)[key])


Finder = Callable[[Account, Values], Iterable[str]]
"""The import IDs of what exists under the arguments of a resource; more than one if it cannot be told apart."""


def find(account: Account, kind: str, values: Mapping[str, Any], *, by_name: bool = False) -> list[str]:
    """The import IDs of a resource of a type of `FINDERS`; none if it does not exist, or if too little is known of it.

    By its name and tags or, with `by_name`, also without the tags that tell environments apart.

    Raises:
        ClientError: if AWS does not answer.
        OperationError: if the resource exists, but cannot be imported.
    """
    finder = _BY_NAME.get(kind, FINDERS[kind]) if by_name else FINDERS[kind]
    try:
        return sorted(set(finder(account, Values(values, by_name=by_name))))
    except _NotKnownError:
        return []


def ambiguous(address: str, ids: Collection[str]) -> str:
    """The message for several that can be meant by one resource."""
    return f"{address}: {', '.join(ids)}: {len(ids)} exist with its name or tags; delete those that are not in use"


def _tags(tags: Any) -> dict[str, str]:
    """Tags by name, from the list or the mapping in an answer."""
    return dict(tags) if isinstance(tags, dict) else tags_by_name(tags)


def _is_own(tags: Any, values: Values) -> bool:
    expected = {name: values["tags_all"][name] for name in _IDENTITY if name in values["tags_all"]}
    found = _tags(tags)
    if values.by_name:  # tags of another environment exclude it
        return all(found.get(name, "" if name == "Name" else value) == value for name, value in expected.items())
    return bool(expected) and expected.items() <= found.items()


# --- kinds of finders -------------------------------------------------------------------------------------------------


def _named(service: str, operation: str, id_: str, **arguments: str) -> Finder:
    """Ask for one resource. `id_` and `arguments` are format strings of the resource's arguments: `{cluster_name}`."""

    def find_it(account: Account, values: Values) -> Iterator[str]:
        asked = {name: text.format_map(values) for name, text in arguments.items()}
        for _ in account.get(service, operation, **asked):
            yield id_.format_map(values)

    return find_it


def _listed(service: str, operation: str, key: str, id_: str, /, of: str = "", **same: str) -> Finder:
    """Look for a resource in a list: its field `id_`, where the fields `same` are equal to the arguments they name.

    `of` is what the list is asked for, such as `FileSystemId=file_system_id`.
    """

    def find_it(account: Account, values: Values) -> Iterator[str]:
        name, _, argument = of.partition("=")
        for one in account.all(service, operation, key, **({name: values[argument]} if of else {})):
            if all(one.get(field) == values[argument] for field, argument in same.items()):
                yield one[id_]

    return find_it


def _tagged(service: str, operation: str, key: str, id_: str) -> Finder:
    """Look for a resource by its tags."""

    def find_it(account: Account, values: Values) -> Iterator[str]:
        if values.by_name and "Name" not in values["tags_all"]:
            return
        for one in account.all(service, operation, key):
            state = one.get("State") or one.get("LifeCycleState")
            if _is_own(one.get("Tags", []), values) and str(state).lower() not in _GONE:
                yield one[id_]

    return find_it


def _of_bucket(operation: str, field: str) -> Finder:
    """A setting of a bucket, which exists if the answer has this field."""

    def find_it(account: Account, values: Values) -> Iterator[str]:
        for answer in account.get("s3", operation, Bucket=values["bucket"]):
            if field in answer:
                yield values["bucket"]

    return find_it


# --- finders of one type ----------------------------------------------------------------------------------------------


def _access_policy(account: Account, values: Values) -> Iterator[str]:
    cluster, principal, policy = values["cluster_name"], values["principal_arn"], values["policy_arn"]
    arguments = {"clusterName": cluster, "principalArn": principal}
    for one in account.all("eks", "list_associated_access_policies", "associatedAccessPolicies", **arguments):
        if one["policyArn"] == policy:
            yield f"{cluster}#{principal}#{policy}"


def _access_point(account: Account, values: Values) -> Iterator[str]:
    path = values["root_directory"][0]["path"]
    for one in account.all("efs", "describe_access_points", "AccessPoints", FileSystemId=values["file_system_id"]):
        if one["RootDirectory"]["Path"] == path and one["LifeCycleState"] not in _GONE:
            yield one["AccessPointId"]


def _aliased_key(account: Account, values: Values) -> Iterator[str]:
    """The key of an alias, whose name is `alias`; otherwise one with the description."""
    alias = values.get("alias")
    targets = [
        one.get("TargetKeyId") for one in account.all("kms", "list_aliases", "Aliases") if one["AliasName"] == alias
    ]
    yield from filter(None, targets) if targets else _key(account, values)


def _attachment(account: Account, values: Values) -> Iterator[str]:
    gateway, vpc = values["transit_gateway_id"], values["vpc_id"]
    for one in account.all("ec2", "describe_transit_gateway_vpc_attachments", "TransitGatewayVpcAttachments"):
        if (one["TransitGatewayId"], one["VpcId"]) == (gateway, vpc) and one["State"] not in _GONE:
            yield one["TransitGatewayAttachmentId"]


def _backup_selection(account: Account, values: Values) -> Iterator[str]:
    plan, name = values["plan_id"], values["name"]
    for one in account.all("backup", "list_backup_selections", "BackupSelectionsList", BackupPlanId=plan):
        if one["SelectionName"] == name:
            yield f"{plan}|{one['SelectionId']}"


def _backup_vault_lock(account: Account, values: Values) -> Iterator[str]:
    """DescribeBackupVault denies the access to a vault that does not exist, so the vault is looked for first."""
    name = values["backup_vault_name"]
    if name in {vault["BackupVaultName"] for vault in account.all("backup", "list_backup_vaults", "BackupVaultList")}:
        for vault in account.get("backup", "describe_backup_vault", BackupVaultName=name):
            if vault.get("Locked"):
                yield name


def _bucket(account: Account, values: Values) -> Iterator[str]:
    name = values["bucket"]
    try:
        yield from (name for _ in account.get("s3", "head_bucket", Bucket=name))
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _OF_ANOTHER_ACCOUNT:
            raise OperationError(f"{name}: the bucket is owned by another account; choose another name") from error
        if code in _OF_ANOTHER_REGION:
            message = "the bucket is in another region; delete it there, or choose another name"
            raise OperationError(f"{name}: {message}") from error
        raise


def _cidr_block(account: Account, values: Values) -> Iterator[str]:
    for vpc in account.all("ec2", "describe_vpcs", "Vpcs"):
        for one in vpc["CidrBlockAssociationSet"] if vpc["VpcId"] == values["vpc_id"] else ():
            if one["CidrBlock"] == values["cidr_block"] and one["CidrBlockState"]["State"] == "associated":
                yield one["AssociationId"]


def _certificate(account: Account, values: Values) -> Iterator[str]:
    for one in account.all("acm", "list_certificates", "CertificateSummaryList"):
        arn = one["CertificateArn"]
        if one["DomainName"] == values["domain_name"] and one.get("Status") in {None, "ISSUED", "PENDING_VALIDATION"}:
            tags = account.get("acm", "list_tags_for_certificate", CertificateArn=arn)
            yield from (arn for answer in tags if _is_own(answer["Tags"], values))


def _detector(account: Account, values: Values) -> Iterator[str]:
    for id_ in account.all("guardduty", "list_detectors", "DetectorIds") if values["tags_all"] else ():
        found = account.get("guardduty", "get_detector", DetectorId=id_)
        yield from (id_ for one in found if _is_own(one.get("Tags", {}), values))


def _web_acl(account: Account, values: Values) -> Iterator[str]:
    for one in account.all("wafv2", "list_web_acls", "WebACLs", Scope=values["scope"]):
        if one["Name"] == values["name"]:
            yield f"{one['Id']}/{one['Name']}/{values['scope']}"


def _default_group(account: Account, values: Values) -> Iterator[str]:
    for group in account.all("ec2", "describe_security_groups", "SecurityGroups"):
        if group["GroupName"] == "default" and group["VpcId"] == values["vpc_id"] and _is_own(group["Tags"], values):
            yield group["GroupId"]


def _event_target(account: Account, values: Values) -> Iterator[str]:
    for target in account.all("events", "list_targets_by_rule", "Targets", Rule=values["rule"]):
        if target["Id"] == values["target_id"]:
            yield f"{values['rule']}/{target['Id']}"


def _identity_provider(account: Account, values: Values) -> Iterator[str]:
    host = values["url"].removeprefix("https://")
    for provider in account.all("iam", "list_open_id_connect_providers", "OpenIDConnectProviderList"):
        if provider["Arn"].endswith(f":oidc-provider/{host}"):
            yield provider["Arn"]


def _key(account: Account, values: Values) -> Iterator[str]:
    description = values["description"]
    for entry in account.all("kms", "list_keys", "Keys"):
        for answer in account.get("kms", "describe_key", KeyId=entry["KeyId"]):
            key = answer["KeyMetadata"]
            is_ours = key.get("KeyManager") == "CUSTOMER" and key.get("Description") == description
            if is_ours and "DeletionDate" not in key:
                listed = account.all("kms", "list_resource_tags", "Tags", KeyId=key["KeyId"])
                if _is_own({tag["TagKey"]: tag["TagValue"] for tag in listed}, values):
                    yield key["KeyId"]


def _instance(account: Account, values: Values) -> Iterator[str]:
    for reservation in account.all("ec2", "describe_instances", "Reservations"):
        for one in reservation["Instances"]:
            if _is_own(one.get("Tags", []), values) and one["State"]["Name"] not in {"shutting-down", "terminated"}:
                yield one["InstanceId"]


def _mount_target(account: Account, values: Values) -> Iterator[str]:
    for one in account.all("efs", "describe_mount_targets", "MountTargets", FileSystemId=values["file_system_id"]):
        if one["SubnetId"] == values["subnet_id"] and one["LifeCycleState"] not in _GONE:
            yield one["MountTargetId"]


def _node_group(account: Account, values: Values) -> Iterator[str]:
    """The provider appends a timestamp and a counter to the prefix of the name."""
    cluster, name = values["cluster_name"], re.compile(re.escape(values["node_group_name_prefix"]) + "[0-9a-f]{26}")
    for group in account.all("eks", "list_nodegroups", "nodegroups", clusterName=cluster):
        if name.fullmatch(group):
            yield f"{cluster}:{group}"


def _pod_identity(account: Account, values: Values) -> Iterator[str]:
    cluster, namespace, name = values["cluster_name"], values["namespace"], values["service_account"]
    arguments = {"clusterName": cluster, "namespace": namespace, "serviceAccount": name}
    for one in account.all("eks", "list_pod_identity_associations", "associations", **arguments):
        if (one["namespace"], one["serviceAccount"]) == (namespace, name):
            yield f"{cluster},{one['associationId']}"


def _policy(account: Account, values: Values) -> Iterator[str]:
    arguments = {"Scope": "Local", "PathPrefix": values.get("path", "/")}
    for policy in account.all("iam", "list_policies", "Policies", **arguments):
        if policy["PolicyName"] == values["name"]:
            yield policy["Arn"]


def _policy_attachment(account: Account, values: Values) -> Iterator[str]:
    role, arn = values["role"], values["policy_arn"]
    for policy in account.all("iam", "list_attached_role_policies", "AttachedPolicies", RoleName=role):
        if policy["PolicyArn"] == arn:
            yield f"{role}/{arn}"


def _project(account: Account, values: Values, name: str = "name", *needs: str) -> Iterator[str]:
    for answer in account.get("codebuild", "batch_get_projects", names=[values[name]]):
        for project in answer["projects"]:
            if all(need in project for need in needs):
                yield project["name"]


def _queue(account: Account, values: Values) -> Iterator[str]:
    yield from (answer["QueueUrl"] for answer in account.get("sqs", "get_queue_url", QueueName=values["name"]))


def _queue_policy(account: Account, values: Values) -> Iterator[str]:
    url = values["queue_url"]
    for answer in account.get("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["Policy"]):
        if "Policy" in answer.get("Attributes", {}):
            yield url


def _record(account: Account, values: Values) -> Iterator[str]:
    zone, name, kind = values["zone_id"], values["name"].rstrip("."), values["type"]
    for record in account.all("route53", "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=zone):
        if (record["Name"].rstrip("."), record["Type"]) == (name, kind):
            yield f"{zone}_{name}_{kind}"


def _replication(account: Account, _: Values) -> Iterator[str]:
    """A registry has one replication configuration for all its repositories."""
    for registry in account.get("ecr", "describe_registry"):
        if registry["replicationConfiguration"]["rules"]:
            yield registry["registryId"]


def _route(account: Account, values: Values) -> Iterator[str]:
    table = values["route_table_id"]
    fields = {
        "DestinationCidrBlock": "destination_cidr_block",
        "DestinationIpv6CidrBlock": "destination_ipv6_cidr_block",
        "DestinationPrefixListId": "destination_prefix_list_id",
    }
    for found in account.all("ec2", "describe_route_tables", "RouteTables", RouteTableIds=[table]):
        for route in found["Routes"]:
            for field, argument in fields.items():
                if field in route and route[field] == values.get(argument):
                    yield f"{table}_{route[field]}"


def _route_table_association(account: Account, values: Values) -> Iterator[str]:
    table, subnet = values["route_table_id"], values["subnet_id"]
    for found in account.all("ec2", "describe_route_tables", "RouteTables", RouteTableIds=[table]):
        if any(association.get("SubnetId") == subnet for association in found["Associations"]):
            yield f"{subnet}/{table}"


def _secret(account: Account, values: Values) -> Iterator[str]:
    name = values["name"]
    for secret in account.get("secretsmanager", "describe_secret", SecretId=name):
        if "DeletedDate" in secret:
            command = f"aws secretsmanager restore-secret --secret-id {name}"
            raise OperationError(f"{name}: the secret is scheduled for deletion; restore it: {command}")
        yield secret["ARN"]


def _security_group_rule(account: Account, values: Values, *, is_egress: bool = False) -> Iterator[str]:
    filters = [{"Name": "group-id", "Values": [values["security_group_id"]]}]
    peers = {"CidrIpv4": "cidr_ipv4", "CidrIpv6": "cidr_ipv6", "PrefixListId": "prefix_list_id"}
    peer = {values[argument] for argument in (*peers.values(), "referenced_security_group_id") if argument in values}
    if not peer:
        raise _NotKnownError("the other side")
    traffic = (values["ip_protocol"], values.get("from_port", -1), values.get("to_port", -1))
    for rule in account.all("ec2", "describe_security_group_rules", "SecurityGroupRules", Filters=filters):
        found = {rule[field] for field in peers if field in rule} | set(rule.get("ReferencedGroupInfo", {}).values())
        ports = (rule["IpProtocol"], rule.get("FromPort", -1), rule.get("ToPort", -1))
        if rule["IsEgress"] == is_egress and ports == traffic and peer <= found:
            yield rule["SecurityGroupRuleId"]


def _zone(account: Account, values: Values) -> Iterator[str]:
    for answer in account.get("route53", "list_hosted_zones_by_name", DNSName=values["name"]):
        for zone in answer["HostedZones"]:
            if zone["Name"] == f"{values['name']}." and not zone["Config"]["PrivateZone"]:
                yield zone["Id"].removeprefix("/hostedzone/")


_OF_CLUSTER = "{cluster_name}:"

FINDERS: Mapping[str, Finder] = {
    "aws_acm_certificate": _certificate,
    "aws_backup_plan": _listed(
        "backup", "list_backup_plans", "BackupPlansList", "BackupPlanId", BackupPlanName="name"
    ),
    "aws_backup_selection": _backup_selection,
    "aws_backup_vault": _listed(
        "backup", "list_backup_vaults", "BackupVaultList", "BackupVaultName", BackupVaultName="name"
    ),
    "aws_backup_vault_lock_configuration": _backup_vault_lock,
    "aws_budgets_budget": _named(
        "budgets", "describe_budget", "{account_id}:{name}", AccountId="{account_id}", BudgetName="{name}"
    ),
    "aws_cloudwatch_event_rule": _named("events", "describe_rule", "{name}", Name="{name}"),
    "aws_cloudwatch_event_target": _event_target,
    "aws_cloudwatch_log_group": _listed(
        "logs", "describe_log_groups", "logGroups", "logGroupName", of="logGroupNamePrefix=name", logGroupName="name"
    ),
    "aws_codebuild_project": _project,
    "aws_codebuild_webhook": lambda account, values: _project(account, values, "project_name", "webhook"),
    "aws_db_instance": _named("rds", "describe_db_instances", "{identifier}", DBInstanceIdentifier="{identifier}"),
    "aws_db_parameter_group": _named("rds", "describe_db_parameter_groups", "{name}", DBParameterGroupName="{name}"),
    "aws_db_subnet_group": _named("rds", "describe_db_subnet_groups", "{name}", DBSubnetGroupName="{name}"),
    "aws_default_security_group": _default_group,
    "aws_dynamodb_table": _named("dynamodb", "describe_table", "{name}", TableName="{name}"),
    "aws_ecr_lifecycle_policy": _named(
        "ecr", "get_lifecycle_policy", "{repository}", repositoryName="{repository}"
    ),
    "aws_ecr_replication_configuration": _replication,
    "aws_ecr_repository": _listed(
        "ecr", "describe_repositories", "repositories", "repositoryName", repositoryName="name"
    ),
    "aws_ecr_repository_policy": _named(
        "ecr", "get_repository_policy", "{repository}", repositoryName="{repository}"
    ),
    "aws_ec2_transit_gateway_vpc_attachment": _attachment,
    "aws_ecr_repository_creation_template": _listed(
        "ecr", "describe_repository_creation_templates", "repositoryCreationTemplates", "prefix", prefix="prefix"
    ),
    "aws_efs_access_point": _access_point,
    "aws_efs_file_system": _tagged("efs", "describe_file_systems", "FileSystems", "FileSystemId"),
    "aws_efs_file_system_policy": _named(
        "efs", "describe_file_system_policy", "{file_system_id}", FileSystemId="{file_system_id}"
    ),
    "aws_efs_mount_target": _mount_target,
    "aws_eip": _tagged("ec2", "describe_addresses", "Addresses", "AllocationId"),
    "aws_eks_access_entry": _named(
        "eks", "describe_access_entry", _OF_CLUSTER + "{principal_arn}",
        clusterName="{cluster_name}", principalArn="{principal_arn}",
    ),
    "aws_eks_access_policy_association": _access_policy,
    "aws_eks_addon": _named(
        "eks", "describe_addon", _OF_CLUSTER + "{addon_name}", clusterName="{cluster_name}", addonName="{addon_name}"
    ),
    "aws_eks_cluster": _named("eks", "describe_cluster", "{name}", name="{name}"),
    "aws_eks_node_group": _node_group,
    "aws_eks_pod_identity_association": _pod_identity,
    "aws_flow_log": _tagged("ec2", "describe_flow_logs", "FlowLogs", "FlowLogId"),
    "aws_guardduty_detector": _detector,
    "aws_iam_instance_profile": _named("iam", "get_instance_profile", "{name}", InstanceProfileName="{name}"),
    "aws_iam_openid_connect_provider": _identity_provider,
    "aws_iam_policy": _policy,
    "aws_iam_role": _named("iam", "get_role", "{name}", RoleName="{name}"),
    "aws_iam_role_policy": _named("iam", "get_role_policy", "{role}:{name}", RoleName="{role}", PolicyName="{name}"),
    "aws_iam_role_policy_attachment": _policy_attachment,
    "aws_instance": _instance,
    "aws_internet_gateway": _tagged("ec2", "describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    "aws_kms_alias": _listed("kms", "list_aliases", "Aliases", "AliasName", AliasName="name"),
    "aws_kms_key": _key,
    "aws_launch_template": _listed(
        "ec2", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateId", LaunchTemplateName="name"
    ),
    "aws_nat_gateway": _tagged("ec2", "describe_nat_gateways", "NatGateways", "NatGatewayId"),
    "aws_rds_cluster": _named(
        "rds", "describe_db_clusters", "{cluster_identifier}", DBClusterIdentifier="{cluster_identifier}"
    ),
    "aws_rds_cluster_instance": _named(
        "rds", "describe_db_instances", "{identifier}", DBInstanceIdentifier="{identifier}"
    ),
    "aws_rds_cluster_parameter_group": _named(
        "rds", "describe_db_cluster_parameter_groups", "{name}", DBClusterParameterGroupName="{name}"
    ),
    "aws_route": _route,
    "aws_route53_record": _record,
    "aws_route53_zone": _zone,
    "aws_route_table": _tagged("ec2", "describe_route_tables", "RouteTables", "RouteTableId"),
    "aws_route_table_association": _route_table_association,
    "aws_s3_bucket": _bucket,
    "aws_s3_bucket_lifecycle_configuration": _of_bucket("get_bucket_lifecycle_configuration", "Rules"),
    "aws_s3_bucket_ownership_controls": _of_bucket("get_bucket_ownership_controls", "OwnershipControls"),
    "aws_s3_bucket_policy": _of_bucket("get_bucket_policy", "Policy"),
    "aws_s3_bucket_public_access_block": _of_bucket("get_public_access_block", "PublicAccessBlockConfiguration"),
    "aws_s3_bucket_replication_configuration": _of_bucket("get_bucket_replication", "ReplicationConfiguration"),
    "aws_s3_bucket_server_side_encryption_configuration": _of_bucket(
        "get_bucket_encryption", "ServerSideEncryptionConfiguration"
    ),
    "aws_s3_bucket_versioning": _of_bucket("get_bucket_versioning", "Status"),
    "aws_secretsmanager_secret": _secret,
    "aws_security_group": _tagged("ec2", "describe_security_groups", "SecurityGroups", "GroupId"),
    "aws_sqs_queue": _queue,
    "aws_sqs_queue_policy": _queue_policy,
    "aws_subnet": _tagged("ec2", "describe_subnets", "Subnets", "SubnetId"),
    "aws_vpc": _tagged("ec2", "describe_vpcs", "Vpcs", "VpcId"),
    "aws_vpc_endpoint": _tagged("ec2", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
    "aws_vpc_ipv4_cidr_block_association": _cidr_block,
    "aws_vpc_security_group_egress_rule": functools.partial(_security_group_rule, is_egress=True),
    "aws_vpc_security_group_ingress_rule": _security_group_rule,
    "aws_wafv2_web_acl": _web_acl,
}  # fmt: skip
"""By type, how a resource is found."""

_BY_NAME: Mapping[str, Finder] = {
    "aws_kms_key": _aliased_key,
    "aws_security_group": _listed(
        "ec2", "describe_security_groups", "SecurityGroups", "GroupId", GroupName="name", VpcId="vpc_id"
    ),
}
"""The same of what others made, if it differs."""

NOT_IMPORTED: Mapping[str, str] = {
    "aws_ce_cost_allocation_tag": "no resource, but the status of a tag: to activate an active tag changes nothing",
    "aws_cloudwatch_query_definition": "a saved query: delete the older one of the same name afterwards",
    "aws_guardduty_detector_feature": "no resource, but a setting of a detector: to set it again changes nothing",
    "aws_acm_certificate_validation": "nothing in AWS: its creation waits until the certificate is issued",
}
"""Types that cannot be imported, each with the reason. An apply creates them again, without an effect on others."""
