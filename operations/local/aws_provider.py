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
}
"""The arguments of the stacks that version 5 does not know, also of a block as `<block>.<argument>`, by resource type;
held exact by `tests/terraform`."""

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
        for kind, arguments in NEW_IN_6.items():
            for resource in copy.get("resource", {}).get(kind, {}).values():
                for path in arguments:
                    block, _, name = path.rpartition(".")
                    (resource.get(block, {}) if block else resource).pop(name, None)
                for argument, value in resource.items():
                    if isinstance(value, str):
                        resource[argument] = VALUES_IN_5.get(value, value)
    return copy


def use(output: Path) -> None:
    """Change all stacks in a folder of synthesized stacks for the emulated AWS.

    Raises:
        OperationError: if a stack cannot be read.
    """
    for file in (output / "stacks").glob("*/cdk.tf.json"):
        stack = adapted(read_json(file, "synthesize again"))
        file.write_text(json.dumps(stack, indent=2), encoding="utf-8")
