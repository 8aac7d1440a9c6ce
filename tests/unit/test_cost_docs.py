"""docs/cost.md: its table is that of the example settings and the committed prices."""

from pathlib import Path

from operations.terraform.stacks import read_platform
from scripts import cost_docs
from tests.template import Template


def test_the_table_is_what_the_generator_writes(platform: dict[str, Template], platform_folder: Path) -> None:
    assert platform
    written = cost_docs.OUTPUT.read_text(encoding="utf-8")
    assert written == cost_docs.render(written, read_platform(platform_folder)), "run `make cost-docs`"


def test_the_rest_of_the_page_stays(platform: dict[str, Template], platform_folder: Path) -> None:
    assert platform
    page = f"before\n{cost_docs._START}old\n{cost_docs._END}after\n"
    written = cost_docs.render(page, read_platform(platform_folder))
    assert written.startswith(f"before\n{cost_docs._START}\n| | dev | staging | prod | shared |\n")
    assert written.endswith(f"\n\n{cost_docs._END}after\n")
    assert "old" not in written
