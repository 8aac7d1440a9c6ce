"""Building the programs of the local cluster, with a fake Go."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from operations.errors import OperationError
from operations.local.cluster import programs
from tests import ROOT

pytestmark = pytest.mark.slow

# Builds what Go would name the programs of some modules, and knows a source folder with manifests.
_GO = """#!{python} -ES
import json, os, pathlib, sys, time

FOLDER = pathlib.Path({folder!r})
arguments, module = sys.argv[1:], pathlib.Path.cwd().name
environment = dict((name, os.environ.get(name)) for name in ("CGO_ENABLED", "GOWORK", "GOTOOLCHAIN"))
call = dict(module=module, arguments=arguments, environment=environment)
with (FOLDER / "calls").open("a") as calls:
    calls.write(json.dumps(call) + "\\n")
if arguments[0] == "version":
    print((FOLDER / "version").read_text())
if arguments[0] == "build":
    time.sleep(60 if (FOLDER / "slow").exists() else 0.1)
    if (FOLDER / "fails").exists():
        sys.exit("no such host")
    target = pathlib.Path(arguments[arguments.index("-o") + 1])
    names = dict(etcd="server", kyverno="kubectl-kyverno").get(module, "cmd" if module == "argo-cd" else module)
    (target / names).write_text("#!/bin/sh\\n")
if arguments[0] == "list":
    print("" if (FOLDER / "no-checksum").exists() else FOLDER / "source")
"""


class Go:
    """A fake Go, first on PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "go"
        program.write_text(_GO.format(python=sys.executable, folder=str(folder)))
        program.chmod(0o755)
        self.set_version("go1.26.0")
        for name in ("manifests/crds/application-crd.yaml", "manifests/crds/kustomization.yaml"):
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "source" / name).touch()

    def set_version(self, version: str) -> None:
        (self.folder / "version").write_text(version)
        _clear_caches()

    def fail(self) -> None:
        (self.folder / "fails").touch()

    def builds(self) -> list[dict[str, Any]]:
        calls = [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]
        return [call for call in calls if call["arguments"][0] == "build"]


def _clear_caches() -> None:
    programs._go_version.cache_clear()
    programs._checksum.cache_clear()


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Go]:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield Go(tmp_path)
    _clear_caches()


def test_a_program_is_built_once_into_the_cache_of_the_user(go: Go, tmp_path: Path) -> None:
    messages: list[str] = []
    paths = {programs.program("etcd", messages.append) for _ in range(2)}
    (path,) = paths
    assert path.name == "etcd"
    assert path.exists()
    assert path.is_relative_to(tmp_path / "cache")
    assert messages == ["building etcd: takes minutes, only once"]
    assert len(go.builds()) == 1


def test_another_version_of_go_builds_a_program_again(go: Go) -> None:
    first = programs.program("redis")
    go.set_version("go1.27.0")
    second = programs.program("redis")
    assert first != second
    assert first.exists()
    assert second.exists()


def test_concurrent_calls_build_a_program_once(go: Go) -> None:
    programs._checksum("redis")
    threads = [threading.Thread(target=programs.program, args=("redis",)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(go.builds()) == 1


def test_a_build_removes_what_a_killed_one_left(go: Go, tmp_path: Path) -> None:
    bin_folder = tmp_path / "cache/eks-gitops-platform/bin"
    (bin_folder / ".redis-build-abc/redis").mkdir(parents=True)
    (bin_folder / ".etcd-build-abc").mkdir()
    programs.program("redis")
    assert not (bin_folder / ".redis-build-abc").exists()
    assert (bin_folder / ".etcd-build-abc").exists()  # perhaps of a build that runs
    assert len(go.builds()) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_removes_the_unfinished_build_at_once(go: Go, tmp_path: Path, number: signal.Signals) -> None:
    (go.folder / "slow").touch()
    bin_folder = tmp_path / "cache/eks-gitops-platform/bin"
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it, and so would its children
    with subprocess.Popen([sys.executable, "-m", "operations", "tools"], cwd=ROOT, stderr=subprocess.DEVNULL) as tools:
        deadline = time.monotonic() + 30
        while not list(bin_folder.glob(".*-build-*/*")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.2)
        tools.send_signal(number)
        assert tools.wait(timeout=30) != 0
    assert list(bin_folder.glob(".*-build-*")) == []


def test_files_of_a_module_are_copied_next_to_its_programs(go: Go) -> None:
    assert [file.name for file in programs.files("argo-cd").iterdir()] == ["application-crd.yaml"]
    assert programs.program("argocd").exists()
    assert len(go.builds()) == 1


def test_the_crds_of_charts_are_downloaded_and_not_built(go: Go) -> None:
    messages: list[str] = []
    assert [file.name for file in programs.files("crds", messages.append).iterdir()] == ["application-crd.yaml"]
    assert go.builds() == []
    assert messages == []


def test_a_module_without_a_checksum_is_reported(go: Go) -> None:
    (go.folder / "no-checksum").touch()
    with pytest.raises(
        OperationError, match=r"^modules/crds: github\.com/\S+: its checksum is not in go\.sum; add it$"
    ):
        programs.files("crds")


def test_the_crds_have_the_version_of_their_chart() -> None:
    """Charts of Karpenter have the version of Karpenter. Those of the others have a version of their own."""
    modules = Path(programs.__file__).parent / "modules"
    (version,) = re.findall(r"karpenter-provider-aws v(\S+)", (modules / "crds" / "go.mod").read_text())
    assert f"version: {version}\n" in (ROOT / "management" / "karpenter" / "component.yaml").read_text()


def test_all_modules_are_built_without_c_and_without_the_workspace_of_the_user(go: Go) -> None:
    programs.build_all(lambda _: None)
    assert {call["module"] for call in go.builds()} == {module for module, built in programs.MODULES.items() if built}
    assert all(
        call["environment"] == {"CGO_ENABLED": "0", "GOWORK": "off", "GOTOOLCHAIN": "auto"} for call in go.builds()
    )


def test_helm_assumes_the_version_of_the_local_kubernetes(go: Go) -> None:
    programs.program("helm")
    modules = Path(programs.__file__).parent / "modules"
    (minor,) = re.findall(r"k8s\.io/kubernetes v1\.(\d+)\.", (modules / "kubernetes" / "go.mod").read_text())
    (flags,) = [flag for flag in go.builds()[0]["arguments"] if flag.startswith("-ldflags=")]
    assert f"-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor={minor}" in flags


def _tools(folder: Path) -> str:
    """The error output of `operations tools` if only the programs in the folder are on PATH."""
    done = subprocess.run(
        [sys.executable, "-m", "operations", "tools"],
        cwd=ROOT,
        env={**os.environ, "PATH": str(folder), "XDG_CACHE_HOME": str(folder / "cache")},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    return done.stderr


def test_rejects_a_machine_without_go(tmp_path: Path) -> None:
    assert _tools(tmp_path).startswith("error: go: not installed; install Go 1.26 or newer")


def test_a_failed_build_reports_the_error_of_go_and_leaves_no_files(go: Go, tmp_path: Path) -> None:
    go.fail()
    errors = _tools(tmp_path)
    assert "error: go build failed in operations/local/cluster/modules/actionlint (status 1)" in errors
    assert "error: no such host" in errors
    assert [file.name for file in tmp_path.glob("cache/*/bin/*")] == [".actionlint.lock"]
