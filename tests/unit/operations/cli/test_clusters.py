"""The commands for clusters."""

from pathlib import Path
from unittest.mock import Mock

import pytest

from operations import tunnel
from operations.destroy import crds
from operations.errors import OperationError
from operations.local.cluster import interactive, programs
from tests.unit.operations.cli.conftest import run


def test_tools_prints_what_it_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "build_all", lambda say: say("building etcd"))
    assert run("tools").stdout == "building etcd\n"


def test_cluster_runs_with_the_synthesized_stacks(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = Mock(side_effect=OperationError("etcd exited unexpectedly"))
    monkeypatch.setattr(interactive, "run_cluster", started)
    assert run("cluster", "--output", output, status=1).stderr == "error: etcd exited unexpectedly\n"
    assert started.call_args.args[0] == output


def test_remove_crds_prints_what_it_deletes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crds, "remove", lambda say: say("deleted rollouts.argoproj.io"))
    assert run("remove-crds").stdout == "deleted rollouts.argoproj.io\n"


def test_tunnel_is_opened_to_the_environment(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find, run_ = Mock(return_value="target"), Mock()
    monkeypatch.setattr(tunnel, "find_target", find)
    monkeypatch.setattr(tunnel, "run", run_)
    run("tunnel", "dev", "--port", "9443", "--role", "arn:aws:iam::123456789012:role/admin", "--output", output)
    assert find.call_args.args[1] == "dev"
    assert run_.call_args.args[:3] == ("target", 9443, "arn:aws:iam::123456789012:role/admin")


def test_tunnel_to_an_unknown_environment_is_refused(output: Path) -> None:
    result = run("tunnel", "qa", "--output", output, status=1)
    assert result.stderr == ("error: qa: no such environment; choose one of ap-northeast-2-dev, ap-northeast-2-prod\n")
