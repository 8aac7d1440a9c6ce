"""Fake programs of the local cluster: they record how they are called, and listen on their port or print an answer."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PROGRAM = """#!{python} -ES
import base64, json, os, pathlib, socket, sys, time

FOLDER = pathlib.Path({folder!r})
arguments, name = sys.argv[1:], os.environ.get("ARGOCD_BINARY_NAME") or pathlib.Path(sys.argv[0]).name
reads_stdin = "--filename=-" in arguments
stdin = sys.stdin.read() if reads_stdin else ""
call = dict(name=name, arguments=arguments, stdin=stdin, environment=dict(os.environ), pid=os.getpid())
calls = os.open(FOLDER / "calls", os.O_APPEND | os.O_CREAT | os.O_WRONLY)
os.write(calls, json.dumps(call).encode() + b"\\n")  # in one piece, because programs run at the same time
if name in (FOLDER / "broken").read_text().split():
    sys.exit(name + " is broken")
if name == "kubectl":
    if "--raw=/readyz" in arguments:
        print("ok", end="")
    if "argocd-initial-admin-secret" in arguments:
        print(json.dumps(dict(data=dict(password=base64.b64encode(b"s3cret").decode()))))
elif name == "argocd":
    print("argocd", *arguments)
else:
    with socket.socket() as server:
        for argument in arguments:
            if argument.startswith("--port="):
                server.bind(("127.0.0.1", int(argument.partition("=")[2])))
                server.listen()
        time.sleep(60)
"""


@dataclass(frozen=True)
class Call:
    """How a program was called. The components of Argo CD have their own names."""

    name: str
    arguments: list[str]
    stdin: str
    environment: dict[str, str]
    pid: int


class FakePrograms:
    """Replaces `programs.program` and `programs.files`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "broken").touch()

    def program(self, name: str) -> Path:
        file = self._folder / name
        if not file.exists():
            file.write_text(_PROGRAM.format(python=sys.executable, folder=str(self._folder)))
            file.chmod(0o755)
        return file

    def files(self, module: str) -> Path:
        folder = self._folder / "files" / module
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{module}.yaml").touch()
        return folder

    def break_(self, name: str) -> None:
        """Let a program fail."""
        (self._folder / "broken").write_text(name)

    @property
    def calls(self) -> list[Call]:
        """Those so far. A read can see the start of a line that another process writes at this moment."""
        lines = (self._folder / "calls").read_text().splitlines(keepends=True)
        return [Call(**json.loads(line)) for line in lines if line.endswith("\n")]

    def calls_of(self, name: str) -> list[Call]:
        return [call for call in self.calls if call.name == name]

    def applied(self) -> list[dict[str, Any]]:
        """All manifests that kubectl applied from standard input."""
        texts = [call.stdin for call in self.calls_of("kubectl") if call.stdin]
        return [json.loads(document) for text in texts for document in text.split("\n---\n")]
