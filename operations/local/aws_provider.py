"""The version of the AWS provider that is used with the emulated AWS.

The stacks name the version of their bindings. A copy of them for the emulated AWS names the version that was seen
working with it, and leaves out what that version does not know. The stacks themselves are never changed for it.
"""

import json
import os
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from operations.terraform.json_files import read_json

SEEN_WORKING = "5.100.0"
VARIABLE = "LOCAL_AWS_PROVIDER"
"""The environment variable that chooses another version, such as that of the stacks."""

NEW_IN_6: Mapping[str, frozenset[str]] = {
    "aws_ecr_repository": frozenset({"image_tag_mutability_exclusion_filter"}),
    "aws_ecr_repository_creation_template": frozenset({"image_tag_mutability_exclusion_filter"}),
    "aws_eks_cluster": frozenset({"deletion_protection"}),
    "aws_eks_node_group": frozenset(
        {
            "node_repair_config.max_parallel_nodes_repaired_count",
            "node_repair_config.max_parallel_nodes_repaired_percentage",
            "node_repair_config.max_unhealthy_node_threshold_count",
            "node_repair_config.max_unhealthy_node_threshold_percentage",
            "node_repair_config.node_repair_config_overrides",
        }
    ),
    "aws_eks_pod_identity_association": frozenset({"disable_session_tags", "target_role_arn"}),
    "aws_nat_gateway": frozenset({"availability_mode", "availability_zone_address", "vpc_id"}),
}
"""The arguments of the stacks that version 5 does not know, also of a block as `<block>.<argument>`, by resource type;
held exact by `tests/terraform`."""

_PUBLIC = "kubernetes.io/role/elb"
"""A tag that only public subnets have."""

VALUES_IN_5: Mapping[str, str] = {"IMMUTABLE_WITH_EXCLUSION": "IMMUTABLE"}
"""The values of such resources that version 5 refuses, each with the nearest one that it knows."""


def version() -> str:
    """The version that is used with the emulated AWS."""
    return os.environ.get(VARIABLE) or SEEN_WORKING


def adapted(stack: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a stack's JSON for the emulated AWS."""
    copy: dict[str, Any] = deepcopy(dict(stack))
    for provider in copy["terraform"].get("required_providers", {}).values():
        if provider["source"] in {"aws", "hashicorp/aws"}:  # as CDKTF and CDK Terrain write it
            provider["version"] = version()
    if version().startswith("5."):
        _leave_out_what_is_new(copy.get("resource", {}))
    return copy


def _leave_out_what_is_new(resources: Mapping[str, Mapping[str, dict[str, Any]]]) -> None:
    for gateway in resources.get("aws_nat_gateway", {}).values():
        if gateway.get("availability_mode") == "regional":
            gateway.update(_in_first_zone(gateway, resources["aws_subnet"]))
    for kind, arguments in NEW_IN_6.items():
        for resource in resources.get(kind, {}).values():
            for path in arguments:
                block, _, name = path.rpartition(".")
                (resource.get(block, {}) if block else resource).pop(name, None)
            for argument, value in resource.items():
                if isinstance(value, str):
                    resource[argument] = VALUES_IN_5.get(value, value)


def _in_first_zone(gateway: Mapping[str, Any], subnets: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The arguments of a gateway in one zone, in place of a regional one."""
    first = gateway["availability_zone_address"][0]
    subnet = next(
        name
        for name, one in subnets.items()
        if one["availability_zone"] == first["availability_zone"] and _PUBLIC in one["tags"]
    )
    return {"subnet_id": f"${{aws_subnet.{subnet}.id}}", "allocation_id": first["allocation_ids"][0]}


def use(output: Path) -> None:
    """Change all stacks in a folder of synthesized stacks for the emulated AWS.

    Raises:
        OperationError: if a stack cannot be read.
    """
    for file in (output / "stacks").glob("*/cdk.tf.json"):
        stack = adapted(read_json(file, "synthesize again"))
        file.write_text(json.dumps(stack, indent=2), encoding="utf-8")
