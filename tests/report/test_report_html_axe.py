"""The page against axe-core 4 (MPL-2.0, from the package axe-playwright-python), in light and in dark."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from browser_world import Visit

from lora_checks.report import html

SMALLEST = 11  # px of text


@pytest.fixture(scope="module")
def axe() -> str:
    package = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    return files(package).joinpath("axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def pages(page: Path, run_of_steps: tuple[dict[str, Any], Path]) -> dict[str, Path]:
    document, folder = run_of_steps
    return {"two": page, "steps": html.write(document, folder / "axe")}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["two", "steps"])
def test_axe_has_nothing_serious_to_say(
    browser: Any, pages: dict[str, Path], axe: str, name: str, scheme: str
) -> None:
    visit = Visit(browser, pages[name].as_uri(), color_scheme=scheme, bypass_csp=True)
    visit.read_through()
    if name == "steps":
        visit.page.check("#grouped")
    visit.page.evaluate(axe)
    found, passes = visit.page.evaluate(
        "async () => { const told = await axe.run(document); return [told.violations, told.passes.length]; }"
    )
    bad = [
        (one["id"], one["nodes"][0]["html"][:120])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert bad == []
    assert passes > 20
    visit.context.close()


def test_no_text_is_smaller_than_eleven_pixels(browser: Any, pages: dict[str, Path]) -> None:
    visit = Visit(browser, pages["steps"].as_uri())
    visit.read_through()
    visit.page.check("#grouped")
    small = visit.page.evaluate(
        "(least) => [...document.querySelectorAll('body *')]"
        ".filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()))"
        ".filter((e) => !['SCRIPT', 'STYLE', 'NOSCRIPT'].includes(e.tagName))"
        ".filter((e) => parseFloat(getComputedStyle(e).fontSize) * (e.getScreenCTM?.().a ?? 1) < least - 0.1)"
        ".map((e) => e.outerHTML.slice(0, 100))",
        SMALLEST,
    )
    assert small == []
    visit.context.close()
