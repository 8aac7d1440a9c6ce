"""GitHub, through its command line `gh`, which knows the repository, the token and how to page."""

import json
import os
import time
from pathlib import Path
from typing import Any

from operations.clients import process
from operations.errors import OperationError

_ATTEMPTS = 4
_INSTALL = "install GitHub's command line and run: gh auth login"
_PASSING = ("HTTP 429", "HTTP 5", "timeout", "timed out", "connection re", "secondary rate limit")


def gh(*arguments: str, stdin: str | None = None, directory: Path | None = None) -> str:
    """What a command of `gh` prints. What passes by itself, such as an error of the server, is tried again.

    Raises:
        OperationError: there is no `gh`, or it failed.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        run = process.run("gh", *arguments, directory=directory, stdin=stdin, remedy=_INSTALL)
        if not run.returncode:
            return run.stdout
        said = (run.stderr or run.stdout).strip()
        if attempt == _ATTEMPTS or not any(sign in said for sign in _PASSING):
            break
        time.sleep(2**attempt)
    raise OperationError(f"gh {' '.join(arguments[:2])}: {said}; try again, or see what the token may do")


def api(path: str, *arguments: str, body: Any = None) -> Any:
    """What an address of the REST API answers, such as `repos/{owner}/{repo}/pulls`."""
    sends = () if body is None else ("--input", "-")
    answer = gh("api", path, *arguments, *sends, stdin=None if body is None else json.dumps(body))
    return json.loads(answer) if answer.strip() else None


def every(path: str) -> list[Any]:
    """Every element of an address that answers with a list, page by page."""
    return [json.loads(line) for line in gh("api", path, "--paginate", "--jq", ".[]").splitlines() if line.strip()]


def run_url() -> str:
    """The page of the workflow's run; empty outside of one."""
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    server, repository, run = (os.environ.get(name, "") for name in names)
    return f"{server}/{repository}/actions/runs/{run}" if server and repository and run else ""


def set_output(name: str, value: str) -> None:
    """Set an output of the step, where a workflow runs it."""
    file = os.environ.get("GITHUB_OUTPUT")
    if file:
        with Path(file).open("a", encoding="utf-8") as outputs:
            outputs.write(f"{name}={value}\n")  # one line: nothing that is set here has several
