"""Starting the jsii kernel directly makes a synth faster and does not change its output."""

import os
import shutil
import subprocess
import sys
import typing
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typeguard
from cdktf import App, TerraformStack
from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.s3_bucket import S3BucketVersioning
from jsii import _kernel

from eks_gitops import _direct_kernel
from tests import ROOT

_RUN = "import runpy; runpy.run_path('main.py', run_name='__main__')"
_USUAL = f"""
import importlib.metadata
version = importlib.metadata.version
importlib.metadata.version = lambda name: "0.0.0" if name == "jsii" else version(name)
{_RUN}
from jsii._kernel.providers.process import _NodeProcess
assert _NodeProcess.start.__module__ == "jsii._kernel.providers.process"
"""


def _synthesized(folder: Path, program: str) -> dict[str, bytes]:
    subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "CDKTF_OUTDIR": str(folder)},
        check=True,
        capture_output=True,
    )
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_another_version_of_jsii_starts_its_kernel_as_usual_and_writes_the_same(tmp_path: Path) -> None:
    directly = _synthesized(tmp_path / "directly", _RUN)
    assert "manifest.json" in directly
    assert directly == _synthesized(tmp_path / "usual", _USUAL)


@pytest.fixture
def node_process(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The class of jsii that starts the kernel, as it was before `install`."""

    class NodeProcess:
        start = stop = "usual"

    monkeypatch.setattr(_direct_kernel, "_NODE_PROCESS", NodeProcess)
    monkeypatch.setattr(typing, "get_type_hints", typing.get_type_hints)
    monkeypatch.setattr(typeguard, "check_type", typeguard.check_type)
    monkeypatch.setattr(_kernel, "_make_reference_for_native", _kernel._make_reference_for_native)
    return NodeProcess


def test_the_pinned_version_starts_directly(node_process: Any) -> None:
    _direct_kernel.install()
    assert node_process.start is _direct_kernel._start


def test_another_version_of_typeguard_checks_each_value(node_process: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_direct_kernel, "version", lambda name: "4.2.0" if name == "typeguard" else version(name))
    usual = typeguard.check_type
    _direct_kernel.install()
    assert node_process.start is _direct_kernel._start
    assert typeguard.check_type is usual


@pytest.mark.parametrize("variable", ["CDKTF_EAGER_PROVIDERS", "JSII_NODE", "JSII_RUNTIME"])
def test_a_custom_program_starts_as_usual(node_process: Any, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "/usr/bin/node")
    _direct_kernel.install()
    _direct_kernel.start()
    assert node_process.start == "usual"


def test_without_node_jsii_reports_it(node_process: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    _direct_kernel.install()
    assert node_process.start == "usual"


class _Owner:
    """As much of jsii's process as a kernel needs: where its program is."""

    def __init__(self, folder: Path, program: str) -> None:
        (folder / "bin").mkdir()
        (folder / "lib").mkdir()
        (folder / "lib/program.js").write_text(program)
        self._folder = folder

    def _jsii_runtime(self) -> str:
        return str(self._folder / "bin/jsii-runtime.js")


_ECHO = """
const socket = new (require("node:net").Socket)({ fd: 3 });
socket.on("data", (data) => String(data).includes("exit") ? process.exit(0) : socket.write(data));
"""


def test_a_kernel_is_reached_on_its_channel_and_stopped(tmp_path: Path) -> None:
    kernel = _direct_kernel._Kernel(_Owner(tmp_path, _ECHO))
    kernel.stdin.write(b"hello\n")
    kernel.stdin.flush()
    assert kernel.stdout.readline() == b"hello\n"
    kernel.stop()
    kernel.stop()  # at exit, jsii may call it twice
    with pytest.raises(ChildProcessError):
        os.waitpid(kernel.pid, 0)


@pytest.mark.parametrize("first", ["eks_gitops", "cdktf"])
def test_a_kernel_that_is_not_used_stops_silently(first: str) -> None:
    program = f"import eks_gitops, {first}, stacks; from eks_gitops import _direct_kernel as kernel"
    done = subprocess.run(
        [sys.executable, "-c", f"{program}; print(len(kernel._started))"],
        cwd=ROOT, env={**os.environ, "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20"},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("1\n", "")


@pytest.mark.slow
def test_a_kernel_leaves_the_index_of_each_package_for_the_next_start(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", "import eks_gitops, cdktf_cdktf_provider_kubernetes._jsii"],
        cwd=ROOT, env={**os.environ, "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(tmp_path)}, check=True, capture_output=True,
    )  # fmt: skip
    indexed = {path.relative_to(tmp_path).parts[-4] for path in tmp_path.rglob(".jsii.runtime.v1.json")}
    assert indexed == {"cdktf", "constructs", "provider-kubernetes"}


def test_a_kernel_that_does_not_stop_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_direct_kernel, "_STOP_SECONDS", 0.2)
    kernel = _direct_kernel._Kernel(_Owner(tmp_path, "setInterval(() => {}, 1000);"))
    kernel.stop()
    with pytest.raises(ChildProcessError):
        os.waitpid(kernel.pid, 0)


def test_a_kernel_that_has_exited_is_reaped(tmp_path: Path) -> None:
    kernel = _direct_kernel._Kernel(_Owner(tmp_path, "process.exit(1);"))
    assert kernel.stdout.read() == b""
    kernel.stdin.write(b"lost\n")
    kernel.stop()
    with pytest.raises(ChildProcessError):
        os.waitpid(kernel.pid, 0)


def test_hints_are_resolved_once_for_bindings_alone() -> None:
    calls = []

    def resolve(obj: Any, *_: Any, **_options: Any) -> dict[str, Any]:
        calls.append(obj)
        return {"a": int}

    def _typecheckingstub__a() -> None: ...

    def other() -> None: ...

    memoized = _direct_kernel._memoized(resolve)
    for function in (_typecheckingstub__a, _typecheckingstub__a, other, other):
        assert memoized(function) == {"a": int}
    assert memoized(_typecheckingstub__a, {}) == {"a": int}
    assert calls == [_typecheckingstub__a, other, other, _typecheckingstub__a]


def test_types_of_scalars_are_checked_once_and_wrong_values_each_time() -> None:
    calls = []

    def check(argname: str, value: object, expected_type: object, *_: object) -> None:
        calls.append(value)
        typeguard.check_type(argname, value, expected_type)

    memoized = _direct_kernel._memoized_check(check)
    for text in ("a", "b"):
        memoized("name", text, typing.Optional[str])  # noqa: UP045 (as the bindings have it)
    assert calls == ["a"]
    for _ in range(2):
        with pytest.raises(TypeError, match="type of name must be str; got int instead"):
            memoized("name", 1, str)
        with pytest.raises(TypeError, match=r"type of names\[1\] must be str; got int instead"):
            memoized("names", ["a", 1], list[str])
        memoized("names", ["a"], list[str])
    assert calls == ["a", *[1, ["a", 1], ["a"]] * 2]


@pytest.mark.parametrize("value", [1, ["a", 1], None])
def test_the_bindings_refuse_a_value_of_a_wrong_type(value: Any) -> None:
    stack = TerraformStack(App(), "stack")
    for _ in range(2):
        with pytest.raises(TypeError, match=r"type of argument assume_role_policy must be str; got \w+ instead"):
            IamRole(stack, "role", assume_role_policy=value)


def test_only_fields_with_a_value_are_sent() -> None:
    others = []

    def serialize(_: object, value: object) -> object:
        others.append(value)
        return value

    make_reference = _direct_kernel._without_absent_fields(serialize)
    sent = make_reference(None, S3BucketVersioning(enabled=False, mfa_delete=None))
    assert sent == {
        "$jsii.struct": {"fqn": "@cdktf/provider-aws.s3Bucket.S3BucketVersioning", "data": {"enabled": False}}
    }
    assert [make_reference(None, value) for value in ("text", 1, None)] == ["text", 1, None]
    assert others == []
    rest: list[Any] = [["text"], {"a": 1}, SimpleNamespace(_values={})]
    assert [make_reference(None, value) for value in rest] == others == rest


def test_a_process_of_jsii_that_never_started_can_be_stopped() -> None:
    """Python calls it when it deletes the object."""
    closed = []
    unused = SimpleNamespace(stop=None, _ctx_stack=SimpleNamespace(close=lambda: closed.append(True)))
    _direct_kernel._stop(unused)
    assert closed == [True]
