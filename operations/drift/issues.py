"""One issue a stack that drifted: opened, kept up to date, and closed when the stack is as Git says again."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from operations.clients.github import gh, run_url
from operations.errors import OperationError
from operations.output.report import Report, Status, Table

LABEL = "drift"
_LIMIT = 60_000


def follow(file: Path) -> Report:
    """Bring the issues in line with what `drift --json` printed. Stacks that it does not speak of keep theirs.

    A stack that could not be read keeps its issue, too: nobody knows whether it still drifts.

    Raises:
        OperationError: the file is no such report, or GitHub refused.
    """
    stacks = _read_drift(file)
    gh("label", "create", LABEL, "--force", "--color", "D93F0B", "--description", "A stack is not what Git says")
    opened = _open_issues()
    rows = []
    for name, stack in sorted(stacks.items()):
        issue = opened.get(_title(name))
        done = _act(name, stack, issue)
        if done:
            rows.append([name, done])
    title = f"{len(rows)} issues changed" if rows else "no issue changed"
    tables = [Table("Issues", ["stack", "done"], rows)] if rows else []
    return Report(title, Status.FINE, {"issues": dict(rows)}, tables)


def _act(name: str, stack: Mapping[str, Any], issue: Mapping[str, Any] | None) -> str:
    if stack["status"] == "error":
        return ""
    if stack["status"] != "drift":
        if issue is None:
            return ""
        said = f"The stack is as Git says again. {run_url()}".rstrip()
        gh("issue", "close", str(issue["number"]), "--comment", said)
        return "closed"
    body = _body(stack)
    if issue is None:
        gh("issue", "create", "--title", _title(name), "--label", LABEL, "--body-file", "-", stdin=body)
        return "opened"
    if _findings_text(issue["body"]) == _findings_text(body):
        return ""
    gh("issue", "edit", str(issue["number"]), "--body-file", "-", stdin=body)
    return "updated"


def _title(name: str) -> str:
    return f"Drift: {name}"


def _body(stack: Mapping[str, Any]) -> str:
    """What was found, then the run, which alone differs from night to night."""
    lines = [f"- {finding}" for finding in stack["findings"]]
    text = "\n".join(lines)
    if len(text) > _LIMIT:
        text = text[:_LIMIT].rsplit("\n", 1)[0] + "\n- and more, which the run tells"
    run = run_url()
    last = f"Last seen by {run}. " if run else ""
    how = "Take the change into Git, or deploy the stack to undo it; the issue closes by itself."
    return f"{text}\n\n---\n{last}{how}\n"


def _line(finding: Mapping[str, Any]) -> str:
    """What was found, in one line; details are code, so that nothing of them is Markdown."""
    details = [f"`{' '.join(str(detail).split()).replace('`', chr(39))}`" for detail in finding["details"]]
    return f"{finding['kind']} `{finding['name']}`{': ' if details else ''}{', '.join(details)}"


def _findings_text(body: str) -> str:
    return body.replace("\r\n", "\n").split("\n---\n", maxsplit=1)[0].strip()


def _open_issues() -> dict[str, Mapping[str, Any]]:
    fields = ("--json", "number,title,body", "--limit", "500")
    issues = json.loads(gh("issue", "list", "--state", "open", "--label", LABEL, *fields))
    return {str(issue["title"]): issue for issue in issues}


def _read_drift(file: Path) -> dict[str, Mapping[str, Any]]:
    try:
        stacks = json.loads(file.read_text(encoding="utf-8"))["stacks"]
        return {
            name: {"status": str(stack["status"]), "findings": [_line(finding) for finding in stack["drift"]]}
            for name, stack in stacks.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise OperationError(f"{file}: {error!r}; give it what `drift --json` printed") from error
