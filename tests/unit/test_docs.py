"""The documentation: links resolve, and the runbook quotes messages as the code has them."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from scripts.site import hooks
from tests import ROOT

RUNBOOK = ROOT / "docs/runbook"
ALERTS = ROOT / "management/monitoring/manifests/alerts"
CODE = ("constructs", "operations", "stacks")

FEWEST_CHARACTERS = 12
"""A quotation with less constant text must be a complete string of the code: anything would contain it."""

OTHER_PROGRAMS = {
    "Argo CD": {
        "OutOfSync", "Repository not found", "authentication required", "permission denied",
    },
    "AWS": {
        "Access to KMS is not allowed", "AccessDenied", "AccessDeniedException", "AlreadyExists",
        "Backup vault cannot be deleted because it contains recovery points", "BucketNotEmpty", "CREATE_FAILED",
        "Cannot create the snapshot because a snapshot with the identifier …-final already exists", "DEGRADED",
        "DependencyViolation", "EntityAlreadyExists", "ExpiredToken", "HostedZoneNotEmpty",
        "InvalidDBInstanceState", "NodeCreationFailure",
        "Not authorized to perform sts:AssumeRoleWithWebIdentity", "PENDING_VALIDATION", "PodEvictionFailure",
        "RepositoryNotEmptyException", "ResourceInUseException",
    },
    "External Secrets": {
        "Secret does not exist", "SecretSyncedError", "can't find the specified secret",
        "key … does not exist in secret",
    },
    "Helm": {
        "another operation (install/upgrade/rollback) is in progress", "cannot re-use a name that is still in use",
    },
    "GitHub": {"Error when evaluating 'strategy'"},
    "Kubernetes": {
        "ErrImagePull", "FailedCreate", "FailedScheduling", "ImagePullBackOff", "NotReady", "Pending", "Unauthorized",
        "current-context must exist", "denied the request", "failed calling webhook", "i/o timeout", "no such host",
        "violates PodSecurity",
    },
    "Make": {"Node …: the CDKTF command line needs Node 22"},
    "PostgreSQL": {"password authentication failed"},
    "Terraform": {
        "AWS account ID not allowed", "Backend configuration changed", "Error acquiring the state lock",
        "Failed to query available provider packages", "The specified plugin cache dir … cannot be opened",
        "Unable to find remote state", "Unsupported attribute", "context deadline exceeded",
        "state data in S3 does not have the expected content",
        "Plugin did not respond",
    },
}  # fmt: skip
"""Messages that the runbook quotes and other programs print."""

_FENCE = re.compile(r"^( *)```(.*)\n((?:.*\n)*?)\1```$", re.MULTILINE)
_MESSAGE_FENCE = "text message"
_MESSAGE_HEADING = re.compile(r"message\b.*")
_CODE_SPAN = re.compile(r"(`+)(.+?)\1")
_VARIABLE = re.compile(r"…|<[^<>]+>")


class Quotation(NamedTuple):
    """A message that a page quotes."""

    page: str
    text: str

    @property
    def parts(self) -> list[str]:
        """The constant parts between the variable ones; only those with a letter tell messages apart."""
        return [part.strip() for part in _VARIABLE.split(self.text) if re.search("[A-Za-z]", part)]


def _pages() -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return sorted({path for line in listed.splitlines() if (path := ROOT / line).is_file()})


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


# Links


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", _FENCE.sub("", text), re.MULTILINE):
        slug = hooks.anchor(heading)
        number = 0
        while (anchor := f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(anchor)
    return found


def links(text: str) -> list[str]:
    """The relative targets of the links and images of a page."""
    prose = re.sub(_CODE_SPAN, "", _FENCE.sub("", text))
    targets = re.findall(r"\]\(\s*<?([^)\s>]+)", prose) + re.findall(r"^\[[^]]+\]: +(\S+)", prose, re.MULTILINE)
    return [target for target in targets if not re.match(r"[a-z][a-z+.-]*:|//", target)]


def broken(page: Path, text: str) -> list[str]:
    """The relative links of a page that lead nowhere."""
    found = []
    for link in links(text):
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (anchor and anchor not in anchors(path.read_text(encoding="utf-8"))):
            found.append(link)
    return found


@pytest.mark.parametrize("page", _pages(), ids=_name)
def test_relative_links_and_anchors_resolve(page: Path) -> None:
    assert broken(page, page.read_text(encoding="utf-8")) == []


def test_broken_links_are_found() -> None:
    text = "# A *b* `c`: d\n\n# A *b* `c`: d\n\n```\n# no heading [no](link.md)\n```\n`[no](link.md)`\n"
    page = ROOT / "README.md"
    good = "[1](#a-b-c-d) [2](#a-b-c-d-1) [3](https://example.com/x) ![4](docs/gitops.md#the-folders) [5](docs)"
    assert links(good) == ["#a-b-c-d", "#a-b-c-d-1", "docs/gitops.md#the-folders", "docs"]
    assert anchors(text) == {"a-b-c-d", "a-b-c-d-1"}
    assert links(text) == []
    assert broken(page, "[1](docs/none.md) [2](docs/gitops.md#none) [3](docs/gitops.md#the-folders)") == [
        "docs/none.md",
        "docs/gitops.md#none",
    ]


def _alerts() -> Iterator[tuple[str, str]]:
    """The name and the URL of the runbook of each alert, as kustomize renders it."""
    kustomization = yaml.safe_load((ALERTS / "kustomization.yaml").read_text(encoding="utf-8"))
    (literal,) = kustomization["configMapGenerator"][0]["literals"]
    url = literal.removeprefix("url=")
    for file in kustomization["resources"]:
        rules = yaml.safe_load((ALERTS / file).read_text(encoding="utf-8"))
        for group in rules["spec"]["groups"]:
            for rule in group["rules"]:
                yield rule["alert"], f"{url}#{rule['annotations']['runbook_url'].partition('#')[2]}"


def test_each_alert_links_to_a_section_of_the_runbook() -> None:
    alerts = dict(_alerts())
    assert alerts
    for alert, url in alerts.items():
        path, _, anchor = url.partition("/blob/main/")[2].partition("#")
        assert anchor in anchors((ROOT / path).read_text(encoding="utf-8")), alert


def test_alerts_name_the_page_of_the_runbook() -> None:
    """In the files as in the cluster, where kustomize replaces it by the URL."""
    for file in ALERTS.glob("*.yaml"):
        for url in re.findall(r"runbook_url: (.+)#", file.read_text(encoding="utf-8")):
            assert (RUNBOOK / url).is_file(), file


def test_each_section_of_the_alerts_belongs_to_an_alert() -> None:
    sections = re.findall(r"^## (.+)$", (RUNBOOK / "alerts.md").read_text(encoding="utf-8"), re.MULTILINE)
    anchored = {url.partition("#")[2] for _, url in _alerts()}
    assert [section for section in sections if section.lower() not in anchored] == []


# Quoted messages


def quotations(page: str, text: str) -> list[Quotation]:
    """The messages that a page quotes: in code blocks of messages, and as code in columns of messages."""
    blocks = [body for _, info, body in _FENCE.findall(text) if info == _MESSAGE_FENCE]
    found = [Quotation(page, " ".join(block.split())) for block in blocks]
    column: int | None = None
    for line in _FENCE.sub("", text).splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        headings = [number for number, cell in enumerate(cells) if _MESSAGE_HEADING.fullmatch(cell)]
        if not cells:
            column = None
        elif headings:
            (column,) = headings
        elif column is not None:
            found += [Quotation(page, span.replace(r"\|", "|")) for _, span in _CODE_SPAN.findall(cells[column])]
    return found


def strings(source: str) -> Iterator[str]:
    """The string literals of a module without docstrings; an f-string with `…` for its variable parts."""
    tree = ast.parse(source)
    skipped = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        if node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values}
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and id(node) not in skipped:
            if isinstance(node.value, str):
                yield node.value
            elif isinstance(node.value, bytes):
                yield node.value.decode(errors="replace")


def _scalars(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        for value in document.values():
            yield from _scalars(value)
    elif isinstance(document, list):
        for value in document:
            yield from _scalars(value)
    elif isinstance(document, str):
        yield document


@cache
def _messages() -> frozenset[str]:
    """Every string of the code, and of the YAML files and the lines of the shell scripts below management/."""
    found = set()
    for path in [ROOT / "main.py", *(path for folder in CODE for path in (ROOT / folder).rglob("*.py"))]:
        found |= {" ".join(text.split()) for text in strings(path.read_text(encoding="utf-8"))}
    for path in (ROOT / "management").rglob("*.yaml"):
        if "templates" not in path.parts:
            for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
                found |= {" ".join(text.split()) for text in _scalars(document)}
    for path in (ROOT / "management").rglob("*.sh"):
        found |= set(path.read_text(encoding="utf-8").splitlines())
    return frozenset(found - {""})


def is_quoted_right(quotation: Quotation, messages: frozenset[str]) -> bool:
    """Whether a message has all constant parts in this order; with little constant text, it must be a whole message."""
    parts = quotation.parts
    if sum(map(len, parts)) < FEWEST_CHARACTERS:
        return bool(parts) and _VARIABLE.sub("…", quotation.text) in messages
    in_order = re.compile(".*".join(map(re.escape, parts)))
    return any(in_order.search(message) for message in messages)


def _quotations() -> list[Quotation]:
    return [
        quotation
        for page in sorted(RUNBOOK.glob("*.md"))
        for quotation in quotations(_name(page), page.read_text(encoding="utf-8"))
    ]


_OF_OTHERS = {message for messages in OTHER_PROGRAMS.values() for message in messages}


def test_each_quoted_message_exists() -> None:
    wrong = [
        f"{quotation.page}: {quotation.text}"
        for quotation in _quotations()
        if quotation.text not in _OF_OTHERS and not is_quoted_right(quotation, _messages())
    ]
    assert not wrong, "\n".join(["neither in the code nor in OTHER_PROGRAMS:", *wrong])


def test_the_list_of_other_programs_has_only_messages_that_are_quoted() -> None:
    assert sorted(_OF_OTHERS - {quotation.text for quotation in _quotations()}) == []


def test_quotations_are_read_from_blocks_and_columns_of_messages() -> None:
    text = (
        "`not this` | nor `this` |\n\n```sh\nnot this\n```\n\n```text message\nlost <n>\nof …\n```\n\n"
        "| cause | message |\n| --- | --- |\n| `no` | `a: …`, ``b `c` d`` |\n\n| AWS message |\n| --- |\n| `no` |\n"
    )
    found = quotations("page", text)
    assert [quotation.text for quotation in found] == ["lost <n> of …", "a: …", "b `c` d"]
    assert [quotation.parts for quotation in found] == [["lost", "of"], ["a:"], ["b `c` d"]]


def test_messages_are_the_strings_of_the_code() -> None:
    source = (
        '"""Not this."""\ndef f(n):\n    """Nor this."""\n    g(f"lost {n} of" " them", b"bytes", f"{\'inner\'}")\n'
    )
    assert sorted(strings(source)) == ["bytes", "inner", "lost … of them", "…"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<stack>: lost <n> of them", True),
        ("<stack>: lost <n> of those", False),
        ("<stack>: of them, <n> were lost", False),
        ("<stack>: lost <n> of them and kept the rest", False),
        ("<stack>: nothing", False),
        ("failed", True),
        ("fail", False),
        ("plan: <counts>", True),
        ("plan", False),
        ("…", False),
        ("<n>: <n>", False),
    ],
)
def test_a_changed_message_is_found(*, text: str, expected: bool) -> None:
    messages = frozenset({"…: lost … of them", "kept the rest", "failed", "plan: …", "…", "…: …"})
    assert is_quoted_right(Quotation("page", text), messages) is expected
