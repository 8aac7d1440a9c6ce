"""The emulated AWS, which can hold one request, so that a test can kill something in the middle of it.

The test and the emulator, which is another process, tell each other by files in a folder.
"""

import asyncio
import json
import os
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path

from operations.local import emulator
from operations.local.emulator import Call

_FOLDER = "KILLS_GATE"
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Hold:
    """A request to hold: the `nth` of an IAM action on a path with this end."""

    action: str
    path: str = ""
    nth: int = 1
    is_done: bool = True
    """Whether it is held after AWS has done it, before the answer; else before AWS does it."""
    agent: str = ""
    """A text that the name of its client contains."""


class Gate:
    """The test's end of the gate."""

    def __init__(self, folder: Path) -> None:
        self._closed, self._held, self._lost = folder / "closed", folder / "held", folder / "lost"
        folder.mkdir(exist_ok=True)
        os.environ[_FOLDER] = str(folder)  # for the emulator, which is started later

    def close(self, hold: Hold, account: str) -> None:
        """Hold the request as soon as it comes from this account."""
        self._held.unlink(missing_ok=True)
        self._lost.unlink(missing_ok=True)
        part = self._closed.with_suffix(".part")
        part.write_text(json.dumps({**asdict(hold), "account": account}))
        part.rename(self._closed)

    @property
    def is_held(self) -> bool:
        return self._held.exists()

    def open(self, *, lost: bool = False) -> None:
        """Let the request go on. With `lost`, AWS never gets a request that was not done yet."""
        if lost:
            self._lost.touch()
        self._closed.unlink(missing_ok=True)


_seen: dict[str, int] = {}
"""How many requests have matched a hold, by the text of its file."""
_complete = emulator._completion


async def _gated(call: Call) -> tuple[int, dict[str, str], bytes]:
    folder = Path(os.environ[_FOLDER])
    hold = _hold_of(call, folder / "closed")
    if hold is None:
        return await _complete(call)
    answer = await _complete(call) if hold.is_done else None
    (folder / "held").touch()
    while (folder / "closed").exists():  # noqa: ASYNC110 (another process removes the file)
        await asyncio.sleep(_POLL_SECONDS)
    if answer is None and (folder / "lost").exists():
        return HTTPStatus.SERVICE_UNAVAILABLE, {}, b""
    return answer or await _complete(call)


def _hold_of(call: Call, file: Path) -> Hold | None:
    """The hold in a file, if it means this call."""
    try:
        text = file.read_text()
    except FileNotFoundError:
        return None
    document = json.loads(text)
    account = emulator._module("core.router").extract_access_key_id(call.headers, call.query)
    if account != document.pop("account"):
        return None
    hold = Hold(**document)
    agent = call.headers.get("user-agent", "")
    if call.action != hold.action or not call.path.endswith(hold.path) or hold.agent not in agent:
        return None
    _seen[text] = _seen.get(text, 0) + 1
    return hold if _seen[text] == hold.nth else None


if __name__ == "__main__":
    emulator._completion = _gated
    emulator.main()
