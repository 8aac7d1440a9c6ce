"""The types of text. `tests/settings` has cases of settings that contain them."""

from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

import pytest

import stacks.settings  # noqa: F401  (imports all config classes)
from eks_gitops.config import Config, RoleArn
from eks_gitops.database import DatabaseConfig
from eks_gitops.in_cluster.load_balancer_controller import TlsPolicy
from eks_gitops.node_group import NodeGroupConfig
from eks_gitops.values import LabelKey, LabelValue, TagValue
from tests.unit.eks_gitops.accepts import accepts

# Values of closed lists, and keys that `problems` checks.
CHECKED_BY_RULES = {
    "AccessHostConfig.instance_type",
    "AccessHostConfig.zone",
    "AddonsConfig.versions",
    "ArgoCdConfig.chart_version",
    "AddonConfig.configuration",
    "ClusterConfig.version",
    "ClusterConfig.zones",
    *(
        f"{kind}.{name}"
        for kind in ("AuroraConfig", "DatabaseConfig", "PrivateDatabaseConfig")
        for name in ("engine_version", "instance_class", "major_upgrade_to")
    ),
    "ExistingZone.name",
    "NodeGroupConfig.instance_types",
    "NodeGroupConfig.labels",
    "NodeGroupConfig.release_version",
    "SharedSettings.image_replica_regions",
    "StateBackendConfig.copy_region",
    "VpcConfig.nat_gateway_zone",
    "Zone.name",
}
# Not in the settings
INTERNAL = {"Location", "ServiceAccount"}


def _configs(kind: type[Config]) -> Iterator[type[Config]]:
    for below in kind.__subclasses__():
        yield below
        yield from _configs(below)


def _texts(annotation: Any) -> Iterator[Any]:
    """The types of strings in a type."""
    if annotation is str or (get_origin(annotation) is Annotated and get_args(annotation)[0] is str):
        yield annotation
    else:
        for part in get_args(annotation):
            yield from _texts(part)


TEXTS = sorted(
    (f"{kind.__name__}.{name}", index, text)
    for kind in set(_configs(Config))
    if kind.__name__ not in INTERNAL and not kind.__module__.startswith("tests.")
    for name, field in kind.model_fields.items()
    for index, text in enumerate(_texts(field.rebuild_annotation()))
)


def test_the_settings_have_texts() -> None:
    assert {name for name, _, _ in TEXTS} > CHECKED_BY_RULES


@pytest.mark.parametrize("template", ["${aws_vpc.vpc.id}", "%{ if true }a%{ endif }", "a${b}", "/${b}", "a%{b}c"])
@pytest.mark.parametrize("text", [text for name, _, text in TEXTS if name not in CHECKED_BY_RULES])
def test_no_text_accepts_a_template_of_terraform(text: Any, template: str) -> None:
    assert not accepts(text, template)


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        ("a", True),
        ("Cloud 4711", True),
        ("_.:/=+-@", True),
        ("플랫폼", True),
        ("a" * 256, True),
        ("aws", True),
        ("a aws:", True),
        ("", False),
        (" ", False),
        ("a" * 257, False),
        ("aws:a", False),
        ("AwS:a", False),
        ("a\tb", False),
        ("a\n", False),
        ("a&b", False),
    ],
)
def test_values_of_tags(value: str, *, accepted: bool) -> None:
    assert accepts(TagValue, value) == accepted


@pytest.mark.parametrize(
    ("key", "accepted"),
    [
        ("team", True),
        ("a.B_c-1", True),
        ("example.com/team", True),
        ("a/b", True),
        ("a" * 63, True),
        ("a" * 64, False),
        ("example.com/" + "a" * 52, False),
        ("", False),
        ("/team", False),
        ("example.com/", False),
        ("a/b/c", False),
        ("-a", False),
        ("a.", False),
        ("Example.com/team", False),
        ("example..com/team", False),
        ("a\n", False),
    ],
)
def test_keys_of_labels(key: str, *, accepted: bool) -> None:
    assert accepts(LabelKey, key) == accepted


@pytest.mark.parametrize(
    ("value", "accepted"),
    [("a", True), ("A-b_c.1", True), ("a" * 63, True), ("a" * 64, False), ("", False), ("a-", False), ("a b", False)],
)
def test_values_of_labels(value: str, *, accepted: bool) -> None:
    assert accepts(LabelValue, value) == accepted


@pytest.mark.parametrize(
    ("key", "accepted"),
    [
        ("node.kubernetes.io/pool", True),
        ("a.node.kubernetes.io/pool", True),
        ("kubelet.kubernetes.io/a", True),
        ("kubernetes.io/hostname", True),
        ("topology.kubernetes.io/zone", True),
        ("mykubernetes.io/a", True),
        ("kubernetes.io", True),
        ("kubernetes.io/a", False),
        ("k8s.io/a", False),
        ("node-role.kubernetes.io/worker", False),
        ("topology.kubernetes.io/rack", False),
        ("eks.amazonaws.com/nodegroup", False),
        ("a.eks.amazonaws.com/b", False),
    ],
)
def test_labels_that_a_node_can_have(key: str, *, accepted: bool) -> None:
    group = {
        "name": "main",
        "instance_types": ["t3.medium"],
        "ami_type": "AL2023_x86_64_STANDARD",
        "capacity_type": "SPOT",
        "min_size": 0,
        "desired_size": 0,
        "max_size": 1,
    }
    assert accepts(NodeGroupConfig, {**group, "labels": {key: "a"}}) == accepted


@pytest.mark.parametrize(
    ("role", "accepted"),
    [
        ("aws:iam::123456789012:role/a", True),
        ("aws-cn:iam::123456789012:role/a", True),
        ("aws-us-gov:iam::123456789012:role/a/b/c", True),
        ("aws:iam::123456789012:role/a=,.@-_+1", True),
        ("aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_a_0123456789abcdef", True),
        ("aws:iam::123456789012:role/" + "a" * 64, True),
        ("aws:iam::123456789012:role/" + "a" * 65, False),
        ("aws:iam::123456789012:role/", False),
        ("aws:iam::123456789012:role//a", False),
        ("aws:iam::123456789012:role/a/", False),
        ("aws:iam::123456789012:role/*", False),
        ("aws:iam::123456789012:role/a?", False),
        ("aws:iam::*:role/a", False),
        ("aws:iam::123456789012:role/aws-service-role/eks.amazonaws.com/a", False),
        ("aws:iam::123456789012:user/a", False),
        ("aws:iam::123456789012:role/a b", False),
        ("aws-iso:iam::123456789012:role/a", False),
    ],
)
def test_arns_of_roles(role: str, *, accepted: bool) -> None:
    assert accepts(RoleArn, f"arn:{role}") == accepted


@pytest.mark.parametrize(
    ("date", "names"),
    [
        ("2021-06", "1-0 1-1 1-2 1-2-Res 1-2-Ext1 1-2-Ext2 1-3"),
        ("FIPS-2023-04", "1-0 1-1 1-2 1-2-Res 1-2-Ext0 1-2-Ext1 1-2-Ext2 1-3"),
        ("PQ-2025-09", "1-0 1-2 1-2-Res 1-2-Ext1 1-2-Ext2 1-3"),
        ("FIPS-PQ-2025-09", "1-0 1-1 1-2 1-2-Res 1-2-Ext0 1-2-Ext1 1-2-Ext2 1-3"),
    ],
)
def test_policies_of_tls(date: str, names: str) -> None:
    every = [f"1-{minor}{suffix}" for minor in "0123" for suffix in ("", "-Res", "-Ext0", "-Ext1", "-Ext2")]
    assert {name for name in every if accepts(TlsPolicy, f"ELBSecurityPolicy-TLS13-{name}-{date}")} == {*names.split()}


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("user", False),
        ("grant", False),
        ("template1", False),
        ("identity", False),
        ("content", True),
        ("users", True),
        ("postgresql", True),
    ],
)
def test_names_of_databases(name: str, *, accepted: bool) -> None:
    database = {
        "name": name,
        "engine_version": "17",
        "instance_class": "db.t4g.medium",
        "allocated_storage_gib": 20,
        "max_allocated_storage_gib": 50,
        "multi_az": False,
        "deletion_protection": False,
        "backup_retention_days": 1,
    }
    assert accepts(DatabaseConfig, database) == accepted
