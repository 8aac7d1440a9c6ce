"""`make addon-versions`: which version of an add-on is written for a Kubernetes version."""

from typing import Any, get_args

import boto3
from botocore.stub import Stubber

from eks_gitops.addons import AddonName
from eks_gitops.versions import EKS_VERSIONS
from scripts import addon_versions


def _offer(version: str, *, default: bool) -> dict[str, Any]:
    compatibilities = [{"clusterVersion": "1.33", "defaultVersion": True}]
    compatibilities += [{"clusterVersion": kubernetes, "defaultVersion": default} for kubernetes in EKS_VERSIONS]
    return {"addonVersion": version, "compatibilities": compatibilities}


def test_the_default_version_is_written_and_others_are_left_out() -> None:
    eks = boto3.client("eks", region_name="ap-northeast-2", aws_access_key_id="a", aws_secret_access_key="b")  # noqa: S106
    with Stubber(eks) as stubber:
        for kubernetes in EKS_VERSIONS:
            for addon in get_args(AddonName):
                offers = [_offer("v2", default=False), _offer("v1", default=addon != "vpc-cni")]
                stubber.add_response(
                    "describe_addon_versions",
                    {"addons": [{"addonName": addon, "addonVersions": offers}]},
                    {"addonName": addon, "kubernetesVersion": kubernetes},
                )
        rows = addon_versions.rows(eks, "2026-11-28")
    versions = {addon: "v1" for addon in get_args(AddonName) if addon != "vpc-cni"}
    source = "DescribeAddonVersions, defaultVersion"
    row = {"looked_up": "2026-11-28", "source": source, "versions": versions}
    assert rows == dict.fromkeys(EKS_VERSIONS, row)
