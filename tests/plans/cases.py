"""Proposed changes and the expected findings of the guard. `make.py` plans them with real Terraform."""

import json
from typing import Any, NamedTuple

Arguments = dict[str, Any]


class Case(NamedTuple):
    """A change and its expected findings.

    `changes` are by address: arguments to set, or None to remove the resource. `expected` are address, rule, and a part
    of the reason.
    """

    changes: dict[str, Arguments | None]
    expected: list[tuple[str, str, str]]


def policy(*statements: Arguments) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **entry} for entry in statements]})


_ASSUME = {"Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}
_READ = {"Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::media/*"]}
_DENY = {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Principal": "*",
         "Condition": {"Bool": {"aws:SecureTransport": "false"}}}  # fmt: skip
_BUCKET = "${aws_s3_bucket.state.id}"
_ADMIN_ARN = "arn:aws:iam::aws:policy/AdministratorAccess"

_NODES: Arguments = {
    "cluster_name": "${aws_eks_cluster.cluster.name}", "node_role_arn": "${aws_iam_role.app.arn}",
    "subnet_ids": ["${aws_subnet.a.id}"], "instance_types": ["m7i.large"],
    "scaling_config": {"min_size": 1, "desired_size": 2, "max_size": 3}, "lifecycle": {"create_before_destroy": True},
}  # fmt: skip

BASE: dict[str, Arguments] = {
    "aws_cloudwatch_log_group.cluster": {"name": "/aws/eks/guarded/cluster", "retention_in_days": 90},
    "aws_db_instance.database": {
        "identifier": "guarded", "engine": "postgres", "engine_version": "17", "instance_class": "db.t4g.micro",
        "allocated_storage": 20,
        "username": "master", "manage_master_user_password": True, "storage_encrypted": True,
        "backup_retention_period": 14, "deletion_protection": True, "skip_final_snapshot": False,
        "final_snapshot_identifier": "guarded-final", "publicly_accessible": False,
    },
    "aws_ecr_repository.app": {"name": "app", "image_tag_mutability": "IMMUTABLE"},
    "aws_efs_file_system.files": {"encrypted": True},
    "aws_eks_cluster.cluster": {
        "name": "guarded", "role_arn": "${aws_iam_role.app.arn}",
        "enabled_cluster_log_types": ["api", "audit"],
        "vpc_config": {
            "subnet_ids": ["${aws_subnet.a.id}", "${aws_subnet.c.id}"],
            "endpoint_public_access": False, "endpoint_private_access": True,
        },
    },
    "aws_eks_addon.upgraded": {
        "cluster_name": "${aws_eks_cluster.upgraded.name}", "addon_name": "kube-proxy",
        "addon_version": "v1.36.0-eksbuild.9",
    },
    "aws_eks_cluster.upgraded": {
        "name": "upgraded", "role_arn": "${aws_iam_role.app.arn}", "version": "1.36",
        "vpc_config": {
            "subnet_ids": ["${aws_subnet.a.id}", "${aws_subnet.c.id}"],
            "endpoint_public_access": False, "endpoint_private_access": True,
        },
    },
    "aws_eks_node_group.upgraded": {
        "cluster_name": "${aws_eks_cluster.upgraded.name}", "node_group_name": "upgraded", "version": "1.36",
        "release_version": "1.36.0-20261107", "node_role_arn": "${aws_iam_role.app.arn}",
        "subnet_ids": ["${aws_subnet.a.id}"],
        "scaling_config": {"min_size": 1, "desired_size": 1, "max_size": 2},
    },
    "aws_eks_node_group.main": {**_NODES, "node_group_name_prefix": "main-"},
    "aws_eks_node_group.batch": {
        **_NODES, "node_group_name_prefix": "batch-", "taint": {"key": "batch", "effect": "NO_SCHEDULE"},
    },
    "aws_iam_openid_connect_provider.github": {
        "url": "https://token.actions.githubusercontent.com", "client_id_list": ["sts.amazonaws.com"],
        "thumbprint_list": ["0" * 40],
    },
    "aws_iam_policy.boundary": {"name": "boundary", "policy": policy({"Action": "s3:*", "Resource": "*"})},
    "aws_iam_role.app": {
        "name": "app", "assume_role_policy": policy(_ASSUME),
        "permissions_boundary": "${aws_iam_policy.boundary.arn}",
    },
    "aws_iam_role_policy.app": {"name": "app", "role": "${aws_iam_role.app.id}", "policy": policy(_READ)},
    "aws_iam_role_policy_attachment.read": {
        "role": "${aws_iam_role.app.name}", "policy_arn": "arn:aws:iam::aws:policy/ReadOnlyAccess",
    },
    "aws_kms_key.key": {"deletion_window_in_days": 30, "enable_key_rotation": True},
    "aws_route53_zone.zone": {"name": "your-domain.com"},
    "aws_s3_bucket.state": {"bucket": "guarded-state"},
    "aws_s3_bucket_policy.state": {"bucket": _BUCKET, "policy": policy({**_DENY})},
    "aws_s3_bucket_public_access_block.state": {
        "bucket": _BUCKET, "block_public_acls": True, "block_public_policy": True, "ignore_public_acls": True,
        "restrict_public_buckets": True,
    },
    "aws_s3_bucket_server_side_encryption_configuration.state": {
        "bucket": _BUCKET, "rule": {"apply_server_side_encryption_by_default": {"sse_algorithm": "aws:kms"}},
    },
    "aws_s3_bucket_versioning.state": {"bucket": _BUCKET, "versioning_configuration": {"status": "Enabled"}},
    "aws_security_group.database": {"name": "database", "vpc_id": "${aws_vpc.vpc.id}"},
    "aws_subnet.a": {"vpc_id": "${aws_vpc.vpc.id}", "cidr_block": "10.0.1.0/24",
                     "availability_zone": "ap-northeast-2a"},
    "aws_subnet.c": {"vpc_id": "${aws_vpc.vpc.id}", "cidr_block": "10.0.2.0/24",
                     "availability_zone": "ap-northeast-2c"},
    "aws_vpc.vpc": {"cidr_block": "10.0.0.0/16"},
    "aws_vpc_security_group_ingress_rule.database": {
        "security_group_id": "${aws_security_group.database.id}", "ip_protocol": "tcp", "from_port": 5432,
        "to_port": 5432, "cidr_ipv4": "10.0.0.0/16",
    },
}  # fmt: skip

_LOST, _WIDER, _OPEN, _PUBLIC, _LOWER, _OLDER, _NONE_LEFT, _MOVED = (
    "loses-data-or-identity", "widens-access", "opens-network", "public", "lowers-protection", "lowers-version",
    "no-nodes", "replaces-nodes",
)  # fmt: skip
_REJECTED, _DOWN, _ZONES = "rejected-by-aws", "interrupts-service", "moves-control-plane"
_MAIN, _BATCH = "aws_eks_node_group.main", "aws_eks_node_group.batch"
_BLOCK = "aws_s3_bucket_public_access_block.state"
_DATABASE = "aws_db_instance.database"
_INGRESS = "aws_vpc_security_group_ingress_rule.database"


def _destroyed(address: str) -> Case:
    return Case({address: None}, [(address, _LOST, "")])


FIRST = "first-deploy"
"""Planned before the base is applied: every resource is new."""

CASES: dict[str, Case] = {
    FIRST: Case({}, []),
    "nothing": Case({}, []),
    "tags-alone": Case({"aws_vpc.vpc": {"tags": {"Team": "platform"}}}, []),
    "harmless-new-role": Case(
        {"aws_iam_role.new": {"name": "new", "assume_role_policy": policy(_ASSUME)},
         "aws_iam_role_policy.new": {"name": "new", "role": "${aws_iam_role.new.id}", "policy": policy(_READ)}},
        [],
    ),
    "narrowed-policy": Case(
        {"aws_iam_role_policy.app": {"policy": policy({**_READ, "Resource": ["arn:aws:s3:::media/public/*"]})}}, []
    ),
    "raised-retention": Case(
        {"aws_cloudwatch_log_group.cluster": {"retention_in_days": 365},
         "aws_db_instance.database": {"backup_retention_period": 30}},
        [],
    ),
    "raised-versions": Case(
        {"aws_eks_cluster.upgraded": {"version": "1.37"},
         "aws_eks_node_group.upgraded": {"version": "1.37", "release_version": "1.37.0-20261001"},
         "aws_eks_addon.upgraded": {"addon_version": "v1.36.0-eksbuild.10"},
         "aws_db_instance.database": {"engine_version": "17.10"}},
        [],
    ),
    "lowered-versions": Case(
        {"aws_eks_cluster.upgraded": {"version": "1.35"},
         "aws_eks_node_group.upgraded": {"version": "1.35", "release_version": "1.35.4-20261107"},
         "aws_eks_addon.upgraded": {"addon_version": "v1.36.0-eksbuild.8"}},
        [("aws_eks_cluster.upgraded", _OLDER, "version: 1.36 becomes 1.35: EKS takes the control plane back"),
         ("aws_eks_node_group.upgraded", _OLDER, "version: 1.36 becomes 1.35"),
         ("aws_eks_addon.upgraded", _OLDER, "addon_version: v1.36.0-eksbuild.9 becomes v1.36.0-eksbuild.8")],
    ),
    "older-image-of-nodes": Case(
        {"aws_eks_node_group.upgraded": {"release_version": "1.36.0-20261031"}},
        [("aws_eks_node_group.upgraded", _OLDER, "release_version: 1.36.0-20261107 becomes 1.36.0-20261031")],
    ),
    "destroyed-key": _destroyed("aws_kms_key.key"),
    "destroyed-repository": _destroyed("aws_ecr_repository.app"),
    "destroyed-provider": _destroyed("aws_iam_openid_connect_provider.github"),
    "destroyed-zone": _destroyed("aws_route53_zone.zone"),
    "destroyed-file-system": _destroyed("aws_efs_file_system.files"),
    "destroyed-cluster": Case(
        {"aws_eks_cluster.cluster": None, _MAIN: None, _BATCH: None}, [("aws_eks_cluster.cluster", _LOST, "workloads")]
    ),
    "destroyed-nodes": Case({_MAIN: None}, [(_MAIN, _NONE_LEFT, "no node is left in guarded")]),
    "destroyed-nodes-beside-others": Case({_BATCH: None}, []),
    "renamed-nodes": Case(
        {_MAIN: None, "aws_eks_node_group.new": {**_NODES, "node_group_name_prefix": "new-"}},
        [(_MAIN, _MOVED, "no ready nodes until those of another group join")],
    ),
    "replaced-nodes": Case(
        {_MAIN: {"instance_types": ["m7i.xlarge"]}}, [(_MAIN, _MOVED, "new nodes, which are created first")]
    ),
    "replaced-nodes-after-the-old-ones": Case(
        {_MAIN: {"instance_types": ["m7i.xlarge"], "lifecycle": {"create_before_destroy": False}}},
        [(_MAIN, _NONE_LEFT, "nowhere to run (forced by instance_types)")],
    ),
    "fewer-nodes": Case({_MAIN: {"scaling_config": {"min_size": 1, "desired_size": 1, "max_size": 3}}}, []),
    "destroyed-database": _destroyed("aws_db_instance.database"),
    "destroyed-bucket": Case(
        {address: None for address in BASE if address.startswith("aws_s3_bucket")},
        [("aws_s3_bucket.state", _LOST, "the state bucket"),
         *[(address, _LOWER, "it provides ends") for address in BASE if address.startswith("aws_s3_bucket_")]],
    ),
    "replaced-network": Case(
        {"aws_vpc.vpc": {"cidr_block": "10.1.0.0/16"}},
        [("aws_vpc.vpc", _LOST, "(forced by cidr_block)"),
         ("aws_subnet.a", _LOST, "(forced by vpc_id)"), ("aws_subnet.c", _LOST, "(forced by vpc_id)"),
         (_MAIN, _MOVED, ""), (_BATCH, _MOVED, ""),
         *[(f"aws_eks_cluster.{name}", _ZONES, "become a value") for name in ("cluster", "upgraded")],
         ("aws_eks_node_group.upgraded", _NONE_LEFT, "forced by subnet_ids")],
    ),
    "replaced-subnet": Case(
        {"aws_subnet.c": {"cidr_block": "10.0.3.0/24"}},
        [("aws_subnet.c", _LOST, "(forced by cidr_block)"),
         *[(f"aws_eks_cluster.{name}", _ZONES, "become a value") for name in ("cluster", "upgraded")]],
    ),
    "replaced-database": Case(
        {"aws_db_instance.database": {"identifier": "renamed", "storage_encrypted": False}},
        [("aws_db_instance.database", _LOST, "storage_encrypted"),
         ("aws_db_instance.database", _LOWER, "storage_encrypted: True becomes False")],
    ),
    "upgraded-database": Case(
        {_DATABASE: {"engine_version": "18", "allow_major_version_upgrade": True, "apply_immediately": True}},
        [(_DATABASE, _DOWN, "engine_version: 17 becomes 18: an outage")],
    ),
    "upgraded-database-by-mistake": Case(
        {_DATABASE: {"engine_version": "18"}}, [(_DATABASE, _REJECTED, "unless allow_major_version_upgrade is set")]
    ),
    "older-database": Case(
        {_DATABASE: {"engine_version": "16", "allow_major_version_upgrade": True}},
        [(_DATABASE, _REJECTED, "engine_version: 17 becomes 16: RDS cannot lower a version")],
    ),
    "changed-database": Case(
        {_DATABASE: {"instance_class": "db.t4g.small", "allocated_storage": 30, "max_allocated_storage": 33,
                     "multi_az": True}},
        [],
    ),
    "smaller-database": Case(
        {_DATABASE: {"allocated_storage": 10}}, [(_DATABASE, _REJECTED, "allocated_storage: 20 becomes 10")]
    ),
    "no-room-for-the-database": Case(
        {_DATABASE: {"max_allocated_storage": 21}}, [(_DATABASE, _REJECTED, "less than 10 % above")]
    ),
    "replaced-cluster": Case(
        {"aws_eks_cluster.cluster": {"name": "renamed"}}, [("aws_eks_cluster.cluster", _LOST, "(forced by name)")]
    ),
    "replaced-services": Case(
        {"aws_eks_cluster.cluster": {"kubernetes_network_config": {"service_ipv4_cidr": "172.20.0.0/16"}}},
        [("aws_eks_cluster.cluster", _LOST, "(forced by kubernetes_network_config[0].service_ipv4_cidr)")],
    ),
    "fewer-zones": Case(
        {"aws_eks_cluster.cluster": {"vpc_config": {
            **BASE["aws_eks_cluster.cluster"]["vpc_config"], "subnet_ids": ["${aws_subnet.a.id}"]}}},
        [("aws_eks_cluster.cluster", _ZONES, "only the zones of the cluster's creation")],
    ),
    "more-actions": Case(
        {"aws_iam_role_policy.app": {"policy": policy({**_READ, "Action": ["s3:GetObject", "s3:PutObject"]})}},
        [("aws_iam_role_policy.app", _WIDER, "gains s3:PutObject on arn:aws:s3:::media/*")],
    ),
    "more-resources": Case(
        {"aws_iam_role_policy.app": {"policy": policy({**_READ, "Resource": "*"})}},
        [("aws_iam_role_policy.app", _WIDER, "gains s3:GetObject on *")],
    ),
    "more-principals": Case(
        {"aws_iam_role.app": {"assume_role_policy": policy(
            _ASSUME, {"Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::999999999999:root"}})}},
        [("aws_iam_role.app", _WIDER, "for AWS arn:aws:iam::999999999999:root")],
    ),
    "new-administrator": Case(
        {"aws_iam_role_policy_attachment.app": {"role": "${aws_iam_role.app.name}", "policy_arn": _ADMIN_ARN},
         "aws_iam_policy.all": {"name": "all", "policy": policy({"Action": "*", "Resource": "*"})}},
        [("aws_iam_policy.all", _WIDER, "administrator access: * on *"),
         ("aws_iam_role_policy_attachment.app", _WIDER, _ADMIN_ARN)],
    ),
    "more-policies": Case(
        {"aws_iam_role_policy.more": {
            "name": "more", "role": "${aws_iam_role.app.id}",
            "policy": policy({"Action": "iam:Put*", "Resource": "*"})},
         "aws_iam_role_policy_attachment.more": {
             "role": "${aws_iam_role.app.name}", "policy_arn": "arn:aws:iam::aws:policy/SecretsManagerReadWrite"}},
        [("aws_iam_role_policy.more", _WIDER, "app gains iam:Put* on *"),
         ("aws_iam_role_policy_attachment.more", _WIDER, "app gains arn:aws:iam::aws:policy/SecretsManagerReadWrite")],
    ),
    "another-policy": Case(
        {"aws_iam_role_policy_attachment.read": {"policy_arn": "arn:aws:iam::aws:policy/SecretsManagerReadWrite"}},
        [("aws_iam_role_policy_attachment.read", _WIDER, "app gains arn:aws:iam::aws:policy/SecretsManagerReadWrite")],
    ),
    "trust-in-anyone": Case(
        {"aws_iam_role.new": {"name": "new", "assume_role_policy": policy({**_ASSUME, "Principal": {"AWS": "*"}})}},
        [("aws_iam_role.new", _WIDER, "assume_role_policy grants access to anyone: sts:AssumeRole")],
    ),
    "no-boundary": Case(
        {"aws_iam_role.app": {"permissions_boundary": None}}, [("aws_iam_role.app", _WIDER, "permissions_boundary")]
    ),
    "no-more-denial": Case(
        {"aws_s3_bucket_policy.state": {"policy": policy({**_DENY, "Action": "s3:PutObject"})}},
        [("aws_s3_bucket_policy.state", _WIDER, "(no longer denied)")],
    ),
    "opened-security-group": Case(
        {_INGRESS: {"cidr_ipv4": "0.0.0.0/0"}}, [(_INGRESS, _OPEN, "ingress from 0.0.0.0/0 to tcp 5432")]
    ),
    "wider-network": Case({_INGRESS: {"cidr_ipv4": "10.0.0.0/8"}}, [(_INGRESS, _OPEN, "10.0.0.0/8")]),
    "more-ports": Case({_INGRESS: {"to_port": 6000}}, [(_INGRESS, _OPEN, "tcp 5432-6000")]),
    "new-rule-for-the-internet": Case(
        {"aws_vpc_security_group_ingress_rule.new": {**BASE[_INGRESS], "cidr_ipv4": None, "cidr_ipv6": "::/0"}},
        [("aws_vpc_security_group_ingress_rule.new", _OPEN, "ingress from ::/0")],
    ),
    "new-rule-for-a-new-group": Case(
        {"aws_security_group.new": {"name": "new", "vpc_id": "${aws_vpc.vpc.id}"},
         "aws_vpc_security_group_ingress_rule.new": {
             **BASE[_INGRESS], "cidr_ipv4": None, "referenced_security_group_id": "${aws_security_group.new.id}"}},
        [("aws_vpc_security_group_ingress_rule.new", _OPEN, "known only after the apply to tcp 5432")],
    ),
    "public-cluster": Case(
        {"aws_eks_cluster.cluster": {"vpc_config": {
            **BASE["aws_eks_cluster.cluster"]["vpc_config"], "endpoint_public_access": True}}},
        [("aws_eks_cluster.cluster", _PUBLIC, "requests from 0.0.0.0/0")],
    ),
    "public-database": Case(
        {"aws_db_instance.database": {"publicly_accessible": True}},
        [("aws_db_instance.database", _PUBLIC, "publicly_accessible")],
    ),
    "public-bucket": Case(
        {_BLOCK: {"block_public_policy": False, "restrict_public_buckets": False}},
        [(_BLOCK, _PUBLIC, "block_public_policy, restrict_public_buckets")],
    ),
    "weaker-database": Case(
        {"aws_db_instance.database": {
            "backup_retention_period": 1, "deletion_protection": False, "skip_final_snapshot": True}},
        [("aws_db_instance.database", _LOWER, "backup_retention_period: 14 becomes 1"),
         ("aws_db_instance.database", _LOWER, "deletion_protection: True becomes False"),
         ("aws_db_instance.database", _LOWER, "skip_final_snapshot: False becomes True")],
    ),
    "weaker-key": Case(
        {"aws_kms_key.key": {"deletion_window_in_days": 7, "enable_key_rotation": False}},
        [("aws_kms_key.key", _LOWER, "deletion_window_in_days: 30 becomes 7"),
         ("aws_kms_key.key", _LOWER, "enable_key_rotation: True becomes False")],
    ),
    "weaker-bucket": Case(
        {"aws_s3_bucket.state": {"force_destroy": True},
         "aws_s3_bucket_versioning.state": {"versioning_configuration": {"status": "Suspended"}},
         "aws_s3_bucket_server_side_encryption_configuration.state": {
             "rule": {"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}}},
        [("aws_s3_bucket.state", _LOWER, "force_destroy"),
         ("aws_s3_bucket_server_side_encryption_configuration.state", _LOWER, "aws:kms becomes AES256"),
         ("aws_s3_bucket_versioning.state", _LOWER, "Enabled becomes Suspended")],
    ),
    "mutable-images": Case(
        {"aws_ecr_repository.app": {"image_tag_mutability": "MUTABLE", "force_delete": True}},
        [("aws_ecr_repository.app", _LOWER, "force_delete"),
         ("aws_ecr_repository.app", _LOWER, "image_tag_mutability: tags * can be moved")],
    ),
    "shorter-logs": Case(
        {"aws_cloudwatch_log_group.cluster": {"retention_in_days": 7},
         "aws_eks_cluster.cluster": {"enabled_cluster_log_types": ["api"]}},
        [("aws_cloudwatch_log_group.cluster", _LOWER, "90 becomes 7"),
         ("aws_eks_cluster.cluster", _LOWER, "api, audit becomes api")],
    ),
}  # fmt: skip
