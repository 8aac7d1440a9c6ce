"""Sources of the portal: stacks with a few resources, AWS from stubs, and no reports."""

import json
import os
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from operations.portal.aws import Aws
from operations.portal.model import Unknown
from operations.portal.reports import Reports, read_reports
from operations.portal.sources import Sources
from operations.terraform.stacks import KubernetesVersion, Platform, Region, Stack
from tests.stacks import REGION, make_stack
from tests.stubbed_aws import stubs

Answering = Callable[..., Callable[[str], Any]]
Make = Callable[..., Sources]
TODAY = date(2026, 11, 30)
OFFLINE = Unknown("no-credentials", "aws sts get-caller-identity", "no credentials")


@pytest.fixture
def answering() -> Iterator[Answering]:
    with stubs() as function:
        yield function


@pytest.fixture
def stack(tmp_path: Path) -> Callable[..., Stack]:
    """Writes a stack with these resources."""

    def make(environment: str = "dev", resources: Any = None, **more: Any) -> Stack:
        directory = tmp_path / "cdktf.out" / f"{environment}-{len(list(tmp_path.glob('cdktf.out/*')))}"
        directory.mkdir(parents=True)
        configuration: dict[str, Any] = {
            "terraform": {"backend": {"s3": {}}},
            "provider": {"aws": [{"region": REGION}], "kubernetes": [{}]},
            "resource": resources or {},
        }
        (directory / "cdk.tf.json").write_text(json.dumps(configuration))
        return make_stack(environment, directory, **more)

    return make


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """The sources with these stacks; AWS is not reached without `clients`, and there are no reports without files."""

    def made(
        *stacks: Stack, clients: Any = OFFLINE, reports: Any = None, older: str = "", argo_cd: Any = None
    ) -> Sources:
        regions = [Region(REGION, "stacks/ap_northeast_2/shared.py", ["dev", "staging", "prod"], "push-")]
        ends = {"1.35": KubernetesVersion("2027-03-27", {})}
        found = Reports()
        if reports is not None:
            folder = tmp_path / "reports"
            folder.mkdir()
            for name, report in reports.items():
                file = folder / f"{name}.json"
                file.write_text(json.dumps(report))
                if name == older:
                    os.utime(file, (1, 1))
            found = read_reports(folder)
        return Sources(
            platform=Platform(regions, stacks, [], ends),
            root=tmp_path,
            reports=found,
            aws={stack.place: Aws(clients) for stack in stacks},
            argo_cd=argo_cd or {stack.name: OFFLINE for stack in stacks},
            today=TODAY,
        )

    return made
