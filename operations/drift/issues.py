"""One GitHub issue per stack with drift: opened, updated, and closed once the stack matches Git again."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from operations.clients.github import gh, run_url
from operations.errors import OperationError
from operations.output.report import Report, Status, Table, counted
from operations.terraform.json_files import read_json

LABEL = "drift"
_LIMIT = 60_000


def follow(files: Sequence[Path]) -> Report:
    """Update the issues from reports of `drift --json`. The issues of stacks that none of them contains are kept.

    The issue of a stack that could not be checked is also kept, because the stack may still have drift.

    Raises:
        OperationError: if GitHub rejects a request; or, after the issues of the other files were updated, if a file is
            not a report of `drift --json`.
    """
    stacks: dict[str, Mapping[str, Any]] = {}
    problems = []
    for file in files:
        try:
            stacks |= _read_drift(file)
        except OperationError as error:
            problems.append(str(error))
    rows = _update(stacks) if stacks else []
    if problems:
        raise OperationError("\n".join(problems))
    title = f"{counted(len(rows), 'issue')} changed" if rows else "no issue changed"
    tables = [Table("Issues", ["stack", "done"], rows)] if rows else []
    return Report(title, Status.FINE, {"issues": dict(rows)}, tables)


def _update(stacks: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Update the issues of these stacks, and return the stacks whose issue changed, each with what was done."""
    gh("label", "create", LABEL, "--force", "--color", "D93F0B", "--description", "A stack differs from Git")
    opened = _open_issues()
    acted = {name: _act(name, stack, opened.get(_title(name))) for name, stack in sorted(stacks.items())}
    return [[name, done] for name, done in acted.items() if done]


def _act(name: str, stack: Mapping[str, Any], issue: Mapping[str, Any] | None) -> str:
    if stack["status"] == "error":
        return ""
    if stack["status"] != "drift":
        if issue is None:
            return ""
        comment = f"The stack matches Git again. {run_url()}".rstrip()
        gh("issue", "close", str(issue["number"]), "--comment", comment)
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
    """The findings, then the run, which differs between reports of the same drift."""
    lines = [f"- {finding}" for finding in stack["findings"]]
    text = "\n".join(lines)
    if len(text) > _LIMIT:
        text = text[:_LIMIT].rsplit("\n", 1)[0] + "\n- and more; see the run"
    run = run_url()
    last = f"Last found by {run}. " if run else ""
    how = "Commit the change to Git, or deploy the stack to revert it. The issue is then closed automatically."
    return f"{text}\n\n---\n{last}{how}\n"


def _line(finding: Mapping[str, Any]) -> str:
    """A finding in one line; its details are formatted as code, so that they are not parsed as Markdown."""
    details = [f"`{' '.join(str(detail).split()).replace('`', chr(39))}`" for detail in finding["details"]]
    return f"{finding['kind']} `{finding['name']}`{': ' if details else ''}{', '.join(details)}"


def _findings_text(body: str) -> str:
    return body.replace("\r\n", "\n").split("\n---\n", maxsplit=1)[0].strip()


def _open_issues() -> dict[str, Mapping[str, Any]]:
    fields = ("--json", "number,title,body", "--limit", "500")
    issues = json.loads(gh("issue", "list", "--state", "open", "--label", LABEL, *fields))
    return {str(issue["title"]): issue for issue in issues}


def _read_drift(file: Path) -> dict[str, Mapping[str, Any]]:
    remedy = "pass the output of `drift --json`"
    document = read_json(file, remedy)
    try:
        return {
            name: {"status": str(stack["status"]), "findings": [_line(finding) for finding in stack["drift"]]}
            for name, stack in document["stacks"].items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise OperationError(f"{file}: not a report of `drift --json`; {remedy}") from error
