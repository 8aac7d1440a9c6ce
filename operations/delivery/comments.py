"""A comment on a pull request that is updated instead of repeated."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from operations.clients.github import api, every, run_url
from operations.output.report import Report, Status

_LIMIT = 60_000
"""GitHub allows 65,536 characters; the full text is in the summary of the run."""
_FENCE = re.compile(r"^(`{3,}|~{3,})", re.MULTILINE)


def comment(pull_request: int, files: Sequence[Path], *, name: str) -> Report:
    """Write the contents of the files to the comment of this name, which is created if it does not exist.

    Raises:
        OperationError: if a call of the GitHub API fails.
    """
    marker = f"<!-- {name} -->"
    body = _shortened("\n\n".join([marker, *(_text(file) for file in files), *_run_line()]))
    address = f"repos/{{owner}}/{{repo}}/issues/{pull_request}/comments"
    # Any user can write the marker; only comments of workflows are overwritten.
    existing = [
        entry for entry in every(address) if entry["body"].startswith(marker) and entry["user"]["type"] == "Bot"
    ]
    if existing:
        comment_address = f"repos/{{owner}}/{{repo}}/issues/comments/{existing[0]['id']}"
        written = api(comment_address, "--method", "PATCH", body={"body": body})
    else:
        written = api(address, "--method", "POST", body={"body": body})
    data = {"pull_request": pull_request, "updated": bool(existing), "url": written["html_url"]}
    return Report(f"comment {'updated' if existing else 'written'}", Status.FINE, data, notes=[written["html_url"]])


def _text(file: Path) -> str:
    """The contents of a file; a missing file is reported, so that the comment never shows an older commit's."""
    if not file.is_file():
        return f"`{file.name}` was not created; see the log of the run."
    return file.read_text(encoding="utf-8", errors="replace").strip()


def _run_line() -> list[str]:
    url, commit = run_url(), os.environ.get("HEAD_SHA", "")
    return [f"[The run]({url}){f' of {commit}' if commit else ''}"] if url else []


def _shortened(text: str) -> str:
    """The text, cut at a line break if it is too long, with open code fences and details closed."""
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
    return "\n".join([*closed, "", f"The rest is in {where}.", ""])
