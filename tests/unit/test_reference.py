"""docs/commands.md and docs/outputs.md: they have every command and every output."""

import re

import pytest
import typer

from operations.cli.app import app
from scripts import commands_docs
from scripts.site import hooks
from tests import ROOT
from tests.template import Template


def test_the_page_of_commands_is_what_the_generator_writes() -> None:
    written = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    assert written == commands_docs.page(), "run `make commands-docs`"


def test_every_command_and_parameter_is_described() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    sections = hooks.headings(commands_docs.page())
    assert sections == ["Targets of make", *(name for name, command in commands.items() if not command.hidden)]
    rows = [line for line in commands_docs.page().splitlines() if line.startswith("| `")]
    assert [row for row in rows if row.endswith("|  |")] == []


def test_a_command_names_the_targets_that_call_it() -> None:
    makefile = (
        "environment: ## add one\n\t@$(BIN)/python -m operations environment\n\n"
        "component: ## add one\n\t@$(BIN)/python -m operations $(if $(REMOVE),remove-component x,component x)\n\n"
        "internal:\n\t$(BIN)/python -m operations environment\n"
    )
    assert commands_docs.targets(makefile) == {"environment": "add one", "component": "add one"}
    assert commands_docs.callers(makefile) == {"environment": ["environment"], "remove-component": ["component"]}


_STACKS = [
    ("The backend stack", "backend"),
    ("The shared stack", "shared"),
    ("An environment stack", "dev"),
    ("An in-cluster stack", "dev-gitops"),
]


def _documented() -> dict[str, dict[str, str]]:
    """The rows of each section: the description of each output."""
    sections = re.split(r"^## ", (ROOT / "docs/outputs.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {
        section.partition("\n")[0]: dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE))
        for section in sections
    }


@pytest.mark.parametrize(("heading", "suffix"), _STACKS)
def test_every_output_is_documented(
    platform: dict[str, Template], alternative: dict[str, Template], heading: str, suffix: str
) -> None:
    outputs: dict[str, str] = {}
    for stacks in (platform, alternative):
        (stack,) = [stack for name, stack in stacks.items() if re.fullmatch(rf"[a-z]+-[a-z-]+-\d-{suffix}", name)]
        found = stack.json["output"]
        outputs |= {name: found[name]["description"] for name in found if not name.startswith("cross-stack-")}
    assert _documented()[heading] == outputs


def test_the_korean_page_has_the_same_outputs() -> None:
    pages = [(ROOT / f"docs/outputs{suffix}.md").read_text(encoding="utf-8") for suffix in ("", ".ko")]
    english, korean = (re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) for page in pages)
    assert english == korean
