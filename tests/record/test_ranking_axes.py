"""What the curves are drawn over: steps, ranks, and any key that names, the policy or the metadata give."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from ranking_world import document, even, lora

from lora_checks.record.ranking import rank
from lora_checks.record.ranking.axes import numbers_of
from lora_checks.report import experiments, leaderboard, tables


def one(name: str, identity: float, **fields: Any) -> dict[str, Any]:
    return lora(name, {"identity": even(identity)}, **fields)


def ranked(*loras: dict[str, Any], **run: Any) -> Any:
    whole = document(*loras, **run)
    whole["ranking"] = rank(whole)  # type: ignore[arg-type]
    return whole


def lines(found: Any) -> dict[str, list[tuple[float, str]]]:
    curve = found["ranking"]["curves"][0]
    return {s["name"]: [(p["x"], p["lora"]) for p in s["points"]] for s in curve["series"]}


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["512", "1024"], [512, 1024]),
        (["r4", "r16", "r32"], [4, 16, 32]),
        (["512px", "1024px"], [512, 1024]),
        (["(512, 512)", "1024x1024"], [512, 1024]),
        (["1e-4", "0.0005"], [1e-4, 5e-4]),
        (["florence2", "gpt4o"], None),
        (["512x768", "512x512"], None),
        (["r4", "16"], None),
        (["1e999", "2"], None),
    ],
)
def test_texts_that_differ_in_a_number_are_numbers(texts: list[str], numbers: list[float] | None) -> None:
    assert numbers_of(texts) == numbers


def test_the_rank_is_the_axis_where_nothing_else_differs() -> None:
    found = ranked(one("a", 0.6, ranks=[16]), one("b", 0.7, ranks=[4]))
    assert found["ranking"]["axis"] == "rank"
    assert lines(found) == {"": [(4, "b"), (16, "a")]}
    assert "keys" not in found["ranking"]["leaderboard"][0]


def test_captions_are_categories_in_order() -> None:
    captions = {"a": "keyword", "b": "florence2", "c": "gpt4o"}
    found = ranked(*(one(name, 0.6, keys={"caption": text}) for name, text in captions.items()))
    assert (found["ranking"]["axis"], found["ranking"]["categories"]) == (
        "caption", ["florence2", "gpt4o", "keyword"]
    )  # fmt: skip
    assert lines(found) == {"": [(0, "b"), (1, "c"), (2, "a")]}
    assert leaderboard.headings(found["ranking"])[:2] == ["LoRA", "caption"]
    cells = leaderboard.cells(found["ranking"], found["loras"])
    assert {Path(first).stem: second for first, second, *_ in cells} == captions


def test_the_axis_that_is_asked_for_and_a_line_for_each_step() -> None:
    found = ranked(
        *(
            one(
                f"r{rank}-step{step}", 0.5 + rank / 100, ranks=[rank], step=step, path=f"r{rank}-step{step}.x"
            )
            for rank in (4, 16)
            for step in (100, 200)
        ),
        axis="rank",
    )
    assert found["ranking"]["axis"] == "rank"
    assert lines(found) == {
        "step 100": [(4, "r4-step100"), (16, "r16-step100")],
        "step 200": [(4, "r4-step200"), (16, "r16-step200")],
    }


def test_steps_come_first_and_a_variant_of_one_run_is_a_line_of_its_own() -> None:
    variants = [
        one(f"{text}-{step}", 0.6, keys={"caption": text}, step=step, path=f"person-step{step}.x")
        for text in ("keyword", "gpt4o")
        for step in (100, 200)
    ]
    found = ranked(*variants)
    assert found["ranking"]["axis"] == "step"
    assert set(lines(found)) == {"caption keyword", "caption gpt4o"}


def test_what_the_metadata_says_is_an_axis_if_nothing_else_differs_or_if_asked() -> None:
    rates = [one(n, 0.6, facts={"learning rate": r, "title": n}) for n, r in (("a", "1e-4"), ("b", "0.0005"))]
    found = ranked(*rates)
    assert found["ranking"]["axis"] == "learning rate"
    assert lines(found) == {"": [(1e-4, "a"), (5e-4, "b")]}
    assert found["ranking"]["leaderboard"][0]["keys"] == {"learning rate": "1e-4"}
    assert ranked(*(one(n, 0.6, facts={"title": n}) for n in "ab"))["ranking"]["axis"] is None
    three = ranked(*rates, one("c", 0.6, ranks=[8]), axis="learning rate")
    assert three["ranking"]["axis"] == "learning rate"
    assert any("the learning rate of 1 LoRA is unknown" in note for note in three["ranking"]["notes"])


def test_a_key_of_the_names_may_be_the_rank_or_the_strength() -> None:
    pictures = [one(n, 0.6, keys={"rank": n}, ranks=[], scale=None) for n in ("r4", "r32")]
    found = ranked(*pictures)
    assert found["ranking"]["axis"] == "rank"
    assert lines(found) == {"": [(4, "r4"), (32, "r32")]}


def test_the_keys_are_columns_of_every_table(tmp_path: Path) -> None:
    found = ranked(
        one("a", 0.6, keys={"caption": "keyword"}, ranks=[4]),
        one("b", 0.7, keys={"caption": "gpt4o"}, ranks=[8]),
    )
    for path in (*tables.write(found, tmp_path)[:2], experiments.write(found, tmp_path)):
        table = list(csv.DictReader(io.StringIO(path.read_text())))
        assert {(line["lora"], line["caption"], line["rank"]) for line in table} == {
            ("a", "keyword", "4"), ("b", "gpt4o", "8")
        }  # fmt: skip
    parquet = pytest.importorskip("pyarrow.parquet", reason="no pyarrow")
    assert set(parquet.read_table(tmp_path / "values.parquet")["caption"].to_pylist()) == {"keyword", "gpt4o"}
    alone = ranked(one("a", 0.6))
    assert "rank" not in tables.write(alone, tmp_path)[0].read_text().partition("\n")[0].split(",")
