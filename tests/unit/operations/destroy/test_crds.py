"""Removing custom resource definitions, with a fake kubectl that answers from files."""

import json
import os
from pathlib import Path

import pytest

from operations.destroy import crds
from operations.errors import OperationError

_KUBECTL = """#!/bin/sh
echo "$*" >> "$FAKES/asked"
case "$*" in
  config*) echo https://trial.example ;;
  "get customresourcedefinitions --output=json") cat "$FAKES/definitions" ;;
  get*) cat "$FAKES/$2" 2>/dev/null || true ;;
  delete*) ;;
  *) echo "unexpected: $*" >&2; exit 9 ;;
esac
"""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the answers of kubectl: CRDs of Argo CD, of the load balancer controller, and one unrelated."""
    (tmp_path / "kubectl").write_text(_KUBECTL)
    (tmp_path / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKES", str(tmp_path))
    _define(
        tmp_path, "applications.argoproj.io", "ingressclassparams.elbv2.k8s.aws", "gateways.gateway.networking.k8s.io"
    )
    return tmp_path


def _define(cluster: Path, *names: str) -> None:
    items = [{"metadata": {"name": name}, "spec": {"group": name.partition(".")[2]}} for name in names]
    (cluster / "definitions").write_text(json.dumps({"items": items}))


def _deleted(cluster: Path) -> list[str]:
    return [line for line in (cluster / "asked").read_text().splitlines() if line.startswith("delete")]


def test_only_the_crds_of_the_stack_are_removed(cluster: Path) -> None:
    messages: list[str] = []
    crds.remove(messages.append)
    ours = ["applications.argoproj.io", "ingressclassparams.elbv2.k8s.aws"]
    assert _deleted(cluster) == [f"delete customresourcedefinitions {' '.join(ours)}"]
    assert messages == ["cluster https://trial.example", *[f"removed {name}" for name in ours]]


def test_the_crd_of_external_dns_is_removed(cluster: Path) -> None:
    _define(cluster, "dnsendpoints.externaldns.k8s.io")
    crds.remove(print)
    assert _deleted(cluster) == ["delete customresourcedefinitions dnsendpoints.externaldns.k8s.io"]


def test_nothing_is_removed_while_an_instance_exists(cluster: Path) -> None:
    (cluster / "applications.argoproj.io").write_text("Application   argocd   guestbook\n")
    (cluster / "ingressclassparams.elbv2.k8s.aws").write_text("IngressClassParams   <none>   alb\n")
    with pytest.raises(OperationError) as refused:
        crds.remove(print)
    assert str(refused.value).splitlines() == [
        "instances still exist and would also be deleted; delete them first:",
        "Application argocd/guestbook",
        "IngressClassParams alb",
    ]
    assert _deleted(cluster) == []


def test_without_crds_there_is_nothing_to_remove(cluster: Path) -> None:
    _define(cluster, "gateways.gateway.networking.k8s.io")
    messages: list[str] = []
    crds.remove(messages.append)
    assert messages[-1] == "nothing to remove"
    assert _deleted(cluster) == []
