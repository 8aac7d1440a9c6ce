"""The portal in a real browser: filter, languages, dark and light, keyboard, paper, and no request to anywhere."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from operations.portal import page as portal_page
from operations.terraform.stacks import read_platform
from tests import ROOT
from tests.browser.conftest import Open
from tests.portal_sample import HOSTILE, NOW, portal_of
from tests.template import Template

PICTURE = ROOT / "docs/images/portal.png"
_CONTRAST = 4.5
"""Of WCAG 2.2 AA for text of any size: https://www.w3.org/TR/WCAG22/#contrast-minimum"""

# The contrast of each text with the nearest background, as WCAG computes it; those below a ratio.
_LOW_CONTRAST = """least => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const luminance = (color) => {
    const [r, g, b] = channels(color).slice(0, 3).map((one) => one / 255)
      .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const color = getComputedStyle(one).backgroundColor;
      if (channels(color).length === 3 || channels(color)[3] > 0) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const low = [];
  for (const element of document.body.querySelectorAll("*")) {
    const own = [...element.childNodes].some((one) => one.nodeType === 3 && one.data.trim());
    if (!own || !element.checkVisibility() || element.tagName === "SCRIPT") continue;
    const [a, b] = [getComputedStyle(element).color, background(element)].map(luminance).sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < least) low.push(`${element.tagName} ${element.className} ${element.textContent.slice(0, 30)} ${ratio}`);
  }
  return low;
}"""
_FOCUSED = "() => document.activeElement.id || document.activeElement.tagName"


@pytest.fixture(scope="session")
def portal(platform: dict[str, Template], platform_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001 (synthesized to the folder)
    folder = tmp_path_factory.mktemp("portal")
    document = portal_of(read_platform(platform_folder), folder).document()
    file = folder / "index.html"
    file.write_text(portal_page.page(document), encoding="utf-8")
    return file


@pytest.fixture
def shown(portal: Path, open_page: Open) -> Page:
    return _opened(portal, open_page)


def _opened(file: Path, open_page: Open, hash_: str = "", **options: Any) -> Page:
    """The page at the time of its data, so that it counts the same days."""
    page = open_page(file, hash_, **options)
    page.clock.set_fixed_time(NOW)
    page.reload()
    return page


def _rows(page: Page, table: str) -> list[str]:
    """The texts of the rows of a table that are visible."""
    rows = page.locator(f"#{table} tbody tr:visible").all()
    return [" | ".join(cell.strip() for cell in row.locator("th, td").all_inner_texts()) for row in rows]


def test_the_page_answers_what_runs_waits_and_ends(shown: Page) -> None:
    (prod,) = [row for row in _rows(shown, "clusters") if "gitops-cluster-prod" in row]
    assert "1.36 | 1.35" in prod
    assert "2027-03-27 117 days left" in prod
    assert prod.endswith(" | 2 List")  # add-ons
    services = _rows(shown, "services")
    assert "2 images behind, 5 days ago" in next(
        row for row in services if "bubblepool | ap-northeast-2 | staging" in row
    )
    assert "the same image" in next(row for row in services if "guestbook | ap-northeast-2 | prod" in row)
    (guestbook,) = [row for row in _rows(shown, "databases") if "prod-guestbook" in row]
    assert "17.6 | 17.7 | 4 days ago (2026-11-26 18:40 UTC) | today" in guestbook
    assert any("-10 days" not in row and "ended 10 days ago" in row for row in _rows(shown, "exceptions"))
    assert any("43.07 USD" in row for row in _rows(shown, "costs"))
    assert shown.locator("#sections a").first.inner_text().startswith("Stacks\n2 of 8 need attention")


def test_a_long_list_opens_by_its_button(shown: Page) -> None:
    row = shown.locator("#stacks tr", has_text="ap-northeast-2-prod").first
    item = row.locator("li", has_text="update aws_eks_node_group")
    expect(item).to_be_hidden()
    button = row.get_by_role("button", name="List")
    button.click()
    expect(item).to_be_visible()
    expect(button).to_have_attribute("aria-expanded", "true")


def test_the_filter_hides_the_rows_that_lack_a_word(shown: Page) -> None:
    everything = len(_rows(shown, "stacks"))
    shown.get_by_label("Filter").fill("PROD gitops")
    assert [row.split(" | ")[2] for row in _rows(shown, "stacks")] == ["ap-northeast-2-prod-gitops"]
    assert shown.locator("#stacks caption").inner_text() == f"1 of {everything} rows shown"
    assert re.fullmatch(r"\d+ of \d+ rows shown", shown.get_by_role("status").inner_text())
    shown.get_by_label("Filter").fill("")
    assert len(_rows(shown, "stacks")) == everything


def test_only_what_needs_attention_is_left_if_one_asks_for_it(shown: Page) -> None:
    shown.get_by_label("Only what needs attention").check()
    assert [row.split(" | ")[2] for row in _rows(shown, "stacks")] == ["ap-northeast-2-staging", "ap-northeast-2-prod"]
    shown.get_by_label("Only what needs attention").uncheck()
    assert len(_rows(shown, "stacks")) == 8


@pytest.mark.parametrize(("locale", "language"), [("ko-KR", "ko"), ("en-US", "en"), ("fr-FR", "en")])
def test_the_first_language_is_that_of_the_browser(portal: Path, open_page: Open, locale: str, language: str) -> None:
    page = _opened(portal, open_page, locale=locale)
    assert page.locator("html").get_attribute("lang") == language
    assert page.title() == {"ko": "플랫폼 포털", "en": "Portal of the platform"}[language]


def test_the_other_language_changes_every_text_and_stays_in_the_address(
    portal: Path, shown: Page, open_page: Open
) -> None:
    shown.get_by_role("button", name="한국어").click()
    assert shown.locator("html").get_attribute("lang") == "ko"
    headings = shown.get_by_role("heading").all_inner_texts()
    assert headings[:3] == ["플랫폼 포털", "스택", "클러스터"]
    assert all(re.search("[가-힣]", heading) for heading in headings)
    assert "이미지 2개 뒤처짐" in shown.locator("#services").inner_text()
    shown.get_by_label("필터").fill("prod")
    again = _opened(portal, open_page, shown.evaluate("location.hash"))
    assert again.locator("html").get_attribute("lang") == "ko"
    assert again.get_by_label("필터").input_value() == "prod"
    assert all("prod" in row for row in _rows(again, "clusters"))
    again.get_by_role("button", name="English").click()
    assert again.get_by_role("heading").all_inner_texts()[1] == "Stacks"


@pytest.mark.parametrize(("scheme", "other"), [("light", "Dark"), ("dark", "Light")])
def test_every_text_has_enough_contrast_in_dark_and_light(
    portal: Path, open_page: Open, scheme: str, other: str
) -> None:
    page = _opened(portal, open_page, color_scheme=scheme)
    background = "() => getComputedStyle(document.body).backgroundColor"
    first = page.evaluate(background)
    assert page.locator("html").get_attribute("data-theme") == scheme
    assert page.evaluate(_LOW_CONTRAST, _CONTRAST) == []
    page.get_by_role("button", name=other).click()
    assert page.evaluate(background) != first
    assert page.evaluate(_LOW_CONTRAST, _CONTRAST) == []
    assert f"theme={other.lower()}" in page.evaluate("location.hash")


def test_the_contrast_that_is_checked_can_be_too_low(shown: Page) -> None:
    shown.evaluate("() => document.documentElement.style.setProperty('--muted', '#bbbbbb')")
    assert any("about" in text for text in shown.evaluate(_LOW_CONTRAST, _CONTRAST))


def test_everything_is_reached_by_the_keyboard(shown: Page) -> None:
    shown.keyboard.press("/")
    assert shown.evaluate(_FOCUSED) == "filter"
    shown.keyboard.type("prod/x")
    assert shown.get_by_label("Filter").input_value() == "prod/x"  # not taken for the key
    shown.keyboard.press("Escape")
    assert shown.get_by_label("Filter").input_value() == ""
    wanted = shown.locator("a, button, input, [tabindex='0']").filter(visible=True).count()
    shown.reload()
    shown.evaluate("() => { window.reached = new Set(); window.unseen = []; }")
    note = """() => {
      const one = document.activeElement;
      window.reached.add(one);
      if (getComputedStyle(one).outlineStyle === "none") window.unseen.push(one.outerHTML.slice(0, 80));
    }"""
    for _ in range(wanted):
        shown.keyboard.press("Tab")
        shown.evaluate(note)
    assert shown.evaluate("() => window.reached.size") == wanted
    assert shown.evaluate("() => window.unseen") == []


def test_the_link_of_a_section_leads_to_its_heading(shown: Page) -> None:
    shown.get_by_role("link", name="Certificates and keys").press("Enter")
    assert shown.evaluate(_FOCUSED) == "ends-title"


def test_tables_name_their_rows_and_columns(shown: Page) -> None:
    for table in shown.locator("table").all():
        assert table.locator("caption").count() == 1
        assert table.locator("thead th:not([scope=col])").count() == 0
        rows = table.locator("tbody tr:not(.empty)")
        assert table.locator("tbody th[scope=row]").count() == rows.count()
    assert shown.get_by_role("heading", level=1).count() == 1
    assert shown.get_by_role("main").count() == 1


def test_paper_has_the_lists_and_no_controls(shown: Page) -> None:
    shown.emulate_media(media="print", color_scheme="dark")
    for control in ("#sections", "#filter", "#language", "#theme"):
        expect(shown.locator(control)).to_be_hidden()
    expect(shown.locator("li", has_text="update aws_eks_node_group").first).to_be_visible()
    assert shown.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert shown.evaluate(_LOW_CONTRAST, _CONTRAST) == []
    assert shown.pdf().startswith(b"%PDF")


def test_a_text_with_html_is_shown_as_text(shown: Page) -> None:
    assert any(HOSTILE in row for row in _rows(shown, "exceptions"))
    assert shown.locator("#stacks li", has_text=HOSTILE).count() == 1
    assert shown.locator("main b").count() == 0


def test_a_value_of_another_kind_does_not_stop_the_page(portal: Path, open_page: Open, tmp_path: Path) -> None:
    """As of settings that were changed in the synthesized stacks by hand."""
    document = portal_page.read_page(portal)
    document["tables"][0]["rows"][0][:3] = [7, ["a"], {"type": "other"}]
    (tmp_path / "index.html").write_text(portal_page.page(document), encoding="utf-8")
    page = _opened(tmp_path / "index.html", open_page)
    assert _rows(page, "stacks")[0].startswith('7 | ["a"] | {"type":"other"} | ')


def test_the_page_fits_a_phone(portal: Path, open_page: Open) -> None:
    page = _opened(portal, open_page, viewport={"width": 360, "height": 740})
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360


def test_days_are_counted_when_the_page_is_read(portal: Path, open_page: Open) -> None:
    page = open_page(portal)
    page.clock.set_fixed_time(datetime(2027, 3, 29, tzinfo=UTC))
    page.reload()
    (prod,) = [row for row in _rows(page, "clusters") if "gitops-cluster-prod" in row]
    assert "ended 2 days ago" in prod


def test_the_picture_in_the_documentation(shown: Page, request: pytest.FixtureRequest) -> None:
    """It is not compared: fonts differ. `make snapshots` makes it again."""
    if request.config.option.update_snapshots:
        shown.set_viewport_size({"width": 1400, "height": 1240})
        shown.screenshot(path=PICTURE)
    assert PICTURE.read_bytes().startswith(b"\x89PNG")
