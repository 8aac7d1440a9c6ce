"""GitHub through its command line `gh`, which knows the repository and the token and handles pagination."""

import json
import os
import time
from pathlib import Path
from typing import Any

from operations.clients import process
from operations.errors import OperationError

_ATTEMPTS = 4
_TRANSIENT = ("HTTP 429", "HTTP 5", "timeout", "timed out", "connection re", "secondary rate limit")


def gh(*arguments: str, stdin: str | None = None, directory: Path | None = None) -> str:
    """The output of a `gh` command. Transient errors, such as server errors, are retried.

    Raises:
        OperationError: if `gh` is not installed or failed.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        run = process.run("gh", *arguments, directory=directory, stdin=stdin)
        if not run.returncode:
            return run.stdout
        printed = (run.stderr or run.stdout).strip()
        if attempt == _ATTEMPTS or not any(sign in printed for sign in _TRANSIENT):
            break
        time.sleep(2**attempt)
    raise OperationError(f"gh {' '.join(arguments[:2])}: {printed}; try again, or check the permissions of the token")


def api(path: str, *arguments: str, body: Any = None) -> Any:
    """The response of a REST API path, such as `repos/{owner}/{repo}/pulls`."""
    sends = () if body is None else ("--input", "-")
    answer = gh("api", path, *arguments, *sends, stdin=None if body is None else json.dumps(body))
    try:
        return json.loads(answer) if answer.strip() else None
    except (ValueError, RecursionError) as error:
        raise OperationError(f"gh api {path}: the answer is not JSON ({error}); try again") from error


def every(path: str) -> list[Any]:
    """All elements of a REST API path that returns a list, from all pages."""
    return [json.loads(line) for line in gh("api", path, "--paginate", "--jq", ".[]").splitlines() if line.strip()]


def run_url() -> str:
    """The URL of the current workflow run; empty outside of a workflow."""
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    server, repository, run = (os.environ.get(name, "") for name in names)
    return f"{server}/{repository}/actions/runs/{run}" if server and repository and run else ""


def set_output(name: str, value: str) -> None:
    """Set an output of the current workflow step. Does nothing outside of a workflow."""
    file = os.environ.get("GITHUB_OUTPUT")
    if file:
        with Path(file).open("a", encoding="utf-8") as outputs:
            outputs.write(f"{name}={value}\n")  # every value that is set has one line
