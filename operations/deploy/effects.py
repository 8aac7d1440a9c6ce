"""What a planned change does to what runs, in one sentence: which nodes are replaced, which data ends, what is down.

`make plan` shows these sentences, and `docs/changes.md` is made with them. Changes of roles, tags and others have none.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from operations.output.report import Table
from operations.terraform.plans import Action, Change, Plan


class _Effect(NamedTuple):
    """An effect of an action on resources of a type; of an update, only if one of these arguments changes."""

    kind: str
    action: Action
    text: str
    arguments: tuple[str, ...] = ()
    creates_first: bool | None = None
    is_lowered: bool = False
    """Only if the number gets lower."""


# Sources:
# - EKS updates and deletes managed node groups node by node, as disruption budgets allow, with at most 15 minutes for
#   each: https://docs.aws.amazon.com/eks/latest/userguide/managed-node-update-behavior.html
#   When a group is deleted, a node is drained for at most 5 minutes:
#   https://docs.aws.amazon.com/eks/latest/userguide/delete-managed-node-group.html
# - Outages of RDS by setting: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_ModifyInstance.Settings.html
# - Instances of Aurora: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.Modifying.html, and
#   https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Concepts.AuroraHighAvailability.html
# - ECR expires images within a day: https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
# - Deletion of keys: https://docs.aws.amazon.com/kms/latest/developerguide/deleting-keys.html
# - The rest: the documentation of the resource in the AWS provider 5.100.0 (arguments that force a replacement)
_EFFECTS = (
    _Effect("aws_acm_certificate", "replace", "issues another certificate; load balancers need it before the old ends"),
    _Effect("aws_backup_plan", "update", "applies to new backups; those that exist keep their end"),
    _Effect("aws_backup_vault", "destroy", "ends the vault: every backup in it must be deleted before"),
    _Effect("aws_cloudwatch_log_group", "destroy", "deletes the logs in it"),
    _Effect("aws_cloudwatch_log_group", "replace", "deletes the logs in it"),
    _Effect("aws_cloudwatch_log_group", "update", "deletes logs that are older than the new retention",
            ("retention_in_days",), is_lowered=True),
    _Effect("aws_guardduty_detector", "destroy", "deletes the findings, also those of others in the account"),
    _Effect("aws_db_instance", "create", "makes a database, empty or from a snapshot; about 10 minutes"),
    _Effect("aws_db_instance", "destroy", "deletes the database; its final snapshot stays"),
    _Effect("aws_db_instance", "replace", "deletes the database and makes an empty one"),
    _Effect("aws_db_instance", "update", "changes the version of the engine: the database is down meanwhile, and only "
            "a snapshot leads back", ("engine_version",)),
    _Effect("aws_db_instance", "update", "restarts the database in the next maintenance window; with Multi-AZ, it "
            "fails over instead", ("instance_class",)),
    _Effect("aws_db_instance", "update", "enlarges the storage without an outage; RDS accepts the next change of it "
            "six hours later", ("allocated_storage",)),
    _Effect("aws_db_instance", "update", "adds or removes the standby in the next maintenance window, without an "
            "outage", ("multi_az",)),
    _Effect("aws_db_instance", "update", "restarts the database if the retention of backups changes from or to 0",
            ("backup_retention_period",)),
    _Effect("aws_ecr_lifecycle_policy", "replace", "ECR deletes the images beyond it within a day"),
    _Effect("aws_ecr_repository", "destroy", "deletes the images in it"),
    _Effect("aws_ecr_repository", "replace", "deletes the images in it"),
    _Effect("aws_efs_access_point", "destroy", "Pods that mount it fail; the files stay"),
    _Effect("aws_efs_access_point", "replace", "gets another ID: volumes that name the old one fail; the files stay"),
    _Effect("aws_efs_file_system", "destroy", "deletes all files on it"),
    _Effect("aws_efs_file_system", "replace", "deletes all files on it"),
    _Effect("aws_eip", "destroy", "gives up the public address: partners who allow it must know the new one"),
    _Effect("aws_eks_access_entry", "destroy", "takes access to the cluster from the role"),
    _Effect("aws_eks_addon", "create", "installs the add-on"),
    _Effect("aws_eks_addon", "destroy", "removes the add-on from the cluster"),
    _Effect("aws_eks_addon", "replace", "removes the add-on and installs it again"),
    _Effect("aws_eks_addon", "update", "restarts the Pods of the add-on one after the other",
            ("addon_version", "configuration_values", "pod_identity_association", "service_account_role_arn")),
    _Effect("aws_eks_cluster", "destroy", "deletes the cluster and everything in it"),
    _Effect("aws_eks_cluster", "replace", "deletes the cluster and everything in it, and makes an empty one"),
    _Effect("aws_eks_cluster", "update", "changes the version of the control plane, some minutes; Pods run on, nodes "
            "follow", ("version",)),
    _Effect("aws_eks_cluster", "update", "changes from where the API is reachable, some minutes; Pods run on",
            ("vpc_config",)),
    _Effect("aws_eks_node_group", "create", "adds nodes"),
    _Effect("aws_eks_node_group", "destroy", "drains and removes its nodes; their Pods need room on others"),
    _Effect("aws_eks_node_group", "replace", "replaces all its nodes, new ones first; old ones are drained, at most 5 "
            "minutes each", creates_first=True),
    _Effect("aws_eks_node_group", "replace", "removes all its nodes before it makes new ones", creates_first=False),
    _Effect("aws_eks_node_group", "update", "replaces all its nodes, a third at a time, as disruption budgets allow",
            ("launch_template", "release_version", "version")),
    _Effect("aws_eks_node_group", "update", "changes the number of its nodes, or its bounds", ("scaling_config",)),
    _Effect("aws_eks_node_group", "update", "changes labels or taints of nodes that run", ("labels", "taint")),
    _Effect("aws_internet_gateway", "destroy", "takes the internet from the VPC"),
    _Effect("aws_kms_key", "destroy", "schedules the deletion of the key: what it encrypted is lost with it"),
    _Effect("aws_nat_gateway", "create", "makes another way to the internet, with a public address of its own"),
    _Effect("aws_nat_gateway", "destroy", "ends the connections through it; its zone uses another one or none"),
    _Effect("aws_nat_gateway", "replace", "ends the connections through it; the public address may change"),
    _Effect("aws_ec2_transit_gateway_vpc_attachment", "destroy", "ends the connections through the transit gateway"),
    _Effect("aws_ec2_transit_gateway_vpc_attachment", "replace", "ends the connections through the transit gateway"),
    _Effect("aws_rds_cluster", "create", "makes a database, empty or from a snapshot; some minutes"),
    _Effect("aws_rds_cluster", "destroy", "deletes the database; its final snapshot stays"),
    _Effect("aws_rds_cluster", "replace", "deletes the database and makes an empty one"),
    _Effect("aws_rds_cluster", "update", "changes the version of the engine: the database is down meanwhile, and only "
            "a snapshot leads back", ("engine_version",)),
    _Effect("aws_rds_cluster", "update", "changes the limits of the size of its instances, without an outage",
            ("serverlessv2_scaling_configuration",)),
    _Effect("aws_rds_cluster_instance", "create", "adds an instance, a reader if there is a writer; about 10 minutes"),
    _Effect("aws_rds_cluster_instance", "destroy", "removes the instance; if it is the writer, a reader takes its "
            "place"),
    _Effect("aws_rds_cluster_instance", "replace", "removes the instance and makes another; if it is the writer, a "
            "reader takes its place"),
    _Effect("aws_rds_cluster_instance", "update", "restarts the instance in the next maintenance window; if it is the "
            "writer, a reader takes its place", ("instance_class",)),
    _Effect("aws_route", "destroy", "ends the connections through it"),
    _Effect("aws_route", "update", "ends the connections through the old route"),
    _Effect("aws_route53_zone", "destroy", "deletes the zone: its names no longer resolve"),
    _Effect("aws_route53_zone", "replace", "gets other name servers: its names do not resolve until they are entered"),
    _Effect("aws_s3_bucket", "destroy", "deletes the bucket, which must be empty"),
    _Effect("aws_s3_bucket", "replace", "deletes the bucket, which must be empty, and makes another"),
    _Effect("aws_subnet", "replace", "fails while nodes, databases or load balancers are in it"),
    _Effect("aws_subnet", "destroy", "fails while nodes, databases or load balancers are in it"),
    _Effect("aws_vpc", "replace", "fails while anything is in it"),
    _Effect("aws_vpc_endpoint", "create", "requests to the service go through it from now on"),
    _Effect("aws_vpc_endpoint", "update", "allows and refuses other requests from now on", ("policy",)),
    _Effect("aws_vpc_endpoint", "destroy", "requests to the service go through NAT gateways again"),
)  # fmt: skip


def _effect(change: Change) -> str:
    """What a change does to what runs; empty if there is nothing to say."""
    texts = [rule.text for rule in _EFFECTS if _applies(rule, change)]
    return "; ".join(dict.fromkeys(texts))


def _applies(rule: _Effect, change: Change) -> bool:
    return (
        (rule.kind, rule.action) == (change.kind, change.action)
        and (not rule.arguments or not set(rule.arguments).isdisjoint(change.changed))
        and rule.creates_first in (None, change.creates_first)
        and (not rule.is_lowered or _is_lowered(change, rule.arguments[0]))
    )


def _is_lowered(change: Change, argument: str) -> bool:
    before, after = ((side or {}).get(argument) for side in (change.before, change.after))
    return isinstance(before, int) and isinstance(after, int) and after < before


def effects(plan: Plan) -> dict[str, list[str]]:
    """The resources of a plan by what happens to them."""
    found: dict[str, list[str]] = {}
    for change in plan.changes:
        if text := _effect(change):
            found.setdefault(text, []).append(_named(change))
    return found


def _named(change: Change) -> str:
    """A resource by type and its name in AWS, such as `aws_eks_node_group main`."""
    arguments: Mapping[str, Any] = change.before or change.after or {}
    names = (
        arguments.get(key)
        for key in ("node_group_name", "addon_name", "identifier", "cluster_identifier", "name", "bucket")
    )
    tags = arguments.get("tags") or {}
    return f"{change.kind} {next((name for name in names if name), tags.get('Name', ''))}".strip()


def effects_table(stacks: Mapping[str, Mapping[str, Sequence[str]]]) -> Table:
    """A table of the effects of each stack."""
    rows = [[stack, text, "\n".join(names)] for stack, found in stacks.items() for text, names in found.items()]
    return Table("What the changes do", ["stack", "effect", "resources"], rows)
