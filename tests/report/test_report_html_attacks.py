"""What comes from outside stays text in the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from browser_world import Visit
from page_attack import HOSTILE, hostile
from page_fixtures import Parts

from lora_checks.report import html
from lora_checks.report.html.escape import script_json


def test_what_comes_from_outside_stays_text(document: dict[str, Any], page_folder: Path) -> None:
    plain = Parts(html.html(document, page_folder / "report"))
    text = html.html(hostile(document), page_folder / "report")
    text.encode()  # no lone surrogate
    found = Parts(text)
    assert sum(tag == "script" for tag, _ in found.tags) == sum(tag == "script" for tag, _ in plain.tags)
    assert {tag for tag, _ in found.tags} <= {tag for tag, _ in plain.tags} | {"p", "strong"}
    assert [a for _, a in found.tags if any(name.startswith("on") for name in a)] == []
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "{{ 7*7 }}" in json.dumps(found.data("data")["prompts"][0])
    assert all(link == "" or link.startswith("images/") for link in found.data("data")["links"])


@pytest.mark.parametrize("text", ["</script>", "<!--<script>", "\u2028\u2029", "\udc80", "a&b'c\"d"])
def test_json_in_a_script_tag_cannot_end_it(text: str) -> None:
    written = script_json({"x": text})
    assert json.loads(written) == {"x": text}
    assert written.isascii()
    assert not set("<>&'") & set(written)


def test_an_attack_in_any_field_does_nothing(
    browser: Any, document: dict[str, Any], page_folder: Path
) -> None:
    page = html.write(hostile(document), page_folder / "hostile")
    found = Visit(browser, page.as_uri())
    found.read_through()
    for choice in ("#grouped", "#failing"):
        found.page.check(choice)
    found.page.uncheck("#failing")
    found.page.locator("#sheet .card").first.click()
    assert found.page.locator("#compare").is_visible()
    assert found.page.evaluate("window.hacked") is None
    assert found.page.locator("img[src='x']").count() == 0
    assert "<script>window.hacked=1</script>" in found.page.inner_text("#compare-body")
    assert found.complaints == []
    found.context.close()


def test_an_attack_through_the_approved_release_does_nothing(
    run_of_steps: tuple[dict[str, Any], Path], browser: Any
) -> None:
    document, folder = run_of_steps
    bad = hostile(document)
    approved = bad["baseline"]
    approved |= dict.fromkeys(("path", "lora", "lora_sha256", "finished", "note"), HOSTILE)
    approved |= {"policy_differences": [HOSTILE], "notes": [HOSTILE]}
    for row in approved["rows"]:
        row |= dict.fromkeys(("lora", "check", "label", "reason", "not_compared"), HOSTILE)
        row["prompts"] = [[HOSTILE, 0.9, 0.7, -0.2]]
    visit = Visit(browser, html.write(bad, folder / "hostile").as_uri())
    visit.read_through()
    assert "<script>window.hacked=1</script>" in visit.page.inner_text("#baseline")
    assert visit.page.evaluate("window.hacked") is None
    assert visit.complaints == []
    visit.context.close()
