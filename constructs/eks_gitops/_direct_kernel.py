"""Starts the jsii kernel without the host process that jsii puts before it, and sends it less.

jsii starts a Node process that only passes bytes between Python and a second Node process, the kernel. Here the kernel
is started directly, with a socket pair as its file descriptor 3. The generated bindings resolve the type hints of a
class each time it is created, and check each argument with typeguard; here they are resolved once, and a type of
values that cannot hold others, such as `str`, is checked once against each expected type. jsii sends every field of a
struct; here only those that have a value, as the kernel treats a missing one and `None` alike.

All of it uses private interfaces of jsii. They are installed only for the pinned version, on POSIX, and if none of
`CDKTF_EAGER_PROVIDERS`, `JSII_NODE` and `JSII_RUNTIME` is set; otherwise jsii works as usual, more slowly. The
synthesized files are byte-identical (`tests/unit/eks_gitops/test_direct_kernel.py`).
"""

import atexit
import os
import platform
import shutil
import signal
import socket
import time
import typing
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import typeguard
from jsii import _kernel
from jsii._kernel.providers import process
from jsii._runtime import python_jsii_mapping

_JSII_VERSION = "1.142.0"
_TYPEGUARD_VERSION = "2.13.3"
_SCALARS = frozenset({str, bool, int, float, type(None)})
"""Types of which all values are right, or all wrong, for a type hint of the bindings: these have no `Literal`."""
_CHANNEL = 3
"""The file descriptor on which the kernel reads requests and writes responses."""
_STOP_SECONDS = 60
"""How long a kernel may take to exit: the first one on a machine writes indexes, some seconds on two busy cores."""
_STUB = "_typecheckingstub__"
"""The prefix of the functions that carry the type hints of the bindings."""

_NODE_PROCESS: Any = process._NodeProcess  # noqa: SLF001
_KERNEL: Any = _kernel
_early: "list[Any]" = []
"""A kernel that `start` started and no binding has used yet."""
_started: "list[Any]" = []
"""All kernels of this process."""


def install() -> None:
    """Replace how jsii starts the kernel. This must run before the first use of the bindings."""
    custom = {"CDKTF_EAGER_PROVIDERS", "JSII_NODE", "JSII_RUNTIME"} & os.environ.keys()
    if custom or os.name != "posix" or version("jsii") != _JSII_VERSION or shutil.which("node") is None:
        return
    _NODE_PROCESS.start, _NODE_PROCESS.stop = _start, _stop
    typing.get_type_hints = _memoized(typing.get_type_hints)
    _KERNEL._make_reference_for_native = _without_absent_fields(_KERNEL._make_reference_for_native)  # noqa: SLF001
    if version("typeguard") == _TYPEGUARD_VERSION:
        typeguard.check_type = _memoized_check(typeguard.check_type)


def start() -> None:
    """Start the kernel in the background, while Python imports the rest. The first use of the bindings takes it."""
    if _NODE_PROCESS.start is _start and not _started:
        _early.append(_Kernel(_NODE_PROCESS()))
        atexit.register(_stop_unused)


def _stop_unused() -> None:
    """Kill a kernel that nothing has talked to: it would print that it cannot greet."""
    for kernel in _early:
        os.kill(kernel.pid, signal.SIGKILL)
        os.waitpid(kernel.pid, 0)


class _Kernel:
    """A running kernel: its process, and the two ends of the channel to it."""

    def __init__(self, owner: Any) -> None:
        self.owner = owner  # holds the temporary folder with the kernel's program
        program = Path(owner._jsii_runtime()).parents[1] / "lib/program.js"  # noqa: SLF001
        node = shutil.which("node") or "node"
        ours, theirs = socket.socketpair()
        with ours, theirs:
            os.set_inheritable(theirs.fileno(), True)
            self.pid = os.posix_spawn(
                node,
                [node, "--max-old-space-size=4069", "--preserve-symlinks", str(program)],
                {**os.environ, "JSII_AGENT": f"Python/{platform.python_version()}"},
                file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), _CHANNEL)],
            )
            self.stdin, self.stdout = ours.makefile("wb"), ours.makefile("rb")
        _started.append(self)

    def stop(self) -> None:
        """Ask the kernel to exit, and wait; a kernel that does not exit in time is terminated."""
        if self.stdin.closed:
            return
        try:
            self.stdin.write(b'{"exit":0}\n')
            self.stdin.close()
        except OSError:  # it has exited already
            pass
        self.stdout.close()
        deadline = time.monotonic() + _STOP_SECONDS
        while os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                return
            time.sleep(0.005)


def _start(self: Any) -> None:
    """What `_NodeProcess.start` does, without the host process."""
    self._process = _early.pop() if _early else _Kernel(self)
    atexit.register(self.stop)
    self.handshake()


def _stop(self: Any) -> None:
    atexit.unregister(self.stop)
    if hasattr(self, "_process"):
        self._process.stop()
    self._ctx_stack.close()


def _memoized(resolve: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """`typing.get_type_hints`, memoized for the functions of the bindings, whose annotations never change."""
    known: dict[Any, dict[str, Any]] = {}

    def get_type_hints(obj: Any, *arguments: Any, **options: Any) -> dict[str, Any]:
        if arguments or options or not getattr(obj, "__name__", "").startswith(_STUB):
            return resolve(obj, *arguments, **options)
        if obj not in known:
            known[obj] = resolve(obj)
        return known[obj]

    return get_type_hints


def _memoized_check(check: Callable[..., None]) -> Callable[..., None]:
    """`typeguard.check_type`, which also calls itself by this name, memoized for the types of scalars it accepts."""
    accepted: set[tuple[type, Any]] = set()

    def check_type(argname: str, value: object, expected_type: Any, *arguments: Any, **options: Any) -> None:
        checked = (type(value), expected_type)
        if checked not in accepted:
            check(argname, value, expected_type, *arguments, **options)
            if type(value) in _SCALARS:
                accepted.add(checked)

    return check_type


def _without_absent_fields(serialize: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """`_make_reference_for_native` of jsii, which also calls itself by this name, for scalars and structs.

    A struct of the bindings keeps the fields that were given in `_values`.
    """

    def make_reference(kernel: Any, value: Any) -> Any:
        if type(value) in _SCALARS:
            return value
        given, names = getattr(value, "_values", None), None
        if isinstance(given, dict) and hasattr(value, "__jsii_type__"):
            names = python_jsii_mapping(value)
        if given is None or names is None:
            return serialize(kernel, value)
        fields = {names[name]: make_reference(kernel, one) for name, one in given.items() if one is not None}
        return {"$jsii.struct": {"fqn": value.__jsii_type__, "data": fields}}

    return make_reference
