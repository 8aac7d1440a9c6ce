"""Which cluster `make local` goes on into."""

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


def test_cluster_is_named_before_anything_happens_to_it(
    kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _kubectl(tmp_path, monkeypatch, "echo https://127.0.0.1:6443")
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    assert platform._kubeconfig("kubeconfig", said.append) == kubeconfig
    assert said == ["the in-cluster stack goes to https://127.0.0.1:6443"]


def test_a_cluster_of_eks_is_refused(kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = "0A1B2C.gr7.ap-northeast-2.eks.amazonaws.com"
    _kubectl(tmp_path, monkeypatch, f"echo https://{host}")
    with pytest.raises(OperationError, match=f"leads to {host.lower()}, a cluster of Amazon EKS; name one that is for"):
        platform._kubeconfig(str(kubeconfig), print)


def test_a_file_that_is_missing_is_refused() -> None:
    with pytest.raises(OperationError, match=r"^KUBECONFIG: 'a:b': no such file; name one file, or unset it"):
        platform._kubeconfig("a:b", print)


def test_what_kubectl_cannot_read_is_told_in_its_own_words(
    kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _kubectl(tmp_path, monkeypatch, "echo 'error: current-context must exist' >&2; exit 1")
    with pytest.raises(OperationError, match=r"^error: current-context must exist; choose a cluster: "):
        platform._kubeconfig(str(kubeconfig), print)


def test_without_kubectl_it_says_what_to_install(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(OperationError, match=r"^kubectl: not installed"):
        platform._kubeconfig(str(kubeconfig), print)
