"""The commands of the local platform: what they print after a deploy."""

from pathlib import Path
from unittest.mock import Mock

import pytest

from operations.local import platform
from tests.stacks import REGION
from tests.unit.operations.cli.conftest import run

OUTPUTS = {
    f"{REGION}-dev": {
        "registry": "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com",
        "subnets": {"a": "subnet-1", "b": "subnet-2"},
        "cross-stack-output-vpc": "vpc-1",
    }
}


@pytest.fixture(autouse=True)
def _deployed(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "up", Mock(return_value=OUTPUTS))
    monkeypatch.setattr(platform, "OUTPUT", output)


def test_local_prints_the_outputs_of_every_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_KUBECONFIG", raising=False)
    lines = [line.strip() for line in run("local").stdout.splitlines()]
    assert f"{REGION}-dev" in lines
    assert "registry  123456789012.dkr.ecr.ap-northeast-2.amazonaws.com" in lines
    assert [line for line in lines if line.startswith("subnets")] == ["subnets.a  subnet-1", "subnets.b  subnet-2"]
    assert not [line for line in lines if "cross-stack" in line]


def test_local_prints_the_next_steps_for_the_emulated_aws(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_KUBECONFIG", raising=False)
    printed = run("local").stdout
    assert f"-m operations plan --all {REGION}-dev --output {output}" in printed
    assert "KUBECONFIG=FILE make local" in printed
    assert "kubectl" not in printed


def test_local_prints_the_next_steps_for_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_KUBECONFIG", "my-kubeconfig")
    printed = run("local").stdout
    assert "kubectl --namespace argocd get applications" in printed
    assert "export KUBECONFIG=my-kubeconfig" in printed
    assert "stay Progressing" in printed
    assert "KUBECONFIG=FILE" not in printed


def test_local_down_prints_what_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "down", lambda say: say("stopped"))
    assert run("local-down").stdout == "stopped\n"
