"""Rules of the guard that no recorded plan covers."""

from typing import Any

import pytest

from operations.guard import guard
from operations.guard.rules import hits
from operations.terraform.plans import Action, Change, Plan


def _hits(
    kind: str, action: Action, before: dict[str, Any] | None, after: dict[str, Any] | None, **unknown: Any
) -> list[str]:
    return [hit.why for hit in hits(Change(f"{kind}.it", kind, action, before, after, unknown, {}))]


def test_forgetting_a_resource_is_refused() -> None:
    (hit,) = hits(Change("aws_vpc.vpc", "aws_vpc", "forget", {}, None, {}, {}))
    assert hit.is_refusal
    assert hit.why == "Terraform no longer manages it"


def test_the_end_of_the_root_application_is_refused() -> None:
    """A cluster that joins a hub loses its Argo CD, which would delete all services first."""
    before = {"name": "root", "namespace": "argocd"}
    (hit,) = hits(Change("helm_release.it", "helm_release", "destroy", before, None, {}, {}))
    assert hit.is_refusal
    assert hit.why == "with its root Application, Argo CD deletes everything that it deployed to the cluster"
    assert not list(hits(Change("it", "helm_release", "destroy", before | {"name": "argocd"}, None, {}, {})))
    assert not list(hits(Change("it", "helm_release", "update", before, before, {}, {})))


def _group(name: str, actions: list[str], *, desired: int = 1, cluster: str = "dev") -> dict[str, Any]:
    arguments = {"cluster_name": cluster, "scaling_config": [{"desired_size": desired}], "taint": []}
    change = {"actions": actions, "before": arguments, "after": None if actions == ["delete"] else arguments}
    return {"address": f"aws_eks_node_group.{name}", "type": "aws_eks_node_group", "change": change}


@pytest.mark.parametrize(
    ("other", "is_refused"),
    [
        (_group("other", ["no-op"]), False),
        (_group("other", ["update"]), False),
        (_group("other", ["no-op"], desired=0), True),
        (_group("other", ["no-op"], cluster="prod"), True),
        (_group("other", ["delete"]), True),
        # After a replacement whose creation failed, the old group is a deposed object of the same address. Terraform
        # destroys it after it has created another one.
        (_group("main", ["create", "delete"]), False),
    ],
)
def test_a_node_group_is_destroyed_only_if_another_one_of_its_cluster_has_nodes(
    other: dict[str, Any], *, is_refused: bool
) -> None:
    plan = Plan("dev", {"resource_changes": [_group("main", ["delete"]), other]})
    assert any(finding.is_refused for finding in guard.findings(plan)) == is_refused


@pytest.mark.parametrize(
    "before",
    [
        {"scaling_config": [{"desired_size": 0}], "taint": []},
        {"scaling_config": [{"desired_size": 1}], "taint": [{"key": "batch", "effect": "NO_SCHEDULE"}]},
    ],
    ids=["no nodes before", "tainted before"],
)
@pytest.mark.parametrize("actions", [["update"], ["create", "delete"]])
def test_nodes_that_start_while_the_others_are_destroyed_are_found(actions: list[str], before: dict[str, Any]) -> None:
    other = _group("other", actions)
    other["change"]["before"] = {"cluster_name": "dev", **before}
    plan = Plan("dev", {"resource_changes": [_group("main", ["delete"]), other]})
    assert "dev has no ready nodes until those of another group join, which start at the same time" in {
        finding.why for finding in guard.findings(plan)
    }


@pytest.mark.parametrize(
    "after",
    [
        {"scaling_config": [{"desired_size": 0}], "taint": []},
        {"scaling_config": [{"desired_size": 1}], "taint": [{"key": "batch", "effect": "NO_EXECUTE"}]},
    ],
    ids=["no nodes any more", "tainted"],
)
@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (_group("other", ["no-op"]), []),
        (_group("other", ["create"]), ["replaces-nodes"]),
        (_group("other", ["no-op"], desired=0), ["no-nodes"]),
    ],
)
def test_a_node_group_that_loses_its_nodes_is_like_a_destroyed_one(
    other: dict[str, Any], expected: list[str], after: dict[str, Any]
) -> None:
    main = _group("main", ["update"])
    main["change"]["after"] = {"cluster_name": "dev", **after}
    plan = Plan("dev", {"resource_changes": [main, other]})
    assert [finding.rule for finding in guard.findings(plan)] == expected


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [("replace_because_tainted", "if it works, keep it with `make recover`; "), ("", "keep its construct id, ")],
)
def test_the_remedy_for_a_resource_whose_creation_did_not_end_is_to_keep_it(reason: str, remedy: str) -> None:
    change = {"actions": ["delete", "create"], "before": {}, "after": {}}
    entry = {"address": "aws_vpc.it", "type": "aws_vpc", "action_reason": reason, "change": change}
    (finding,) = guard.findings(Plan("dev", {"resource_changes": [entry]}))
    assert finding.is_refused
    assert finding.remedy.startswith(remedy)


def test_the_remedy_for_a_key_that_the_settings_name_as_existing_is_to_forget_it() -> None:
    change: dict[str, Any] = {"actions": ["delete"], "before": {}, "after": None}
    entry = {"address": "aws_kms_key.key_1", "type": "aws_kms_key", "change": change}
    (finding,) = guard.findings(Plan("dev", {"resource_changes": [entry]}))
    assert finding.is_refused
    assert "`terraform state rm aws_kms_key.key_1`" in finding.remedy
    assert "otherwise keep its construct id, " in finding.remedy


@pytest.mark.parametrize("new", ["arn:aws:kms:ap-northeast-2:123456789012:key/2", None])
def test_the_key_of_a_cluster_stays(new: str | None) -> None:
    old = "arn:aws:kms:ap-northeast-2:123456789012:key/1"
    before, after, same = ({"encryption_config": [{"provider": [{"key_arn": arn}]}]} for arn in (old, new, old))
    entry: dict[str, Any] = {"address": "aws_eks_cluster.it", "type": "aws_eks_cluster"}
    unknown = {} if new else {"encryption_config": [{"provider": [{"key_arn": True}]}]}
    change = {"actions": ["update"], "before": before, "after": after, "after_unknown": unknown}
    (finding,) = [
        finding
        for finding in guard.findings(Plan("dev", {"resource_changes": [{**entry, "change": change}]}))
        if finding.rule == "rejected-by-aws"
    ]
    assert finding.is_refused
    assert finding.why.startswith(f"encryption_config: {old} becomes {new or 'a value known only after the apply'}: ")
    assert f'set key_arn="{old}"' in finding.remedy
    unchanged = {**change, "after": same}
    assert guard.findings(Plan("dev", {"resource_changes": [{**entry, "change": unchanged}]})) == []


def test_the_role_of_a_cluster_stays() -> None:
    old = "arn:aws:iam::123456789012:role/eks-cluster"
    paths = {"replace_paths": [["role_arn"]], "actions": ["delete", "create"]}
    before = {"name": "dev", "role_arn": old}
    change = {**paths, "before": before, "after": {"name": "dev"}, "after_unknown": {"role_arn": True}}
    entry = {"address": "aws_eks_cluster.it", "type": "aws_eks_cluster", "change": change}
    (finding,) = guard.findings(Plan("dev", {"resource_changes": [entry]}))
    assert finding.is_refused
    assert finding.why.endswith("(forced by role_arn)")
    assert finding.remedy == (
        f'keep its role: set cluster.role_arn="{old}", or remove it if the platform created that role'
    )


_OUTAGE = "an outage during the apply, also with Multi-AZ, and no way back but a restore"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("17", "17.9", []),
        ("17.9", "17", []),  # RDS keeps a higher minor version
        ("17.9", "17.10", []),
        ("17.10", "17.9", ["engine_version: 17.10 becomes 17.9: RDS cannot lower a version"]),
        ("17", "18.4", [f"engine_version: 17 becomes 18.4: {_OUTAGE}"]),
        ("9.6", "16.9", [f"engine_version: 9.6 becomes 16.9: {_OUTAGE}"]),
        (None, "17", []),
        ("17", None, []),
    ],
)  # fmt: skip
def test_only_another_major_version_of_a_database_and_a_lower_one_are_found(
    old: str | None, new: str | None, why: list[str]
) -> None:
    after = {"engine_version": new, "allow_major_version_upgrade": True}
    assert _hits("aws_db_instance", "update", {"engine_version": old}, after) == why


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("8.4", "8.4.9", []),
        ("8.4.9", "8.4.10", []),
        ("8.0.42", "8.4.9", [f"engine_version: 8.0.42 becomes 8.4.9: {_OUTAGE}"]),
        ("8.4.9", "8.0", ["engine_version: 8.4.9 becomes 8.0: RDS cannot lower a version"]),
    ],
)
def test_a_major_version_of_mysql_has_two_numbers(old: str, new: str, why: list[str]) -> None:
    after = {"engine": "mysql", "engine_version": new, "allow_major_version_upgrade": True}
    assert _hits("aws_db_instance", "update", {"engine_version": old}, after) == why


@pytest.mark.parametrize(
    ("engine", "old", "new"),
    [
        ("aurora-postgresql", "17.9", "18.4"),
        ("aurora-mysql", "8.0.mysql_aurora.3.10.4", "8.4.mysql_aurora.8.4.7"),
    ],
)
def test_a_cluster_of_aurora_is_upgraded_only_on_purpose_and_never_lowered(engine: str, old: str, new: str) -> None:
    def verdicts(before: str, after: str, *, is_allowed: bool) -> list[tuple[str, bool]]:
        values = {"engine": engine, "engine_version": after, "allow_major_version_upgrade": is_allowed}
        change = Change("it", "aws_rds_cluster", "update", {"engine": engine, "engine_version": before}, values, {}, {})
        return [(hit.rule, hit.is_refusal) for hit in hits(change)]

    assert verdicts(old, new, is_allowed=True) == [("interrupts-service", False)]
    assert verdicts(old, new, is_allowed=False) == [("rejected-by-aws", True)]
    assert verdicts(new, old, is_allowed=True) == [("rejected-by-aws", True)]
    assert verdicts(old, old, is_allowed=False) == []


@pytest.mark.parametrize("action", ["destroy", "replace"])
def test_a_cluster_of_aurora_is_kept_and_the_loss_of_an_instance_is_for_review(action: Action) -> None:
    (lost,) = hits(Change("it", "aws_rds_cluster", action, {}, None, {}, {}))
    assert (lost.rule, lost.is_refusal) == ("loses-data-or-identity", True)
    (instance,) = hits(Change("it", "aws_rds_cluster_instance", action, {}, None, {}, {}))
    assert (instance.rule, instance.is_refusal) == ("interrupts-service", False)


def test_the_storage_of_a_database_can_grow_up_to_ten_percent_below_the_maximum() -> None:
    before = {"allocated_storage": 45, "max_allocated_storage": 100}
    assert _hits("aws_db_instance", "update", before, before | {"max_allocated_storage": 50}) == []
    (hit,) = hits(Change("it", "aws_db_instance", "update", before, before | {"max_allocated_storage": 49}, {}, {}))
    assert hit.is_refusal
    assert hit.why == "max_allocated_storage: 49: less than 10 % above the allocated storage, which is 45 by now"
    assert hit.remedy == "set it to 50 or more"
    full = {"allocated_storage": 100, "max_allocated_storage": 100}
    assert _hits("aws_db_instance", "update", full, full | {"deletion_protection": True}) == []


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (["cache"], ["cache", "edge-*"], ["image_tag_mutability: tags edge-* can be moved"]),
        (["cache"], [], []),
        ([], ["cache"], ["image_tag_mutability: tags cache can be moved"]),
        (["cache"], ["*"], ["image_tag_mutability: tags * can be moved"]),
    ],
)
def test_more_moving_tags_of_images_are_for_review(old: list[str], new: list[str], why: list[str]) -> None:
    before, after = ({
        "image_tag_mutability": "IMMUTABLE_WITH_EXCLUSION" if patterns else "IMMUTABLE",
        "image_tag_mutability_exclusion_filter": [{"filter": one, "filter_type": "WILDCARD"} for one in patterns],
    } for patterns in (old, new))  # fmt: skip
    assert _hits("aws_ecr_repository", "update", before, after) == why


def test_a_policy_known_only_after_the_apply_is_for_review() -> None:
    old = {"policy": '{"Statement": []}'}
    assert _hits("aws_iam_policy", "update", old, {}, policy=True) == ["policy is known only after the apply"]
    assert _hits("aws_iam_policy", "create", None, {}, policy=True) == []


_GRANT = {"policy": '{"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'}


@pytest.mark.parametrize(
    ("kind", "arguments", "unknown", "why"),
    [
        ("aws_iam_role_policy", _GRANT, {}, "nodes gains s3:* on *"),
        ("aws_iam_role_policy", {}, {"policy": True}, "nodes gains a value known only after the apply"),
        ("aws_iam_role_policy_attachment", {"policy_arn": "arn:aws:iam::aws:policy/SecretsManagerReadWrite"}, {},
         "nodes gains arn:aws:iam::aws:policy/SecretsManagerReadWrite"),
    ],
)  # fmt: skip
def test_new_grants_to_an_existing_role_are_for_review(
    kind: str, arguments: dict[str, Any], unknown: dict[str, Any], why: str
) -> None:
    change = Change(f"{kind}.it", kind, "create", None, {"role": "nodes", **arguments}, unknown, {})
    assert [hit.why for hit in hits(change)] == [why]
    assert [hit.why for hit in hits(change, new_roles={"nodes"})] == []


_READ = {"policy": '{"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}'}


@pytest.mark.parametrize(
    ("kind", "old", "new", "why"),
    [
        ("aws_iam_role_policy", {"role": "nodes", **_READ}, {"role": "nodes", **_GRANT}, ["policy gains s3:* on *"]),
        ("aws_iam_role_policy", {"role": "nodes", **_GRANT}, {"role": "nodes", **_READ}, []),
        ("aws_iam_role_policy", {"role": "app", **_READ}, {"role": "nodes", **_READ},
         ["nodes gains s3:GetObject on *"]),
        ("aws_iam_role_policy_attachment", {"role": "app", "policy_arn": "arn:a"},
         {"role": "nodes", "policy_arn": "arn:a"}, ["nodes gains arn:a"]),
        ("aws_iam_role_policy_attachment", {"role": "nodes", "policy_arn": "arn:a"},
         {"role": "nodes", "policy_arn": "arn:b"}, ["nodes gains arn:b"]),
        ("aws_iam_role_policy_attachment", {"role": "nodes", "policy_arn": "arn:a"},
         {"role": "nodes", "policy_arn": "arn:a"}, []),
    ],
)  # fmt: skip
def test_a_replacement_is_compared_with_the_old_resource(
    kind: str, old: dict[str, Any], new: dict[str, Any], why: list[str]
) -> None:
    assert _hits(kind, "replace", old, new) == why


@pytest.mark.parametrize("action", ["update", "replace"])
def test_a_changed_permissions_boundary_is_for_review(action: Action) -> None:
    old, new = {"permissions_boundary": "arn:old"}, {"permissions_boundary": "arn:new"}
    assert _hits("aws_iam_role", action, old, new) == [
        "permissions_boundary becomes arn:new: it limits what the role can be allowed"
    ]
    assert _hits("aws_iam_role", action, old, old) == []


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("aws_launch_template", {"metadata_options": [{"http_tokens": "required"}]},
         {"metadata_options": [{"http_tokens": "optional"}]}),
        ("aws_eks_cluster", {"encryption_config": [{"provider": [{"key_arn": "arn:key"}]}]}, {"encryption_config": []}),
        ("aws_db_parameter_group", {"parameter": [{"name": "rds.force_ssl", "value": "1"}]}, {"parameter": []}),
        ("aws_db_parameter_group", {"parameter": [{"name": "require_secure_transport", "value": "1"}]},
         {"parameter": [{"name": "require_secure_transport", "value": "0"}]}),
        ("aws_rds_cluster_parameter_group", {"parameter": [{"name": "require_secure_transport", "value": "ON"}]},
         {"parameter": [{"name": "require_secure_transport", "value": "OFF"}]}),
        ("aws_ecr_lifecycle_policy", {"policy": '{"rules": [{"selection": {"countNumber": 200}}]}'},
         {"policy": '{"rules": [{"selection": {"countNumber": 1}}]}'}),
        ("aws_subnet", {"map_public_ip_on_launch": False}, {"map_public_ip_on_launch": True}),
    ],
)  # fmt: skip
def test_a_removed_protection_is_for_review(kind: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    assert len(_hits(kind, "update", old, new)) == 1
    assert _hits(kind, "update", new, old) == []


def test_the_end_of_a_replication_is_for_review() -> None:
    kind = "aws_s3_bucket_replication_configuration"
    assert _hits(kind, "destroy", {}, None) == ["the protection, backup or logging that it provides ends"]
    old, new = {"rule": [{"status": "Enabled"}]}, {"rule": [{"status": "Disabled"}]}
    assert _hits(kind, "update", old, new) == ["rule[0].status: Enabled becomes Disabled"]


def test_a_value_known_only_after_the_apply_is_not_lowered() -> None:
    unknown = {"rule": [{"kms_key_id": True}]}
    assert _hits("aws_x", "update", {"rule": [{"kms_key_id": "a"}]}, {"rule": [{}]}, **unknown) == []
    assert _hits("aws_x", "update", {"rule": [{"kms_key_id": "a"}]}, {"rule": [{}]}) == [
        "rule[0].kms_key_id: a becomes null"
    ]


@pytest.mark.parametrize(("old", "new", "is_lowered"), [(0, 90, True), (90, 0, False), (90, 7, True), (7, 90, False)])
def test_log_retention_of_zero_days_means_forever(old: int, new: int, *, is_lowered: bool) -> None:
    found = _hits("aws_cloudwatch_log_group", "update", {"retention_in_days": old}, {"retention_in_days": new})
    assert bool(found) == is_lowered


def _ingress(**rule: Any) -> dict[str, Any]:
    return {"protocol": "tcp", "from_port": 443, "to_port": 443, **rule}


@pytest.mark.parametrize(
    ("kind", "arguments", "sources"),
    [
        (
            "aws_security_group",
            {"ingress": [_ingress(cidr_blocks=["0.0.0.0/0"])]},
            ["0.0.0.0/0 to tcp 443"],
        ),
        ("aws_security_group", {"egress": [_ingress(cidr_blocks=["0.0.0.0/0"])]}, []),
        (
            "aws_security_group_rule",
            _ingress(type="ingress", protocol="-1", ipv6_cidr_blocks=["::/0"]),
            ["::/0 to all ports"],
        ),
        ("aws_security_group_rule", _ingress(type="egress", cidr_blocks=["0.0.0.0/0"]), []),
        ("aws_vpc_security_group_egress_rule", {"ip_protocol": "-1", "cidr_ipv4": "0.0.0.0/0"}, []),
        ("aws_vpc_security_group_ingress_rule", {"ip_protocol": "-1", "referenced_security_group_id": "sg-1"}, []),
        ("aws_vpc_security_group_ingress_rule", {"ip_protocol": "-1", "cidr_ipv4": "10.0.0.0/16"}, []),
        (
            "aws_vpc_security_group_ingress_rule",
            {"ip_protocol": "-1", "cidr_ipv4": "10.0.0.0/8", "security_group_id": "sg-there"},
            ["10.0.0.0/8 to all ports"],
        ),
        (
            "aws_vpc_security_group_ingress_rule",
            {"ip_protocol": "-1", "referenced_security_group_id": "sg-1", "security_group_id": "sg-there"},
            ["sg-1 to all ports"],
        ),
        (
            "aws_vpc_security_group_ingress_rule",
            {"ip_protocol": "-1", "prefix_list_id": "pl-1", "security_group_id": "sg-there"},
            ["pl-1 to all ports"],
        ),
        (
            "aws_security_group_rule",
            _ingress(type="ingress", cidr_blocks=["10.0.0.0/8", None], security_group_id="sg-there"),
            [
                "a value known only after the apply to tcp 443",
                "10.0.0.0/8 to tcp 443",
            ],
        ),
        ("aws_security_group_rule", _ingress(type="ingress", self=True, security_group_id="sg-there"), []),
    ],
)
def test_new_security_group_rules(kind: str, arguments: dict[str, Any], sources: list[str]) -> None:
    assert _hits(kind, "create", None, arguments) == [f"allows ingress from {source}" for source in sources]


def test_a_rule_within_an_existing_one_opens_nothing() -> None:
    old = {"ingress": [_ingress(cidr_blocks=["10.0.0.0/8"], from_port=0, to_port=65535)]}
    new = {"ingress": [_ingress(cidr_blocks=["10.1.0.0/16"])]}
    assert _hits("aws_security_group", "update", old, new) == []


def _cluster(*cidrs: str | None, public: bool = True) -> dict[str, Any]:
    return {"vpc_config": [{"endpoint_public_access": public, "public_access_cidrs": list(cidrs)}]}


@pytest.mark.parametrize(
    ("old", "new", "is_public"),
    [
        (_cluster("203.0.113.0/24"), _cluster("203.0.113.0/25"), False),
        (_cluster("203.0.113.7/24"), _cluster("203.0.113.9/25"), False),  # with host bits set
        (_cluster("203.0.113.0/25"), _cluster("203.0.113.0/24"), True),
        (_cluster("203.0.113.0/25"), _cluster("203.0.113.0/25", None), True),  # known only after the apply
        (_cluster("0.0.0.0/0", public=False), _cluster("203.0.113.0/24"), True),
        (_cluster("0.0.0.0/0"), _cluster("0.0.0.0/0", public=False), False),
    ],
)
def test_only_a_larger_public_endpoint_is_for_review(
    old: dict[str, Any], new: dict[str, Any], *, is_public: bool
) -> None:
    assert bool(_hits("aws_eks_cluster", "update", old, new)) == is_public


def test_only_added_sources_of_an_existing_group_are_for_review() -> None:
    old = {"ingress": [_ingress(security_groups=["sg-1"])]}
    new = {"ingress": [_ingress(security_groups=["sg-1", "sg-2"])]}
    assert _hits("aws_security_group", "update", old, new) == ["allows ingress from sg-2 to tcp 443"]
    assert _hits("aws_security_group", "update", new, old) == []


@pytest.mark.parametrize(
    ("kind", "name", "old", "new", "is_lowered"),
    [
        ("aws_eks_cluster", "version", "1.10", "1.9", True),
        ("aws_eks_cluster", "version", "1.9", "1.10", False),
        ("aws_eks_cluster", "version", "1.36", None, False),
        ("aws_eks_node_group", "release_version", "1.36.0-20261107", "1.36.0-20261031", True),
        ("aws_eks_node_group", "release_version", "1.49.0-713f44ce", "1.49.0-613f44ce", False),
        ("aws_eks_node_group", "release_version", "1.49.0-713f44ce", "1.48.1-813f44ce", True),
        ("aws_eks_addon", "addon_version", "v1.9.3-eksbuild.10", "v1.9.3-eksbuild.9", True),
        ("aws_eks_addon", "addon_version", "v1.9.3-eksbuild.9", "v1.10.0-eksbuild.1", False),
        ("aws_eks_addon", "addon_version", "latest", "v1.10.0-eksbuild.1", False),
        ("aws_db_instance", "engine_version", "17.6", "17", False),
        ("aws_db_instance", "engine_version", "17", "17.6", False),
        ("aws_db_instance", "engine_version", "17.6", "16", True),
        ("aws_launch_template", "version", "2", "1", False),
    ],
)
def test_a_lower_version_is_for_review(kind: str, name: str, old: str, new: str | None, *, is_lowered: bool) -> None:
    assert bool(_hits(kind, "update", {name: old}, {name: new})) == is_lowered


def test_releases_of_different_operating_systems_are_not_compared() -> None:
    before = {"ami_type": "BOTTLEROCKET_x86_64", "release_version": "1.64.0-7c4f0d2b"}
    after = {"ami_type": "AL2023_x86_64_STANDARD", "release_version": "1.36.0-20261101"}
    assert _hits("aws_eks_node_group", "update", before, after) == []


@pytest.mark.parametrize(
    ("new", "is_refused"), [(["subnet-2", "subnet-1"], None), (["subnet-1", "subnet-3"], False), (["subnet-1"], True),
                            (["subnet-1", "subnet-2", "subnet-3"], True), (None, False)],
)  # fmt: skip
def test_other_subnets_of_a_cluster_are_refused_if_their_zones_must_differ(
    new: list[str] | None, *, is_refused: bool | None
) -> None:
    before, after = ({"vpc_config": [{"subnet_ids": subnets}]} for subnets in (["subnet-1", "subnet-2"], new))
    change = Change("aws_eks_cluster.it", "aws_eks_cluster", "update", before, after, {}, {})
    assert [hit.is_refusal for hit in hits(change)] == ([] if is_refused is None else [is_refused])
