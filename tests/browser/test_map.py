"""The pages of `make map` in a real browser."""

from pathlib import Path

import pytest

from operations.map import pages
from operations.terraform.stacks import read_platform
from tests.browser.conftest import Open
from tests.template import Template


@pytest.fixture(scope="module")
def folder(platform: dict[str, Template], platform_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001 (synthesized to the folder)
    folder = tmp_path_factory.mktemp("map")
    pages.write(read_platform(platform_folder), folder)
    return folder


def test_each_page_shows_its_pictures_and_leads_to_the_other_language(folder: Path, open_page: Open) -> None:
    page = open_page(folder / "index.html")
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.get_by_role("heading", level=1).inner_text() == "Pictures of the platform"
    pictures = page.locator("figure svg")
    assert pictures.count() == page.locator("nav a").count() - 1
    assert all((box := one.bounding_box()) and box["width"] > 100 and box["height"] > 100 for one in pictures.all())
    page.get_by_role("link", name="한국어").click()
    assert page.locator("html").get_attribute("lang") == "ko"
    assert page.get_by_role("heading", level=1).inner_text() == "플랫폼 그림"
