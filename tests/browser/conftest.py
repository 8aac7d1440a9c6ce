"""The browser of the system, Chromium, by Playwright; no browser is downloaded."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, or the test is skipped; with INSIST_ON_BROWSER=1 it fails instead."""
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        give_up = pytest.fail if os.environ.get("INSIST_ON_BROWSER") == "1" else pytest.skip
        give_up("Chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens a file in a context of its own. At the end, the pages must have logged no error and asked no network."""
    contexts, wrong = [], list[str]()

    def start(file: Path, hash_: str = "", **options: Any) -> Page:
        options = {"viewport": {"width": 1280, "height": 900}, "locale": "en-US", **options}
        contexts.append(context := browser.new_context(**options))
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: wrong.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request", lambda request: None if request.url.startswith(("file:", "data:")) else wrong.append(request.url)
        )
        page.goto(f"{file.as_uri()}{hash_}")
        return page

    yield start
    for context in contexts:
        context.close()
    assert wrong == []
