"""The rules of the guard, one function per subject. Each yields the hits of a change."""

import json
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, NamedTuple

from operations.guard import grants
from operations.terraform.plans import TAINTED, Change, Plan

Network = IPv4Network | IPv6Network
Peer = Network | str
"""The source of a rule: a network, or the id of a security group or prefix list."""


class Hit(NamedTuple):
    """A rule that a change breaks. A refusal needs an override; other hits are for review."""

    rule: str
    why: str
    remedy: str
    is_refusal: bool = False


_HOLDS: Mapping[str, str] = {
    "aws_backup_vault": "the recovery points in it are lost",
    "aws_db_instance": "the database and its automated backups are lost; a new one is empty",
    "aws_dynamodb_table": "the items in it are lost, including the locks of Terraform states",
    "aws_ecr_repository": "the images in it are lost, and running services cannot pull them again",
    "aws_efs_file_system": "the files on it are lost; a new one is empty",
    "aws_eks_cluster": "all workloads in it are lost, with their volumes, load balancers and the OIDC issuer",
    "aws_iam_openid_connect_provider": "pipelines or workloads that authenticate with it lose access immediately",
    "aws_kms_key": "data that it encrypted can never be decrypted again, including backups and state",
    "aws_rds_cluster": "the database and its automated backups are lost; a new one is empty",
    "aws_route53_zone": "a new zone has other name servers: its hosts are down until the zone above delegates to them",
    "aws_s3_bucket": "the objects in it are lost, including Terraform states if it is the state bucket or its copy",
    "aws_subnet": "nodes, databases and mount targets are in it; they are destroyed with it or block its deletion",
    "aws_vpc": "every cluster, database and file system of the region is in it",
}

_UNHARMED = "keep its construct id, or move it (`move_from_id`); if intended, add an override to guard-overrides.toml"
_MAY_BE_EXISTING = {"aws_ecr_repository", "aws_iam_openid_connect_provider", "aws_kms_key", "aws_route53_zone"}
"""What the settings can name as something existing, which the platform uses without owning it."""
_FORGET = (
    "if the settings name it as an existing one now, let Terraform forget it: `terraform state rm {address}` "
    "(docs/architecture.md, What you already have); otherwise "
)
_KEEP_ARGO_CD = "keep gitops.hub; to join a hub on purpose, destroy the in-cluster stack before (docs/hub.md)"
_TAINTED = "if it works, keep it with `make recover`; if its creation failed, add an override to guard-overrides.toml"
_REVIEW = "narrow it, or have a reviewer accept it"
_SAME_ZONES = "keep `cluster.zones`; new zones of the VPC are for nodes, databases and files"
_LATER = "a value known only after the apply"


def hits(change: Change, new_roles: Collection[str] = (), nodes: "Nodes | None" = None) -> Iterator[Hit]:
    """All hits of a change. `new_roles` are the roles that its plan creates; `nodes` is what the plan does to nodes."""
    yield from _new_grants(change, new_roles)
    yield from _node_groups(change, nodes or Nodes())
    for rule in (_destroyed, _versions, _database, _iam, _network, _zones, _secrets, _public, _protection):
        yield from rule(change)


def _destroyed(change: Change) -> Iterator[Hit]:
    if change.kind == "helm_release" and change.action == "destroy" and (change.before or {}).get("name") == "root":
        why = "with its root Application, Argo CD deletes everything that it deployed to the cluster"
        yield Hit("loses-data-or-identity", why, _KEEP_ARGO_CD, is_refusal=True)
    if change.kind in _HOLDS and change.action in {"destroy", "replace", "forget"}:
        forced = f" (forced by {', '.join(change.replaced_for)})" if change.replaced_for else ""
        why = "Terraform no longer manages it" if change.action == "forget" else _HOLDS[change.kind]
        remedy = _TAINTED if change.reason == TAINTED else _UNHARMED
        if change.kind == "aws_eks_cluster" and "role_arn" in change.replaced_for:
            old = (change.before or {}).get("role_arn")
            remedy = f'keep its role: set cluster.role_arn="{old}", or remove it if the platform created that role'
        if change.kind in _MAY_BE_EXISTING and change.action == "destroy":
            remedy = _FORGET.format(address=change.address) + _UNHARMED
        yield Hit("loses-data-or-identity", f"{why}{forced}", remedy, is_refusal=True)


# --- versions ---------------------------------------------------------------------------------------------------------

_VERSIONS: Mapping[str, tuple[str, ...]] = {
    "aws_eks_addon": ("addon_version",),
    "aws_eks_cluster": ("version",),
    "aws_eks_node_group": ("version", "release_version"),
}
# EKS rolls back a control plane by one minor version (https://docs.aws.amazon.com/eks/latest/userguide/
# rollback-cluster.html). The documentation of UpdateNodegroupVersion (botocore 1.43.106) says that a node group cannot
# be rolled back, that page says that it can.
_WHEN_LOWERED: Mapping[str, str] = {
    "aws_eks_addon": "the add-on is taken back",
    "aws_eks_cluster": "EKS takes the control plane back, if it is within 7 days of its upgrade",
    "aws_eks_node_group": "every node is replaced by an older one",
}
_NEWER = "set the running version in the settings; to go back on purpose, follow docs/eks-upgrades.md"
_VERSION = re.compile(r"v?(\d+(?:\.\d+)*)(?:-(?:eksbuild\.)?(\d+)$)?")


def _versions(change: Change) -> Iterator[Hit]:
    before, after = change.before or {}, change.after or {}
    for name in _VERSIONS.get(change.kind, ()):
        if name == "release_version" and before.get("ami_type") != after.get("ami_type"):
            continue  # releases of different operating systems cannot be compared
        old, new = before.get(name), after.get(name)
        if _is_older(new, old):
            yield Hit("lowers-version", f"{name}: {old} becomes {new}: {_WHEN_LOWERED[change.kind]}", _NEWER)


def _is_older(new: str | None, old: str | None) -> bool:
    """Whether a version is older than another. `17` is not older than `17.6`: AWS chooses the rest of it."""
    ours, theirs = _numbers(new), _numbers(old)
    length = min(len(ours), len(theirs))
    return ours[:length] < theirs[:length]


def _numbers(version: str | None) -> list[int]:
    """`v1.36.0-eksbuild.9` and `1.36.0-9` as 1, 36, 0 and 9; the last part of `1.36.0-9a` is no number.

    Nothing for a version that is known only after the apply.
    """
    found = _VERSION.match(version or "")
    return [int(part) for part in [*found[1].split("."), found[2]] if part] if found else []


# --- nodes ------------------------------------------------------------------------------------------------------------

_NODE_GROUP = "aws_eks_node_group"
_ENDS = {"destroy", "replace"}
_GROUP_FIRST = "add another node group and deploy it, then change or remove this one"


class Nodes(NamedTuple):
    """What a plan does to the nodes of clusters, which are named."""

    kept: Collection[Any] = ()
    """The clusters in which a node group runs Pods during the whole apply."""
    added: Collection[Any] = ()
    """The clusters that get another node group, or nodes in one that had none."""
    lost: Collection[Any] = ()
    """The clusters that are destroyed or replaced, with everything in them."""


def nodes(plan: Plan) -> Nodes:
    """What a plan does to the nodes of clusters."""
    groups = [change for change in plan.changes if change.kind == _NODE_GROUP]
    kept = [arguments for kind, arguments in plan.unchanged if kind == _NODE_GROUP]
    stay = [one for one in groups if one.after and (one.action in {"update", "move"} or one.creates_first)]
    kept += [one.after for one in stay if one.after and one.before and _runs_pods(one.before)]
    # A group whose first nodes start, or lose their taint, is no better than a new one.
    added = [one.after for one in groups if one.after and (one.action == "create" or one in stay)]
    clusters = [one.before for one in plan.changes if one.kind == "aws_eks_cluster" and one.action in _ENDS]
    return Nodes(
        kept={group.get("cluster_name") for group in kept if _runs_pods(group)},
        added={group.get("cluster_name") for group in added if _runs_pods(group)},
        lost={cluster["name"] for cluster in clusters if cluster is not None},
    )


def _runs_pods(group: Mapping[str, Any]) -> bool:
    """Whether a node group has nodes on which Pods without tolerations run."""
    has_nodes = _first(group.get("scaling_config")).get("desired_size") != 0
    return has_nodes and all(taint["effect"] == "PREFER_NO_SCHEDULE" for taint in group.get("taint") or [])


def _stops_pods(change: Change) -> bool:
    """Whether a node group ends, or an update leaves it without nodes on which Pods without tolerations run."""
    was, becomes = change.before or {}, change.after or {}
    return change.action in _ENDS or (change.action == "update" and _runs_pods(was) and not _runs_pods(becomes))


def _node_groups(change: Change, nodes: Nodes) -> Iterator[Hit]:
    """EKS drains the nodes of a group that is deleted, 5 minutes each, and then terminates them.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/delete-managed-node-group.html
    """
    cluster = (change.before or {}).get("cluster_name")
    if change.kind != _NODE_GROUP or not _stops_pods(change) or cluster in nodes.lost:
        return
    if change.creates_first:
        yield Hit(
            "replaces-nodes", "all its Pods move to new nodes, which are created first", "deploy it at a quiet time"
        )
    elif cluster in nodes.kept:
        return
    elif cluster in nodes.added:
        why = f"{cluster} has no ready nodes until those of another group join, which start at the same time"
        yield Hit("replaces-nodes", why, _GROUP_FIRST)
    else:
        forced = f" (forced by {', '.join(change.replaced_for)})" if change.replaced_for else ""
        why = f"no node is left in {cluster}: its Pods, with CoreDNS and Argo CD, have nowhere to run{forced}"
        yield Hit("no-nodes", why, _GROUP_FIRST, is_refusal=True)


# --- databases --------------------------------------------------------------------------------------------------------

_RUNBOOK = "docs/runbook/databases.md"


def _database(change: Change) -> Iterator[Hit]:
    """Upgrades of a database, changes that RDS rejects, which would fail in the middle of an apply, and lost instances.

    Services cannot connect to an Aurora cluster while its writer is replaced and no reader takes its place.
    """
    if change.kind in {"aws_db_instance", "aws_rds_cluster"} and change.action == "update":
        before, after = change.before or {}, change.after or {}
        yield from _engine(before, after)
        yield from _storage(before, after)
    if change.kind == "aws_rds_cluster_instance" and change.action in _ENDS:
        why = "if it is the writer, a reader takes its place with a short outage; without readers, the database is down"
        yield Hit("interrupts-service", why, "deploy it at a quiet time, with another instance in the cluster")


def _engine(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Hit]:
    """Another version of the engine.

    Sources: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_UpgradeDBInstance.PostgreSQL.html and
    https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_UpgradeDBInstance.MySQL.Major.html. Aurora is the same:
    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_UpgradeDBInstance.PostgreSQL.MajorVersion.html.
    """
    old, new = before.get("engine_version"), after.get("engine_version")
    length = 2 if str(after.get("engine")).endswith("mysql") else 1  # of a major version, such as 8.4 of 8.4.7
    changed = f"engine_version: {old} becomes {new}"
    if _is_older(new, old):
        remedy = f"set the version that runs, without major_upgrade_to; the way back is a restore: {_RUNBOOK}"
        yield Hit("rejected-by-aws", f"{changed}: RDS cannot lower a version", remedy, is_refusal=True)
    elif _numbers(new)[:length] > _numbers(old)[:length] > []:
        if after.get("allow_major_version_upgrade"):
            why = f"{changed}: an outage during the apply, also with Multi-AZ, and no way back but a restore"
            yield Hit("interrupts-service", why, f"follow {_RUNBOOK}, and have a reviewer accept it")
        else:
            why = f"{changed}: RDS rejects another major version unless allow_major_version_upgrade is set"
            remedy = f"if intended, set major_upgrade_to in the settings, and follow {_RUNBOOK}"
            yield Hit("rejected-by-aws", why, remedy, is_refusal=True)


def _storage(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Hit]:
    """Source: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_PIOPS.Autoscaling.html."""
    old, new, most = before.get("allocated_storage"), after.get("allocated_storage"), after.get("max_allocated_storage")
    if old and new and new < old:
        why, remedy = f"allocated_storage: {old} becomes {new}: RDS cannot reduce storage", f"set it to {old} or more"
        yield Hit("rejected-by-aws", why, remedy, is_refusal=True)
    elif new and most and most != before.get("max_allocated_storage") and most * 10 < new * 11:
        why = f"max_allocated_storage: {most}: less than 10 % above the allocated storage, which is {new} by now"
        yield Hit("rejected-by-aws", why, f"set it to {math.ceil(new * 11 / 10)} or more", is_refusal=True)


# --- IAM --------------------------------------------------------------------------------------------------------------

_BOUNDARY = "permissions_boundary"
_POLICIES = ("policy", "assume_role_policy")
_ADMINISTRATORS = ("/AdministratorAccess", "/IAMFullAccess", "/PowerUserAccess", "AdminPolicy")


def _iam(change: Change) -> Iterator[Hit]:
    before, after = change.before or {}, change.after or {}
    for name in _POLICIES:
        old, new = _policy(before.get(name)), _policy(after.get(name))
        if change.unknown.get(name) and old:
            yield Hit("widens-access", f"{name} is known only after the apply", "read the policy in the code")
        elif change.action in {"update", "replace"} and new is not None:
            for gained in grants.gained(old or {}, new):
                yield Hit("widens-access", f"{name} gains {gained}", _REVIEW)
        elif change.action == "create" and new is not None:
            for admin in grants.administrative(new):
                yield Hit("widens-access", f"{name} {admin}", _REVIEW)
    arn = after.get("policy_arn")
    if isinstance(arn, str) and arn != before.get("policy_arn") and arn.endswith(_ADMINISTRATORS):
        yield Hit("widens-access", f"{arn} grants administrator access", _REVIEW)
    old_boundary, new_boundary = before.get(_BOUNDARY), after.get(_BOUNDARY)
    if old_boundary and change.action in {"update", "replace"} and old_boundary != new_boundary:
        becomes = f"becomes {new_boundary or _LATER}" if new_boundary or change.unknown.get(_BOUNDARY) else "is removed"
        yield Hit("widens-access", f"permissions_boundary {becomes}: it limits what the role can be allowed", _REVIEW)


def _new_grants(change: Change, new_roles: Collection[str]) -> Iterator[Hit]:
    """The grants to an existing role by a new inline policy or a new attachment of a managed policy."""
    before, after = change.before or {}, change.after or {}
    role = after.get("role")
    if change.action not in {"create", "replace"} or not isinstance(role, str) or role in new_roles:
        return
    had = before if before.get("role") == role else {}
    if change.kind == "aws_iam_role_policy_attachment":
        policy = after.get("policy_arn", _LATER)
        if policy != had.get("policy_arn"):
            yield Hit("widens-access", f"{role} gains {policy}", _REVIEW)
    elif change.kind == "aws_iam_role_policy" and not had:
        new = _policy(after.get("policy"))
        for grant in [_LATER] if new is None else grants.gained({}, new):
            yield Hit("widens-access", f"{role} gains {grant}", _REVIEW)


def _policy(text: Any) -> dict[str, Any] | None:
    try:
        document = json.loads(text)
    except (TypeError, ValueError):
        return None
    return document if isinstance(document, dict) and "Statement" in document else None


# --- networks ---------------------------------------------------------------------------------------------------------

_PEERS = ("prefix_list_id", "prefix_list_ids", "referenced_security_group_id", "security_groups",
          "source_security_group_id")  # fmt: skip
_CIDRS = ("cidr_blocks", "ipv6_cidr_blocks", "cidr_ipv4", "cidr_ipv6")


def _network(change: Change) -> Iterator[Hit]:
    """Rules of security groups, written in the group or by themselves."""
    old, new = _ingress(change, change.before), _ingress(change, change.after)
    # The id of a group that the same plan creates is known only after the apply.
    group_exists = isinstance((change.after or {}).get("security_group_id"), str)
    for peer, ports in sorted(new, key=str):
        kept = any(_covers(other, peer) and _within(ports, opened) for other, opened in old)
        is_public = not isinstance(peer, str) and not peer.is_private
        if not kept and (is_public or group_exists or change.action == "update"):
            yield Hit("opens-network", f"allows ingress from {peer} to {_ports(ports)}", _REVIEW)


def _ingress(change: Change, arguments: Mapping[str, Any] | None) -> set[tuple[Peer, tuple[str, int, int]]]:
    if arguments is None or not change.kind.endswith(("security_group", "security_group_rule", "_ingress_rule")):
        return set()
    if change.kind == "aws_security_group_rule" and arguments.get("type") != "ingress":
        return set()
    found: set[tuple[Peer, tuple[str, int, int]]] = set()
    for rule in (arguments.get("ingress") or []) if change.kind.endswith("security_group") else [arguments]:
        protocol = str(rule.get("protocol", rule.get("ip_protocol")))
        first, last = rule.get("from_port"), rule.get("to_port")
        every = protocol in {"-1", "all"}
        ports = ("-1", 0, 65535) if every else (protocol, int(first or 0), int(last or 0))
        cidrs = [cidr for name in _CIDRS for cidr in _list(rule.get(name))]
        others = [other for name in _PEERS for other in _list(rule.get(name))]
        if not cidrs and not others and not rule.get("self"):  # every rule has a source
            others = [None]
        found.update((ip_network(cidr, strict=False) if cidr else _LATER, ports) for cidr in cidrs)
        found.update((other or _LATER, ports) for other in others)
    return found


def _covers(outer: Peer, inner: Peer) -> bool:
    if isinstance(outer, str) or isinstance(inner, str):
        return outer == inner
    return _inside(inner, [outer])


def _inside(network: Network, others: Sequence[Network]) -> bool:
    return any(network.version == other.version and network.subnet_of(other) for other in others)  # type: ignore[arg-type]


def _within(inner: tuple[str, int, int], outer: tuple[str, int, int]) -> bool:
    return outer[0] in {"-1", inner[0]} and outer[1] <= inner[1] and inner[2] <= outer[2]


def _ports(ports: tuple[str, int, int]) -> str:
    protocol, first, last = ports
    return "all ports" if protocol == "-1" else f"{protocol} {first}" + (f"-{last}" if last != first else "")


def _list(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list) else [value]


# --- zones of clusters ------------------------------------------------------------------------------------------------


def _zones(change: Change) -> Iterator[Hit]:
    """A cluster accepts other subnets in exactly the zones of its creation, where this platform has one subnet each.

    A plan does not contain the zones of subnets, only their number.
    Source: https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html
    """
    if change.kind != "aws_eks_cluster" or change.action != "update":
        return
    configs = [_first((arguments or {}).get("vpc_config")) for arguments in (change.before, change.after)]
    old, new = (sorted(config.get("subnet_ids") or []) for config in configs)
    if old != new:
        becomes = ", ".join(new) or _LATER
        why = f"subnets {', '.join(old)} become {becomes}: EKS accepts only the zones of the cluster's creation"
        yield Hit("moves-control-plane", why, _SAME_ZONES, is_refusal=len(new) not in {0, len(old)})


# --- secrets of clusters ----------------------------------------------------------------------------------------------


def _secrets(change: Change) -> Iterator[Hit]:
    """EKS encrypts with a key only a cluster that has none yet. The old key must stay: without it, the cluster is lost.

    Source: `AssociateEncryptionConfig` of EKS in botocore 1.43.
    """
    if change.kind != "aws_eks_cluster" or change.action != "update":
        return
    old, new = (
        _first(_first((arguments or {}).get("encryption_config")).get("provider")).get("key_arn")
        for arguments in (change.before, change.after)
    )
    if old and old != new and (new or _is_unknown(change.unknown, "encryption_config[0].provider[0].key_arn")):
        why = f"encryption_config: {old} becomes {new or _LATER}: EKS keeps the key of a cluster"
        remedy = f'keep the key: set key_arn="{old}" if Terraform forgot it; another key needs a new cluster'
        yield Hit("rejected-by-aws", why, remedy, is_refusal=True)


# --- public endpoints -------------------------------------------------------------------------------------------------

_CLOSED = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")


def _public(change: Change) -> Iterator[Hit]:
    if change.after is None:
        return
    before, after = change.before or {}, change.after
    if after.get("publicly_accessible") and not before.get("publicly_accessible"):
        yield Hit("public", "publicly_accessible: the database can be reached from the internet", _REVIEW)
    if change.kind == "aws_s3_bucket_public_access_block":
        closed = [name for name in _CLOSED if not after.get(name) and (change.before is None or before.get(name))]
        if closed:
            yield Hit("public", f"{', '.join(closed)}: the bucket can be made public", _REVIEW)
    old, new = (_first(arguments.get("vpc_config")) for arguments in (before, after))
    if new.get("endpoint_public_access"):
        was = old if old.get("endpoint_public_access") else {}
        networks = [ip_network(cidr, strict=False) for cidr in was.get("public_access_cidrs") or []]
        cidrs = new.get("public_access_cidrs") or ["0.0.0.0/0"]
        more = [cidr or _LATER for cidr in cidrs if not cidr or not _inside(ip_network(cidr, strict=False), networks)]
        if more:
            yield Hit("public", f"the API server of the cluster accepts requests from {', '.join(more)}", _REVIEW)


def _first(blocks: Any) -> Mapping[str, Any]:
    return blocks[0] if isinstance(blocks, list) and blocks and isinstance(blocks[0], dict) else {}


# --- retention and protection -----------------------------------------------------------------------------------------

_NUMBERS = {
    "backup_retention_period", "countNumber", "days", "deletion_window_in_days", "delete_after", "max_retention_days",
    "min_retention_days", "noncurrent_days", "performance_insights_retention_period", "recovery_window_in_days",
    "retention_in_days",
}  # fmt: skip
_GOOD = {
    "deletion_protection", "deletion_protection_enabled", "enable_key_rotation", "enabled", "encrypted", "multi_az",
    "scan_on_push", "storage_encrypted",
}  # fmt: skip
_BAD = {"force_delete", "force_destroy", "map_public_ip_on_launch", "skip_final_snapshot"}
_BEST: Mapping[str, tuple[str, ...]] = {
    "http_tokens": ("required",),
    "sse_algorithm": ("aws:kms", "aws:kms:dsse"),
    "status": ("Enabled", "ENABLED"),
}
_SETS = {"enabled_cloudwatch_logs_exports", "enabled_cluster_log_types"}
_PROTECTS = (
    "aws_backup_plan", "aws_backup_selection", "aws_backup_vault_lock_configuration", "aws_ecr_registry_scanning",
    "aws_efs_backup_policy", "aws_flow_log", "aws_guardduty_detector", "aws_s3_bucket_lifecycle",
    "aws_s3_bucket_ownership",
    "aws_s3_bucket_policy", "aws_s3_bucket_public_access_block", "aws_s3_bucket_replication",
    "aws_s3_bucket_server_side_encryption", "aws_s3_bucket_versioning", "aws_wafv2_web_acl",
)  # fmt: skip
_TLS = {("rds.force_ssl", "1"), ("require_secure_transport", "1"), ("require_secure_transport", "ON")}
"""The parameters of PostgreSQL and MySQL, and of MySQL on Aurora."""
_KEEP = "restore it, or have a reviewer accept it"


def _protection(change: Change) -> Iterator[Hit]:
    if change.action == "destroy" and change.kind.startswith(_PROTECTS):
        yield Hit("lowers-protection", "the protection, backup or logging that it provides ends", _KEEP)
    if change.before is None or change.after is None:
        return
    if (names := _requires_tls(change.before)) and not _requires_tls(change.after):
        yield Hit("lowers-protection", f"{', '.join(names)}: connections without TLS are accepted", _KEEP)
    if moving := _moving_tags(change.after) - _moving_tags(change.before):
        yield Hit("lowers-protection", f"image_tag_mutability: tags {', '.join(sorted(moving))} can be moved", _KEEP)
    new = dict(_leaves(change.after))
    for path, old in _leaves(change.before):
        if (why := _lowered(path, old, new.get(path))) and not _is_unknown(change.unknown, path):
            yield Hit("lowers-protection", f"{path}: {why}", _KEEP)


def _moving_tags(arguments: Mapping[str, Any]) -> set[str]:
    """The patterns of the tags of an image repository that a push can overwrite."""
    match arguments.get("image_tag_mutability"):
        case None | "IMMUTABLE":
            return set()
        case "IMMUTABLE_WITH_EXCLUSION":
            return {one["filter"] for one in arguments.get("image_tag_mutability_exclusion_filter") or []}
        case _:
            return {"*"}


def _requires_tls(arguments: Mapping[str, Any]) -> list[str]:
    """The parameters of a group that require TLS."""
    parameters = [one for one in arguments.get("parameter") or [] if isinstance(one, dict)]
    return [one["name"] for one in parameters if (one.get("name"), one.get("value")) in _TLS]


def _lowered(path: str, old: Any, new: Any) -> str | None:
    name = path.rpartition(".")[2]
    is_lowered = (
        (name in _NUMBERS and _days(name, new) < _days(name, old))
        or (name in _GOOD and old is True and not new)
        or (name in _BAD and not old and new is True)
        or (name in _BEST and old in _BEST[name] and new not in _BEST[name])
        or (name in _SETS and set(old or []) - set(new or []))
        or (name.endswith(("kms_key_id", "key_arn", "kms_key", "kms_master_key_id")) and old and not new)
    )
    return f"{_shown(old)} becomes {_shown(new)}" if is_lowered else None


def _days(name: str, value: Any) -> float:
    """Days as a number. A log group with 0 days keeps its events forever."""
    return float("inf") if name == "retention_in_days" and value == 0 else float(value or 0)


def _shown(value: Any) -> str:
    return "null" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each argument with its path, also inside JSON strings. Lists of plain values are leaves."""
    if isinstance(value, str) and value.startswith("{"):
        with suppress(ValueError):
            value = json.loads(value)
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _leaves(member, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for number, item in enumerate(value):
            yield from _leaves(item, f"{path}[{number}]")
    else:
        yield path, value


def _is_unknown(unknown: Mapping[str, Any], path: str) -> bool:
    """Whether the value, or a block that contains it, is known only after the apply."""
    marked = dict(_leaves(unknown))
    return any(mark is True and (path == at or path.startswith((f"{at}.", f"{at}["))) for at, mark in marked.items())
