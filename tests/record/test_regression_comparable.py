"""What keeps two runs from being compared, and what does not."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lora_checks.core.records import Calibration, Measurement, Outcome, Threshold, Verdict
from lora_checks.record.document import verdict_to_json
from lora_checks.record.regression import comparable
from lora_checks.record.regression.approved import Judged
from lora_checks.record.regression.comparison import policy_differences
from lora_checks.record.regression.policy_changes import differences

RUN: dict[str, Any] = {
    "base": {"model": "sd", "digest": "aa", "label": "sd aa"},
    "dtype": "float32",
    "hardware": "cpu",
    "seeds": [1],
    "trigger": "sks person",
    "class_words": "person",
    "sampler": {"steps": 20, "guidance": 2.0},
    "prompts": [{"id": f"p{i}", "text": f"a sks person {i}", "tags": []} for i in range(6)],
    "save_memory": [],
    "companions": [],
    "folders": {"references": {"digest": "r1"}, "train": {"digest": "t1"}},
    "versions": ["torch 2"],
}
ROW = Threshold("identity", "arcface", "w", min=0.5)
FOUND = Measurement(
    "arcface", "mean", 0.6, 6, 0, "higher", "arcface/1 x", "x", "references (24)", per_image=(("p0/1", 0.6),)
)


def run(**changes: Any) -> dict[str, Any]:
    return {**RUN, **changes}


def judged(row: Threshold = ROW, **changes: Any) -> Verdict:
    return Verdict("a", "", row.name, Outcome.PASS, "", threshold=row, measurement=replace(FOUND, **changes))


def test_the_same_run_has_no_obstacle() -> None:
    assert comparable.of_runs(RUN, run()) == []
    assert comparable.of_rows(judged(), judged(), RUN, RUN) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"base": {"digest": "bb", "label": "sd bb"}}, "base: sd aa aa before, sd bb bb now"),
        ({"dtype": "float16"}, "format: float32 before, float16 now"),
        ({"seeds": [1, 2]}, "seeds: [1] before, [1, 2] now"),
        ({"trigger": "ohwx"}, "trigger: sks person before, ohwx now"),
        ({"class_words": "man"}, "class words: person before, man now"),
        ({"sampler": {"steps": 30, "guidance": 2.0}}, "sampler's steps: 20 before, 30 now"),
        (
            {"base_sampler": {"steps": 50, "guidance": 2.0}},
            "sampler without the LoRA's steps: 20 before, 50 now",
        ),
        (
            {"save_memory": ["vae-tiling"]},
            "saving memory at the price of pixels: none before, vae-tiling now",
        ),
        ({"elsewhere": {"images": "x"}}, "images: made by the gate before, made elsewhere now"),
        (
            {"prompts": [*RUN["prompts"][:5], {"id": "p5", "text": "other", "tags": []}]},
            "prompt p5: 'a sks person 5' before, 'other' now",
        ),
    ],
)
def test_each_obstacle_names_both_values(changes: dict[str, Any], reason: str) -> None:
    assert comparable.of_runs(RUN, run(**changes)) == [reason]


def test_many_prompts_are_not_all_named() -> None:
    reasons = comparable.of_runs(RUN, run(prompts=[]))
    assert reasons[-1] == "and 3 more prompts"
    assert reasons[0] == "prompt p0: 'a sks person 0' before, none now"


def test_what_changes_no_value_is_no_obstacle() -> None:
    moved = run(base={**RUN["base"], "model": "/elsewhere/sd", "label": "elsewhere aa"})
    assert comparable.of_runs(RUN, moved) == []
    assert (
        comparable.of_runs(RUN, run(save_memory=["vae-slicing"], versions=["torch 3"], device="cuda:1")) == []
    )
    assert comparable.notes(RUN, run(versions=["torch 3"])) == ["versions: torch 2 before, torch 3 now"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"network": "arcface/2 x"}, "network: arcface/1 x before, arcface/2 x now"),
        ({"stat": "min"}, "measured: mean arcface, against references (24) before, min arcface, "),
        ({"gain": True}, "mean gain in arcface"),
        ({"on": "glasses"}, "mean arcface on glasses"),
        ({"against": "references (25)"}, "against references (25) now"),
    ],
)
def test_a_row_that_was_measured_otherwise(changes: dict[str, Any], reason: str) -> None:
    (found,) = comparable.of_rows(judged(), judged(**changes), RUN, RUN)
    assert reason in found


def test_another_pairing_is_another_value() -> None:
    other = judged(replace(ROW, pairing="mean"))
    assert comparable.of_rows(judged(), other, RUN, RUN)
    assert not comparable.of_rows(judged(), judged(replace(ROW, min=0.1, rule="bound")), RUN, RUN)


def test_only_the_folder_that_a_row_compares_with_matters() -> None:
    other = run(folders={"references": {"digest": "r1"}, "train": {"digest": "t2"}})
    assert comparable.of_rows(judged(), judged(), RUN, other) == []
    train = replace(ROW, against="train")
    sides = judged(train, against="train (24)")
    (found,) = comparable.of_rows(sides, sides, RUN, other)
    assert found == "pictures in train: t1 before, t2 now"


def test_a_set_of_other_prompts_is_another_set() -> None:
    """A tag puts two prompts into an arm, so that the row without `tagged:` measures four images, not six."""
    prompts = [one | {"tags": ["unrelated"] if i < 2 else []} for i, one in enumerate(RUN["prompts"])]
    of_set = judged(per_image=())
    assert comparable.of_rows(of_set, of_set, RUN, run(prompts=prompts)) == [
        "prompts of the set, by their tags: 6 before, 4 now"
    ]
    assert comparable.of_rows(of_set, of_set, RUN, RUN) == []
    assert comparable.of_rows(judged(), judged(), RUN, run(prompts=prompts)) == []


def test_what_was_not_measured_has_no_difference() -> None:
    nothing = Verdict("a", "", "identity", Outcome.ERROR, "no face", threshold=ROW)
    assert comparable.of_rows(nothing, judged(), RUN, RUN) == ["it was not measured before (ERROR)"]
    assert comparable.of_rows(judged(), nothing, RUN, RUN) == ["it was not measured now (ERROR)"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"min": 0.4}, "identity: min 0.500 -> 0.400, looser"),
        ({"min": 0.5001}, "identity: min 0.5000 -> 0.5001"),
        ({"min": None, "max": 1.0}, "identity: min 0.500 -> none, looser"),
        ({"max": 0.9}, "identity: max none -> 0.900"),
        ({"max_missing": 0.1}, "identity: max_missing 0.000 -> 0.100, looser"),
        ({"required": False}, "identity: required true -> false, looser"),
        ({"rule": "bound"}, "identity: rule estimate -> bound"),
        ({"bands": (("good", 0.6),)}, "identity: bands [] -> [[good, 0.600]]"),
        ({"calibrated_on": Calibration("x", ("a",))}, "identity: calibrated_on none -> another"),
    ],
)
def test_a_limit_that_moved_is_named_with_both_values(changes: dict[str, Any], sentence: str) -> None:
    found = differences({"identity": ROW}, {"identity": replace(ROW, **changes)}, {}, {})
    assert found[0] == sentence


def of_policy(regression: str, *rows: Verdict) -> Judged:
    told = [json.loads(verdict_to_json(row)) for row in rows]
    run = {"policy": {"parts": {"thresholds": "", "regression": regression}}}
    return Judged(Path(), "", run, {"rows": told, "missing": []})


def allowed(check: str, row: Threshold | None = ROW) -> Verdict:
    change_of = check.removeprefix("regression-")
    limit = row and replace(row, name=check)
    return Verdict("a", "", check, Outcome.PASS, "", threshold=limit, change_of=change_of)


def test_a_limit_on_worsening_that_went_is_said_whatever_else_moved() -> None:
    both = of_policy("1", judged(), allowed("regression-a"), allowed("regression-b"))
    looser = Verdict("a", "", "identity", Outcome.PASS, "", threshold=replace(ROW, min=0.4))
    one = of_policy("2", looser, allowed("regression-a"))
    none = of_policy("3", looser)
    moved = "identity: min 0.500 -> 0.400, looser"
    assert policy_differences(both, one) == [moved, "regression-b: no such row any more, looser"]
    assert policy_differences(both, none) == [moved, "regression changed"]


def test_a_comparison_that_could_not_be_made_has_not_gone() -> None:
    whole = of_policy("1", allowed("regression-a"), allowed("regression-b"))
    broken = of_policy("1", allowed("regression-a"), allowed("regression-b", None))
    assert policy_differences(whole, broken) == []
    assert policy_differences(of_policy("1"), whole) == []


def test_a_row_is_a_row_whatever_its_name() -> None:
    """The policy's own row "regression-identity" has a value, which no prefix of its name takes from it."""
    named = Verdict("a", "", "regression-x", Outcome.PASS, "", threshold=replace(ROW, name="regression-x"))
    before, now = of_policy("1", named), of_policy("1", judged())
    assert list(before.rows) == ["regression-x"]
    assert list(of_policy("1", allowed("regression-x")).rows) == []
    assert policy_differences(before, now) == [
        "regression-x: no such row any more, looser",
        "identity: new row",
    ]


def test_a_check_of_a_report_without_the_field_is_known_by_what_it_recorded() -> None:
    def of_earlier_version(details: dict[str, Any]) -> Judged:
        row = json.loads(verdict_to_json(replace(allowed("regression-x"), details=details)))
        del row["change_of"]
        return Judged(Path(), "", {}, {"rows": [row], "missing": []})

    assert of_earlier_version({"before": 0.5, "value": 0.6}).verdicts["regression-x"].change_of == "x"
    assert list(of_earlier_version({}).rows) == ["regression-x"]


def test_a_value_that_was_lost_is_no_number_to_compare() -> None:
    assert comparable.of_rows(judged(value=math.nan), judged(), RUN, RUN) == [
        "it was not measured before (PASS)"
    ]
    assert comparable.of_rows(judged(), judged(value=math.nan), RUN, RUN) == [
        "it was not measured now (PASS)"
    ]


def test_rows_that_came_and_went_and_other_parts() -> None:
    assert differences({"a": ROW}, {"b": ROW}, {"prompts": "1"}, {"prompts": "2"}) == [
        *("a: no such row any more, looser", "b: new row", "prompts changed"),
    ]
    assert differences(
        {"a": ROW}, {"a": replace(ROW, why="else")}, {"thresholds": "1"}, {"thresholds": "2"}
    ) == ["thresholds changed"]
