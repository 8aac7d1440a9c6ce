"""The local platform: which stacks it deploys to, and that it starts and stops the emulator."""

import os
from pathlib import Path

import pytest

from operations.errors import OperationError
from operations.local import platform


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    path.write_text("")
    return path


def _kubectl(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    (folder / "kubectl").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_the_cluster_is_printed_before_it_is_changed(
    kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _kubectl(tmp_path, monkeypatch, "echo https://127.0.0.1:6443")
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    assert platform._kubeconfig("kubeconfig", said.append) == kubeconfig
    assert said == ["the in-cluster stack will be deployed to https://127.0.0.1:6443"]


def test_rejects_an_eks_cluster(kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = "0A1B2C.gr7.ap-northeast-2.eks.amazonaws.com"
    _kubectl(tmp_path, monkeypatch, f"echo https://{host}")
    with pytest.raises(OperationError, match=f"refers to {host.lower()}, an EKS cluster; use a cluster for testing"):
        platform._kubeconfig(str(kubeconfig), print)


def test_rejects_a_missing_kubeconfig() -> None:
    with pytest.raises(OperationError, match=r"^KUBECONFIG: 'a:b': no such file; use one file, or unset it"):
        platform._kubeconfig("a:b", print)


def test_errors_of_kubectl_are_reported(kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _kubectl(tmp_path, monkeypatch, "echo 'error: current-context must exist' >&2; exit 1")
    with pytest.raises(OperationError, match=r"^error: current-context must exist; choose a cluster: "):
        platform._kubeconfig(str(kubeconfig), print)


def test_rejects_a_machine_without_kubectl(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(OperationError, match=r"^kubectl: not installed"):
        platform._kubeconfig(str(kubeconfig), print)
