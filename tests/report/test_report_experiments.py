"""Average, minimum and maximum of each LoRA: in Markdown, on the page, and without a quantity twice."""

from __future__ import annotations

import copy
from pathlib import Path
from statistics import fmean
from typing import Any

from browser_world import Visit

from lora_checks.core.words import number
from lora_checks.report import experiments, html
from lora_checks.report.html import spans

Run = tuple[dict[str, Any], Path]


def values(lora: dict[str, Any], check: str) -> list[float]:
    row = next(row for row in lora["rows"] if row["check"] == check)
    return [value for _, value in row["measurement"]["per_image"] if value is not None]


def test_the_page_has_each_lora_with_its_average_and_range(browser: Any, run_of_steps: Run) -> None:
    document, folder = run_of_steps
    visit = Visit(browser, html.write(document, folder / "spans").as_uri(), 400)
    heads = visit.texts("#averages thead th")
    assert heads[0] == "LoRA"
    at = next(i for i, head in enumerate(heads) if head.startswith("drift"))
    lines = [visit.texts(f"#averages tbody tr:nth-child({i + 1}) > *") for i in range(3)]
    order = [entry["lora"] for entry in document["ranking"]["leaderboard"]]
    assert [line[0].partition(".")[0] for line in lines] == order
    for name, line in zip(order, lines, strict=True):
        of = values(next(lora for lora in document["loras"] if lora["name"] == name), "drift")
        assert line[at] == f"{number(fmean(of))}{number(min(of))} to {number(max(of))}"
    assert visit.page.locator(".top nav a[href='#averages']").is_visible()
    visit.context.close()


def test_a_share_of_images_adds_no_column_to_the_mean_of_the_same_values(document: dict[str, Any]) -> None:
    found = copy.deepcopy(document)
    for lora in found["loras"]:
        share = copy.deepcopy(next(row for row in lora["rows"] if row["check"] == "likeness"))
        share["check"] = "strangers"
        share["measurement"] |= {"stat": "share_at_most", "at": 0.3}
        lora["rows"].insert(0, share)
    heads = [column.check for column in experiments.columns(found["loras"])]
    assert heads.count("likeness") == 1
    assert "strangers" not in heads
    table = spans.context(found)
    assert table is not None
    assert [check for check, _ in table["columns"]] == heads


def test_an_image_without_a_value_is_no_zero(document: dict[str, Any]) -> None:
    last = document["loras"][-1]
    found = experiments.span(last, "likeness")
    assert found is not None
    assert found.images == len(last["pictures"]) - 1
    assert found.least == min(values(last, "likeness")) > 0


def test_one_lora_has_no_table_to_compare_it_in(document: dict[str, Any]) -> None:
    assert spans.context(document | {"loras": document["loras"][:1]}) is None


def test_a_lora_that_could_not_be_measured_has_an_empty_cell(document: dict[str, Any]) -> None:
    found = copy.deepcopy(document)
    for row in found["loras"][1]["rows"]:
        row["measurement"] = None
    table = spans.context(found)
    assert table is not None
    assert {cell["average"] for cell in table["rows"][-1]["cells"]} == {""}
