"""A fake `gh` program for PATH. Its state is one JSON file, which is locked for concurrent calls."""

import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """#!{python} -ES
import fcntl, json, pathlib, sys

STATE = pathlib.Path({state!r})
arguments = sys.argv[1:]


def option(name, default=""):
    return arguments[arguments.index(name) + 1] if name in arguments else default


def body():
    return sys.stdin.read() if option("--body-file") == "-" else ""


def api(state):
    path, method = arguments[1].split("?")[0], option("--method", "GET")
    if "--input" in arguments:
        sent = json.loads(sys.stdin.read())
        number = path.rsplit("/", 1)[1]
        if method == "PATCH":
            found = next(entry for entry in state["comments"] if str(entry["id"]) == number)
        else:
            found = {{"id": len(state["comments"]) + 1, "user": {{"type": "Bot"}}, "html_url": "https://comment"}}
            state["comments"].append(found)
        found.update(sent)
        return json.dumps(found)
    if path.endswith("/comments"):
        return "\\n".join(json.dumps(entry) for entry in state["comments"])
    if path not in state["answers"]:
        sys.exit(f"HTTP 404: {{path}}")
    return json.dumps(state["answers"][path])


def pull_request(state):
    opened = [entry for entry in state["pull_requests"] if entry["open"]]
    if arguments[1] == "list":
        return json.dumps([entry for entry in opened if entry["head"] == option("--head")])
    url = arguments[2]
    if arguments[1] == "create":
        if any(entry["head"] == option("--head") and not entry["isCrossRepository"] for entry in opened):
            sys.exit("a pull request for this branch already exists")
        url = f"https://pull/{{len(state['pull_requests']) + 1}}"
        entry = {{"url": url, "head": option("--head"), "open": True, "isCrossRepository": False}}
        state["pull_requests"].append(entry)
    found = next(entry for entry in state["pull_requests"] if entry["url"] == url)
    if arguments[1] == "merge":
        found["auto_merge"] = True
    else:
        found.update(title=option("--title"), body=body())
    return found["url"]


def issue(state):
    if arguments[1] == "list":
        return json.dumps([entry for entry in state["issues"] if entry["open"]])
    if arguments[1] == "create":
        number = len(state["issues"]) + 1
        state["issues"].append({{"number": number, "title": option("--title"), "body": body(), "open": True}})
        return ""
    found = next(entry for entry in state["issues"] if str(entry["number"]) == arguments[2])
    if arguments[1] == "close":
        found.update(open=False, comment=option("--comment"))
    else:
        found.update(body=body())
    return ""


def download(state):
    folder = pathlib.Path(option("--dir", "."))
    for name, text in state["artifacts"][arguments[2]].items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return ""


with STATE.open("r+") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    state = json.load(file)
    state["calls"].append(arguments)
    failure = state["failures"].pop(0) if state["failures"] else None
    output = ""
    try:
        if failure is None:
            command = {{"api": api, "pr": pull_request, "issue": issue, "run": download, "label": lambda _: ""}}
            output = command[arguments[0]](state)
    finally:
        file.seek(0)
        file.truncate()
        json.dump(state, file)
if failure is not None:
    sys.exit(failure)
print(output)
"""


class FakeGh:
    """The state of the fake GitHub, which tests read and change."""

    def __init__(self, state: Path) -> None:
        self._file = state
        empty: dict[str, Any] = {"pull_requests": [], "issues": [], "comments": [], "calls": [], "failures": []}
        self._file.write_text(json.dumps({**empty, "answers": {}, "artifacts": {}}))

    def __getitem__(self, name: str) -> Any:
        return json.loads(self._file.read_text())[name]

    @contextmanager
    def changed(self) -> Iterator[dict[str, Any]]:
        state = json.loads(self._file.read_text())
        yield state
        self._file.write_text(json.dumps(state))


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGh:
    """Put the fake `gh` on PATH, before the real one."""
    program = folder / "bin" / "gh"
    program.parent.mkdir(parents=True)
    program.write_text(PROGRAM.format(python=sys.executable, state=str(folder / "gh.json")))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    for name in ("GH_TOKEN", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    return FakeGh(folder / "gh.json")
