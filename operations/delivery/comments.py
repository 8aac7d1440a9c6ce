"""The one comment of a pull request that is updated, not repeated."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from operations.clients.github import api, every, run_url
from operations.output.report import Report, Status

_LIMIT = 60_000
"""GitHub takes 65,536 characters; what is longer stands in the run's summary."""
_FENCE = re.compile(r"^(`{3,}|~{3,})", re.MULTILINE)


def comment(pull_request: int, files: Sequence[Path], *, name: str) -> Report:
    """Write the comment of this name: the one that is there, or a new one.

    Raises:
        OperationError: GitHub refused.
    """
    marker = f"<!-- {name} -->"
    body = _shortened("\n\n".join([marker, *(_text(file) for file in files), *_run_line()]))
    address = f"repos/{{owner}}/{{repo}}/issues/{pull_request}/comments"
    # Anybody may write the marker; only what a workflow wrote is overwritten.
    ours = [entry for entry in every(address) if entry["body"].startswith(marker) and entry["user"]["type"] == "Bot"]
    if ours:
        url = api(f"repos/{{owner}}/{{repo}}/issues/comments/{ours[0]['id']}", "--method", "PATCH", body={"body": body})
    else:
        url = api(address, "--method", "POST", body={"body": body})
    data = {"pull_request": pull_request, "updated": bool(ours), "url": url["html_url"]}
    return Report(f"comment {'updated' if ours else 'written'}", Status.FINE, data, notes=[url["html_url"]])


def _text(file: Path) -> str:
    """A file that was not made is told, so that the comment never speaks of an older commit."""
    if not file.is_file():
        return f"`{file.name}` was not made; the run says why."
    return file.read_text(encoding="utf-8").strip()


def _run_line() -> list[str]:
    url, commit = run_url(), os.environ.get("HEAD_SHA", "")
    return [f"[The run]({url}){f' of {commit}' if commit else ''}"] if url else []


def _shortened(text: str) -> str:
    """Cut at a line, with what was open closed."""
    if len(text) <= _LIMIT:
        return text
    kept = text[:_LIMIT].rsplit("\n", 1)[0]
    fence = ""
    for found in _FENCE.findall(kept):
        fence = "" if fence and found[0] == fence[0] and len(found) >= len(fence) else fence or found
    details = kept.count("<details>") - kept.count("</details>")
    closed = [kept, *([fence] if fence else []), *(["</details>"] * details)]
    url = run_url()
    where = f"[the summary of the run]({url})" if url else "the summary of the run"
    return "\n".join([*closed, "", f"The rest stands in {where}.", ""])
