"""What the page does in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser_world import Visit
from page_world import page_document

from lora_checks.report import html


@pytest.fixture
def visit(browser: Any, page: Path) -> Iterator[Visit]:
    found = Visit(browser, page.as_uri())
    yield found
    assert found.complaints == []
    assert [address for address in found.requests if not address.startswith(("file:", "data:"))] == []
    found.context.close()


def values_shown(visit: Visit) -> list[float]:
    return [float(text) for text in visit.texts("#sheet .own") if text and text[0] in "-0123456789"]


def test_the_page_opens_without_a_complaint_and_shows_everything(visit: Visit) -> None:
    visit.read_through()
    assert visit.page.locator("#sheet .card").count() == 12
    assert visit.page.locator("#distribution-charts svg.plot").count() == 3
    assert visit.page.locator("#matrices canvas").count() == 2
    assert visit.page.locator("#spectrum-chart svg.plot").count() == 1
    broken = visit.page.evaluate("[...document.images].filter((i) => i.src && !i.naturalWidth).length")
    assert broken == 0


def test_the_worst_come_first_and_the_best_on_demand(visit: Visit) -> None:
    visit.page.select_option("#sort", "likeness")
    assert visit.texts("#sheet .own")[0] == "no value"
    assert values_shown(visit) == sorted(values_shown(visit))
    visit.page.click("#direction")
    assert values_shown(visit) == sorted(values_shown(visit), reverse=True)
    visit.page.select_option("#sort", "drift")  # lower is better
    assert values_shown(visit) == sorted(values_shown(visit))


def test_images_are_chosen_by_lora_words_and_marks(visit: Visit) -> None:
    visit.page.select_option("#which", "0")
    assert visit.page.locator("#sheet .card").count() == 6
    visit.page.fill("#find", "scene 2")
    assert visit.page.locator("#sheet .card").count() == 2
    visit.page.fill("#find", "")
    visit.page.select_option("#which", "-1")
    visit.page.check("#failing")
    marked = visit.page.locator("#sheet .card").count()
    assert 0 < marked < 12
    assert visit.page.locator("#sheet .card .marks b").count() >= marked
    visit.page.check("#grouped")
    assert visit.page.locator("#sheet .group").count() == 3


def test_a_row_leads_to_its_images(visit: Visit) -> None:
    visit.page.click("#lora-1 button[data-check='drift']")
    assert visit.page.input_value("#sort") == "drift"
    assert visit.page.input_value("#which") == "1"
    assert visit.page.locator("#sheet .card").count() == 6


def test_a_link_to_a_folded_lora_opens_it(visit: Visit) -> None:
    visit.page.evaluate("document.getElementById('lora-0').open = false")
    visit.page.click("#overview a[href='#lora-0']")
    visit.until("document.getElementById('lora-0').open")


def test_on_paper_everything_is_there(visit: Visit) -> None:
    visit.page.evaluate("document.getElementById('lora-0').open = false")
    visit.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    visit.page.emulate_media(media="print")
    visit.until("[...document.images].every((image) => image.naturalWidth > 0)")
    assert visit.page.locator("#distribution-charts svg.plot").count() == 3
    assert visit.page.locator("#lora-0 table").is_visible()
    assert not visit.page.locator("#tools").is_visible()


def test_side_by_side_by_keyboard(visit: Visit) -> None:
    visit.page.select_option("#sort", "likeness")
    names = visit.texts("#sheet .card .name")
    visit.page.locator("#sheet .card").first.focus()
    visit.page.keyboard.press("Enter")
    assert visit.page.locator("#compare").is_visible()
    assert names[0] in visit.page.inner_text("#compare-title")
    assert visit.page.locator("#compare figure").count() == 3
    assert "photo of a sks person" in visit.page.inner_text("#compare-body")
    visit.page.keyboard.press("ArrowRight")
    assert names[1] in visit.page.inner_text("#compare-title")
    title = visit.page.inner_text("#compare-title")
    visit.page.keyboard.press("ArrowDown")
    assert visit.page.inner_text("#compare-title").partition(", ")[2] == title.partition(", ")[2]
    assert visit.page.inner_text("#compare-title") != title
    visit.page.keyboard.press("Home")
    visit.page.keyboard.press("Escape")
    assert not visit.page.locator("#compare").is_visible()
    assert visit.page.evaluate("document.activeElement.className").startswith("card")


def test_the_picture_side_by_side_is_the_full_one(visit: Visit) -> None:
    visit.page.locator("#sheet .card").first.click()
    visit.until("document.querySelector('#compare img').naturalWidth > 0")
    assert "/images/" in visit.page.evaluate("document.querySelector('#compare img').currentSrc")


def test_a_matrix_is_read_by_keyboard(visit: Visit) -> None:
    visit.read_through()
    canvas = visit.page.locator("#matrices canvas").first
    canvas.focus()
    visit.page.keyboard.press("ArrowRight")
    visit.page.keyboard.press("ArrowDown")
    assert "p0/0 and references/01.png" in visit.page.locator("#matrices .readout").first.inner_text()
    visit.page.keyboard.press("Enter")
    assert "references/01.png" in visit.page.inner_text("#compare-body")


def test_the_theme_is_toggled_and_remembered(visit: Visit) -> None:
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    colours = {visit.page.evaluate(ground)}
    for word in ("light", "dark"):
        visit.page.click("#theme")
        assert word in visit.page.inner_text("#theme")
        colours.add(visit.page.evaluate(ground))
    assert len(colours) == 2
    visit.page.reload()
    assert "dark" in visit.page.inner_text("#theme")


@pytest.mark.parametrize("width", [400, 1400])
def test_nothing_hangs_over_the_edge(browser: Any, page: Path, width: int) -> None:
    found = Visit(browser, page.as_uri(), width)
    found.read_through()
    assert found.page.evaluate("document.documentElement.scrollWidth") <= width
    found.context.close()


def test_whoever_hears_the_page_is_told_sentences_and_no_place_twice(visit: Visit) -> None:
    visit.read_through()
    labels = visit.page.evaluate(
        "[...document.querySelectorAll('section, [role=region]')]"
        ".map((part) => [part.ariaLabel, part.getAttribute('aria-labelledby')])"
        ".map(([label, id]) => label ?? document.getElementById(id)?.textContent).filter(Boolean)"
    )
    assert len(labels) == len(set(labels))
    assert visit.page.locator("svg.plot").count() > 0
    assert visit.page.locator("svg.plot [aria-label]").count() == 0
    assert visit.page.locator("svg.plot:not([role=img][aria-label])").count() == 0
    visit.page.locator("#sheet .card").first.click()
    assert "" not in visit.texts("#compare th")


def test_a_finger_meets_every_button_of_a_row(browser: Any, page: Path) -> None:
    found = Visit(browser, page.as_uri(), 400)
    buttons = "[...document.querySelectorAll('.more button, .more summary')]"
    assert found.page.evaluate(f"Math.min(...{buttons}.map((part) => part.offsetHeight))") >= 24
    found.context.close()


def test_a_dark_page_is_printed_in_light(browser: Any, page: Path) -> None:
    found = Visit(browser, page.as_uri(), color_scheme="dark")
    found.read_through()
    brightness = (
        "(() => { const canvas = document.querySelector('#matrices canvas');"
        " const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);"
        " return data.reduce((sum, value) => sum + value, 0) / data.length; })()"
    )
    dark = found.page.evaluate(brightness)
    found.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert found.page.evaluate(brightness) > dark + 20
    found.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert found.page.evaluate(brightness) == dark
    assert found.page.inner_text("#theme") == "Theme: auto"
    found.context.close()


def test_by_prompt_every_lora_has_a_column_of_its_own(
    browser: Any, run_of_steps: tuple[dict[str, Any], Path]
) -> None:
    document, folder = run_of_steps
    found = Visit(browser, html.write(document, folder / "columns").as_uri())
    found.page.check("#grouped")
    found.read_through()
    places = found.page.evaluate(
        "[...document.querySelectorAll('.line-up.head span')].slice(2).map((head) => head.textContent + ' '"
        " + Math.round(head.getBoundingClientRect().x))"
    )
    assert [place.split()[0] for place in places] == [lora["name"] for lora in document["loras"]]
    columns = found.page.evaluate(
        "[...document.querySelectorAll('.line-up:not(.head)')]"
        ".map((row) => [...row.querySelectorAll('.card')]"
        ".map((card) => Math.round(card.getBoundingClientRect().x)))"
    )
    assert len(columns) > 1
    assert {tuple(row) for row in columns} == {tuple(int(place.split()[1]) for place in places)}
    found.page.select_option("#which", "-2")
    passed = sum(lora["outcome"] == "PASS" for lora in document["loras"])
    assert found.page.locator(".line-up.head span").count() == 2 + passed
    assert found.complaints == []
    found.context.close()


def test_on_a_phone_the_ranking_keeps_verdict_and_reason(
    browser: Any, run_of_steps: tuple[dict[str, Any], Path]
) -> None:
    document, folder = run_of_steps
    found = Visit(browser, html.write(document, folder / "phone").as_uri(), 400)
    boxes = found.page.evaluate(
        "[...document.querySelectorAll('.leaders tbody :is(.word, .stopped)')]"
        ".filter((cell) => cell.textContent.trim())"
        ".map((cell) => cell.getBoundingClientRect()).map((box) => [box.left, box.right])"
    )
    assert len(boxes) >= len(document["loras"])
    assert all(0 <= left < right <= 400 for left, right in boxes)
    nav = "document.querySelector('.top nav')"
    assert found.page.evaluate(f"getComputedStyle({nav}).scrollbarWidth") == "auto"
    assert found.page.evaluate(f"{nav}.scrollWidth > {nav}.clientWidth")
    found.context.close()


def test_a_picture_at_the_top_opens_side_by_side(visit: Visit) -> None:
    assert visit.page.locator(".examples figure").count() == 3
    visit.page.locator("button.picked").last.click()
    name = visit.page.locator("button.picked").last.get_attribute("data-name")
    assert name is not None
    assert name in visit.page.inner_text("#compare-title")


def test_many_cards_are_walked_and_chosen_by_keyboard(browser: Any, tmp_path: Path) -> None:
    document = page_document(tmp_path, [f"step-{i:02}" for i in range(13)], prompts=20, seeds=1, size=32)
    found = Visit(browser, html.write(document, tmp_path / "report").as_uri())
    place = "[...document.querySelectorAll('#sheet .card')].indexOf(document.activeElement)"
    first = found.page.evaluate("document.querySelectorAll('#sheet .card').length")
    assert first < 260  # the others are made when the end comes near
    found.page.locator("#sheet .card").first.focus()
    found.page.keyboard.press("ArrowRight")
    assert found.page.evaluate(place) == 1
    found.page.keyboard.press("ArrowDown")
    below = found.page.evaluate(place)
    assert below > 2
    found.page.keyboard.press("ArrowUp")
    assert found.page.evaluate(place) == 1
    found.page.keyboard.press("End")
    found.until("document.querySelectorAll('#sheet .card').length === 260")
    found.page.keyboard.press("End")
    assert found.page.evaluate(place) == 259
    found.page.focus("#find")
    found.page.keyboard.type("scene-7")
    assert found.page.locator("#sheet .card").count() == 13
    found.page.focus("#failing")
    found.page.keyboard.press("Space")
    assert found.page.locator("#sheet .card").count() < 13
    found.read_through()
    strokes = found.page.locator("#distribution-charts svg.plot").first
    assert strokes.bounding_box()["height"] < 13 * 40  # a line of strokes for each
    names = found.page.locator("#spectrum-chart svg.plot text").all_text_contents()
    assert 0 < len([name for name in names if name.startswith("step-")]) <= 8
    assert found.complaints == []
    found.context.close()
