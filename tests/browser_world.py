"""A headless Chromium for the tests of pages; where there is none, they skip and say so."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
]  # fmt: skip


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no browser on this machine (looked for {', '.join(NAMES)})")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield chromium
        chromium.close()


class Visit:
    """A page that was opened, and everything that it complained of."""

    def __init__(self, browser: Any, address: str, width: int = 1400, **context: Any) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.context = browser.new_context(viewport={"width": width, "height": 900}, **context)
        self.page = self.context.new_page()
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(address)

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def read_through(self) -> None:
        """Scroll to the end, so that everything that waits for a reader is drawn."""
        for _ in range(200):
            before = self.page.evaluate("scrollY")
            self.page.evaluate("scrollBy(0, 700)")
            self.page.wait_for_timeout(30)
            if self.page.evaluate("scrollY") == before:
                return

    def until(self, expression: str, seconds: float = 15) -> None:
        """Playwright's own waiting takes eval, which the page's policy forbids."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(Exception):  # the page is being loaded again
                if self.page.evaluate(expression):
                    return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"still not so after {seconds} s: {expression}")

    def texts(self, selector: str) -> list[str]:
        return [text.strip() for text in self.page.locator(selector).all_text_contents()]
