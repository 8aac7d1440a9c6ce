"""Stacks with a few resources, and a price file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.stacks import REGION, make_stack, write_output

PRICES = """\
currency = "USD"
date = 2026-01-02
source = "AWS Price List"

[prices]
"AmazonEC2 BoxUsage:t3.medium" = { price = "0.052", unit = "Hrs" }
"AmazonEC2 EBS:SnapshotUsage" = { price = "0.05", unit = "GB-Mo" }
"AmazonEC2 EBS:VolumeUsage.gp3" = { price = "0.0912", unit = "GB-Mo" }
"AmazonEC2 NatGateway-Bytes" = { price = "0.059", unit = "GB" }
"AmazonEC2 NatGateway-Hours" = { price = "0.059", unit = "Hrs" }
"AmazonEKS AmazonEKS-Hours:extendedSupport" = { price = "0.5", unit = "Hrs" }
"AmazonEKS AmazonEKS-Hours:perCluster" = { price = "0.1", unit = "Hrs" }
"AmazonCloudWatch DataProcessing-Bytes" = { price = "0.76", unit = "GB" }
"AmazonVPC PublicIPv4:InUseAddress" = { price = "0.005", unit = "Hrs" }
"AmazonVPC VpcEndpoint-Hours" = { price = "0.013", unit = "Hrs" }
"AWSELB LoadBalancerUsage" = { price = "0.0225", unit = "Hrs" }
"awskms KMS-Keys" = { price = "1", unit = "Keys" }
"""

Resources = dict[str, dict[str, dict[str, Any]]]
Synthesized = Callable[..., Path]


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    """A folder with the prices of Seoul."""
    folder = tmp_path / "prices"
    folder.mkdir()
    (folder / f"{REGION}.toml").write_text(PRICES)
    return folder


@pytest.fixture
def synthesized(tmp_path: Path) -> Synthesized:
    """Writes an output folder of `cdktf synth` with these resources of stacks, such as `dev={...}`, in a region."""

    def write(folder: str = "cdktf.out", region: str = REGION, usage: Any = None, **stacks: Resources) -> Path:
        output, found = tmp_path / folder, []
        for environment, resources in stacks.items():
            directory = output / "stacks" / environment
            directory.mkdir(parents=True)
            configuration = {
                "terraform": {"backend": {"s3": {}}},
                "provider": {"aws": [{"region": region}]},
                "resource": resources,
            }
            (directory / "cdk.tf.json").write_text(json.dumps(configuration))
            found.append(make_stack(environment, directory, region=region, usage=usage or {}))
        write_output(output, found)
        platform = json.loads((output / "platform.json").read_text())
        platform["kubernetes"] = {"1.35": {"end_of_standard_support": "2026-06-30", "addons": {}}}
        (output / "platform.json").write_text(json.dumps(platform))
        return output

    return write
