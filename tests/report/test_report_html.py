"""What the page of a run holds."""

from __future__ import annotations

import base64
import copy
import hashlib
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import report_world
from browser_world import Visit
from page_fixtures import Parts

from lora_checks.record.ranking import rank
from lora_checks.report import html
from lora_checks.report.html.template import scripts

STATIC = files("lora_checks.report.html").joinpath("static")


def test_the_verdict_comes_first_and_the_reasons_in_words(page: Path, document: dict[str, Any]) -> None:
    text = page.read_text(encoding="utf-8")
    body = text[text.index("<main") :]
    assert body.index("FAIL") < body.index("1 of 2 LoRAs passed; 1 failed") < body.index("<table")
    failed = [row for row in document["loras"][1]["rows"] if row["outcome"] == "FAIL"]
    assert failed
    for row in failed:
        assert row["reason"].partition(";")[0] in text


def test_nothing_is_loaded_from_anywhere_else(parts: Parts) -> None:
    places = [
        a[key] for _, a in parts.tags for key in ("src", "href", "srcset", "action", "data") if a.get(key)
    ]
    assert places
    assert [place for place in places if not place.startswith(("#", "data:"))] == []
    assert all(link == "" or link.startswith("images/") for link in parts.data("data")["links"])


def test_only_our_scripts_may_run(parts: Parts) -> None:
    (policy,) = [a["content"] for tag, a in parts.tags if a.get("http-equiv") == "Content-Security-Policy"]
    running = [
        text
        for text, a in zip(parts.scripts, (a for tag, a in parts.tags if tag == "script"), strict=True)
        if a.get("type") != "application/json"
    ]
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in running]
    assert f"script-src {' '.join(f'{chr(39)}sha256-{found}{chr(39)}' for found in hashes)};" in policy
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy
    assert "unsafe-eval" not in policy


def test_no_script_of_ours_writes_markup() -> None:
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert word not in scripts()[-1].replace("no innerHTML anywhere", "")


def test_the_libraries_are_those_that_were_published() -> None:
    said = STATIC.joinpath("LICENSES.txt").read_text(encoding="utf-8")
    for name in ("d3.min.js", "plot.umd.min.js"):
        content = STATIC.joinpath(name).read_bytes()
        assert f"{hashlib.sha256(content).hexdigest()}  {name}" in said
        assert b"</script" not in content
        assert b"\r" not in content
    assert said.count("Permission to use, copy, modify, and/or distribute") == 2


def test_the_leaderboard_and_the_curves_are_those_of_the_ranking(
    run_of_steps: tuple[dict[str, Any], Path], browser: Any
) -> None:
    document, folder = run_of_steps
    visit = Visit(browser, html.write(document, folder / "report").as_uri())
    board = document["ranking"]["leaderboard"]
    shown = visit.texts("#ranking tbody tr th")
    assert [text.partition(" ")[0] for text in shown] == [row["lora"] for row in board]
    assert "best" in shown[0]
    assert document["ranking"]["sentence"].partition(" ")[2] in visit.page.inner_text("#ranking")
    visit.read_through()
    assert visit.page.locator("#curves svg.plot").count() == len(document["ranking"]["curves"]) > 0
    assert visit.complaints == []
    visit.context.close()


def test_an_axis_of_words_has_the_words_below(
    run_of_steps: tuple[dict[str, Any], Path], browser: Any
) -> None:
    document = copy.deepcopy(run_of_steps[0])
    for place, lora in enumerate(document["loras"]):
        lora["keys"] = {"caption": ("keyword", "gpt4o", "florence")[place % 3]}
    document["run"]["axis"] = "caption"
    document["ranking"] = rank(document)  # type: ignore[arg-type]
    visit = Visit(browser, html.write(document, run_of_steps[1] / "by-caption").as_uri())
    visit.read_through()
    captions = sorted({lora["keys"]["caption"] for lora in document["loras"]})
    texts = visit.page.locator("#curves svg.plot").first.locator("text").all_text_contents()
    assert [text for text in texts if text in captions] == captions
    assert "Caption" in visit.texts("#ranking thead th")
    assert visit.complaints == []
    visit.context.close()


def test_the_approved_release_stands_beside_each_row(run_of_steps: tuple[dict[str, Any], Path]) -> None:
    document, folder = run_of_steps
    text = html.html(document, folder / "report")
    section = text[text.index('<section id="baseline"') :]
    section = section[: section.index("</section>")]
    for words in (
        "old cdcdcd, 2 Nov 2026",
        "-0.050",
        "worse",
        "[-0.080, -0.020]",
        "0.050 worse",
        "tighter",
        "p3",
    ):
        assert words in section, words
    assert section.index("p3") < section.index("p1")
    data = Parts(text).data("data")
    same = data["loras"][0]["images"]
    assert [image["approved"] for image in same] == [same[1]["picture"], *[None] * 7]


def test_a_reason_that_stops_several_rows_stands_there_once(document: dict[str, Any], tmp_path: Path) -> None:
    refused = copy.deepcopy(document)
    for row in refused["loras"][0]["rows"]:
        row |= {"outcome": "ERROR", "reason": "damaged: export it again", "measurement": None}
    text = html.html(refused, tmp_path)
    assert text.count("damaged: export it again") == 1
    checks = ", ".join(row["check"] for row in refused["loras"][0]["rows"])
    assert f"Nothing could be measured for: {checks}" in text


def test_a_run_that_judged_nothing_has_a_page(tmp_path: Path) -> None:
    document: Any = report_world.document(finished="2026-11-24T18:57:57+00:00")
    assert "no LoRA was judged" in html.write(document, tmp_path).read_text(encoding="utf-8")


def contrast(one: str, other: str) -> float:
    """Of two colours "#rrggbb", as WCAG 2 has it: 1 to 21."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_every_colour_of_a_word_can_be_read_in_light_and_in_dark() -> None:
    styles = STATIC.joinpath("page.css").read_text() + STATIC.joinpath("charts.css").read_text()
    found = {
        name: both for name, *both in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);", styles)
    }
    words = found.keys() - {"ground", "card", "sunk", "line"}
    assert {"ink", "soft", "accent", "PASS", "FAIL", "series-0", "series-7"} <= words
    assert contrast("#ffffff", "#000000") == 21
    for name in words:
        for behind in ("ground", "card", "sunk"):
            for colour, ground in zip(found[name], found[behind], strict=True):
                assert contrast(colour, ground) >= 4.5, (name, behind)
