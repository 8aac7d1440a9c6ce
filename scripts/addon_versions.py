"""Writes `constructs/eks_gitops/addon_versions.json`: the add-ons of each Kubernetes version (`make addon-versions`).

The version of an add-on is the one that EKS installs by default, from DescribeAddonVersions, which needs credentials
and a region. `make upgrade` checks that the region of a cluster offers it.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import boto3

from eks_gitops.addons import AddonName
from eks_gitops.versions import EKS_VERSIONS
from operations.preflight.offers import default_version, offered_addons

_OUTPUT = Path(__file__).parent.parent / "constructs" / "eks_gitops" / "addon_versions.json"


def rows(eks: Any, today: str) -> dict[str, Any]:
    """The content of the file, by Kubernetes version."""
    found = {
        kubernetes: {addon: default_version(offered_addons(addon, kubernetes, eks)) for addon in get_args(AddonName)}
        for kubernetes in EKS_VERSIONS
    }
    return {
        kubernetes: {
            "looked_up": today,
            "source": "DescribeAddonVersions, defaultVersion",
            "versions": {addon: version for addon, version in versions.items() if version},
        }
        for kubernetes, versions in found.items()
    }


if __name__ == "__main__":
    content = rows(boto3.client("eks"), f"{datetime.now(UTC):%Y-%m-%d}")
    _OUTPUT.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
