"""The HTML page: the data, the words in each language, the style and the script, in one file without anything else."""

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from operations.errors import OperationError

_FOLDER = Path(__file__).parent
_START, _END = '<script id="data" type="application/json">', "</script>"
# Within a script element, HTML ends the data at `</script`, and reads `<!--` otherwise:
# https://html.spec.whatwg.org/multipage/scripting.html#restrictions-for-contents-of-script-elements
_ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def words() -> dict[str, dict[str, str]]:
    """The texts of the page by language and key."""
    found: dict[str, dict[str, str]] = json.loads((_FOLDER / "words.json").read_text(encoding="utf-8"))
    return found


def page(document: Mapping[str, Any]) -> str:
    """The page with these data. Its policy permits this style and script, and no request to anywhere."""
    style, script = (_text(name) for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    data = json.dumps({**document, "words": words()}, ensure_ascii=False, sort_keys=True).translate(_ESCAPES)
    parts = {"POLICY": html.escape(policy), "STYLE": style, "SCRIPT": script, "DATA": f"{_START}{data}{_END}"}
    text = _text("page.html")
    for name, part in parts.items():
        before, mark, after = text.partition(f"{{{{{name}}}}}")
        assert mark, name
        text = before + part + after
    return text


def read_page(file: Path) -> dict[str, Any]:
    """The data of a page.

    Raises:
        OperationError: if the file is no page of this command.
    """
    remedy = "pass the index.html of make portal"
    try:
        _, _, rest = file.read_text(encoding="utf-8").partition(_START)
        document = json.loads(rest.partition(_END)[0])
        for table in document["tables"]:
            _ = table["name"], table["columns"], [list(row) for row in table["rows"]]
    except OSError as error:
        raise OperationError(f"{file}: {error.strerror}; {remedy}") from error
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        raise OperationError(f"{file}: no page of the portal; {remedy}") from error
    return {**document}


def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
