"""The leaderboard, the curves, and the best LoRA, chosen by half of the prompts and judged by the others."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import jsonschema
import numpy as np
import pytest
from ranking_world import PROMPTS, document, even, lora, of_set, spread

from lora_checks.record.ranking import rank
from lora_checks.report import leaderboard

FIRST = [{"check": "identity", "weight": 1.0, "from": 0.0, "to": 1.0}]


def ranked(*loras: dict[str, Any], **run: Any) -> dict[str, Any]:
    found = rank(document(*loras, **run))
    assert found is not None
    json.dumps(found, allow_nan=False)
    return found


def order(found: dict[str, Any]) -> list[str]:
    return [one["lora"] for one in found["leaderboard"]]


def simple(name: str, identity: float, adherence: float = 0.7, **fields: Any) -> dict[str, Any]:
    return lora(name, {"identity": even(identity), "adherence": even(adherence)}, **fields)


def test_one_lora_has_no_ranking() -> None:
    assert rank(document(simple("a", 0.6))) is None


def test_a_lora_that_fails_is_never_above_one_that_passes_whatever_the_weights() -> None:
    found = ranked(simple("fails", 0.99, adherence=0.4), simple("passes", 0.46), ranking=FIRST)
    assert order(found) == ["passes", "fails"]
    assert found["leaderboard"][1]["utility"] > found["leaderboard"][0]["utility"]
    assert found["leaderboard"][1]["stopped_by"] == ["adherence"]
    assert found["best"]["lora"] == "passes"


def test_where_none_passes_none_is_best_and_they_are_still_in_order() -> None:
    found = ranked(simple("worse", 0.1), simple("bad", 0.4), ranking=FIRST)
    assert order(found) == ["bad", "worse"]
    assert found["best"] is None
    assert found["sentence"] == "none of 2 LoRAs passes every required row, so none is best"


def test_a_row_that_was_never_judged_counts_as_a_stop() -> None:
    unrun = simple("unrun", 0.9) | {"outcome": "INCOMPLETE", "missing": ["applied"]}
    found = ranked(unrun, simple("passes", 0.5))
    assert order(found) == ["passes", "unrun"]
    assert found["leaderboard"][1]["stopped_by"] == ["applied"]


def test_utility_is_the_weighted_mean_of_what_the_policy_declares() -> None:
    said = [
        {"check": "identity", "weight": 2.0, "from": 0.2, "to": 0.8},
        {"check": "adherence", "weight": 1.0, "from": 0.5, "to": 0.9},
    ]
    found = ranked(simple("a", 0.5, 0.8), simple("b", 0.95, 0.6), ranking=said)
    utilities = {one["lora"]: one["utility"] for one in found["leaderboard"]}
    assert utilities == pytest.approx({"a": (2 * 0.5 + 0.75) / 3, "b": (2 * 1.0 + 0.25) / 3})
    assert (found["by"], found["weights"]) == ("policy", said)


def test_a_falling_scale_values_the_smaller_number_more() -> None:
    said = [{"check": "drift", "weight": 1.0, "from": 0.4, "to": 0.1}]
    loras = (lora(name, {"drift": even(value)}) for name, value in (("far", 0.3), ("near", 0.15)))
    found = ranked(*loras, ranking=said)
    assert [one["utility"] for one in found["leaderboard"]] == pytest.approx([0.25 / 0.3, 0.1 / 0.3])


def test_without_the_key_each_required_row_counts_alike_from_its_limit_to_the_best_of_the_run() -> None:
    a = lora("a", {"identity": even(0.65), "drift": even(0.3), "leak": even(0.0)})
    b = lora("b", {"identity": even(0.55), "drift": even(0.2), "leak": even(0.4)})
    found = ranked(a, b)
    assert found["by"] == "margins"
    assert [(w["check"], w["from"], w["to"]) for w in found["weights"]] == [
        ("identity", 0.45, pytest.approx(0.65)),
        ("drift", 0.4, pytest.approx(0.2)),
    ]
    utilities = {one["lora"]: one["utility"] for one in found["leaderboard"]}
    assert utilities == pytest.approx({"a": (1 + 0.5) / 2, "b": (0.5 + 1) / 2})


def test_a_comparison_with_the_approved_release_does_not_count_its_row_again() -> None:
    loras = [simple(name, value) for name, value in (("a", 0.5), ("b", 0.6))]
    for one in loras:
        one["rows"].append(one["rows"][0] | {"check": "no-worse", "change_of": "identity"})
    assert [worth["check"] for worth in ranked(*loras)["weights"]] == ["identity", "adherence"]


def test_a_row_of_the_policy_counts_whatever_its_name() -> None:
    loras = [simple(name, value) for name, value in (("a", 0.5), ("b", 0.6))]
    for one in loras:
        one["rows"].append(one["rows"][0] | {"check": "regression-identity"})
    found = [worth["check"] for worth in ranked(*loras)["weights"]]
    assert found == ["identity", "adherence", "regression-identity"]


def test_between_two_limits_the_middle_is_worth_most() -> None:
    loras = [lora(str(value), {"light": even(value)}) for value in (110.0, 150.0, 175.0, 195.0)]
    found = ranked(*loras)
    assert order(found) == ["150.0", "175.0", "110.0", "195.0"]
    assert [one["utility"] for one in found["leaderboard"]] == pytest.approx([1.0, 0.5, 0.2, 0.1])


def test_of_equals_the_one_that_was_trained_less_comes_first() -> None:
    found = ranked(simple("step-0300", 0.6), simple("step-0200", 0.6))
    assert order(found) == ["step-0200", "step-0300"]


def test_a_lora_without_a_value_of_a_weighted_row_stands_after_those_with_one() -> None:
    faceless = lora("faceless", {"adherence": even(0.9)})
    found = ranked(faceless, simple("bad", 0.2), ranking=FIRST)
    assert [one["utility"] for one in found["leaderboard"]] == [pytest.approx(None), pytest.approx(0.2)]
    assert found["best"] is None
    assert found["sentence"] == "1 of 2 pass, but no row has values by which one is better"


# -- halves


def test_the_halves_depend_on_the_ids_of_the_prompts_alone() -> None:
    loras = [simple("a", 0.6), simple("b", 0.5)]
    turned = [
        lora(name, {"identity": even(value, PROMPTS[::-1])}) for name, value in (("c", 0.5), ("d", 0.6))
    ]
    found, again = ranked(*loras)["split"], ranked(*turned)["split"]
    assert found == again
    assert sorted((*found["choose"], *found["judge"])) == sorted(PROMPTS)
    assert len(found["choose"]) == len(found["judge"]) == 8


def test_the_best_is_chosen_by_one_half_though_the_other_says_otherwise() -> None:
    halves = ranked(simple("a", 0.6), simple("b", 0.6))["split"]
    lucky = {prompt: [0.9 if prompt in halves["choose"] else 0.5] for prompt in PROMPTS}
    found = ranked(lora("lucky", {"identity": lucky}), lora("steady", {"identity": even(0.8)}), ranking=FIRST)
    assert (found["best"]["lora"], found["best"]["utility"], found["best"]["judged"]) == (
        "lucky",
        pytest.approx(0.9),
        pytest.approx(0.5),
    )
    (row,) = found["best"]["rows"]
    assert (row["choose"]["value"], row["judge"]["value"], row["judge"]["prompts"]) == (0.9, 0.5, 8)
    assert found["notes"][0] == (
        "on the other half of the prompts steady (0.800) is above lucky (0.500): they are close"
    )
    assert found["sentence"] == (
        "best: lucky, first of 2 that pass, "
        "utility 0.900 on the 8 prompts it was chosen by, 0.500 on 8 others"
    )


def test_the_judging_half_shows_the_winner_without_its_luck() -> None:
    rng, chosen, judged = np.random.default_rng(0), [], []
    for _ in range(150):
        found = ranked(*(lora(str(i), {"identity": spread(rng, 0.6, 0.1)}) for i in range(12)), ranking=FIRST)
        chosen.append(found["best"]["utility"])
        judged.append(found["best"]["judged"])
    assert np.mean(chosen) > 0.63  # twelve equal LoRAs of 0.6: the luckiest looks better
    assert np.mean(judged) == pytest.approx(0.6, abs=0.008)


def test_a_value_outside_its_limit_on_the_judging_half_is_said() -> None:
    halves = ranked(simple("a", 0.6), simple("b", 0.6))["split"]
    uneven = {prompt: [0.9 if prompt in halves["choose"] else 0.4] for prompt in PROMPTS}
    found = ranked(lora("a", {"identity": uneven}), lora("b", {"identity": even(0.3)}))
    assert (
        "identity of a is 0.400 on the other half of the prompts alone, outside its limit" in found["notes"]
    )


def test_a_row_of_tagged_prompts_is_in_both_halves() -> None:
    arm = ("bare-1", "bare-2")
    loras = [lora(name, {"identity": even(0.6), "leak": even(0.1, arm)}) for name in ("a", "b")]
    found = ranked(*loras)["split"]
    assert all(len(set(arm) & set(half)) == 1 for half in found.values())


def test_too_few_prompts_are_not_halved_and_that_is_said() -> None:
    few = PROMPTS[:7]
    loras = [lora(name, {"identity": even(v, few)}) for name, v in (("a", 0.5), ("b", 0.6))]
    found = ranked(*loras, ranking=FIRST)
    assert (found["split"], found["best"]["lora"], found["best"]["judged"]) == (None, "b", None)
    assert found["sentence"].endswith("the prompts are too few to judge it on others")


def test_missing_faces_of_a_half_are_counted_in_that_half() -> None:
    halves = ranked(simple("a", 0.6), simple("b", 0.6))["split"]
    faces = {prompt: [0.6, 0.6 if prompt in halves["choose"] else None] for prompt in PROMPTS}
    found = ranked(*(lora(name, {"identity": faces, "face-found": faces}) for name in ("a", "b")))
    rows = {row["check"]: row for row in found["best"]["rows"]}
    assert (rows["face-found"]["choose"]["value"], rows["face-found"]["judge"]["value"]) == (0.0, 0.5)


def test_a_value_of_a_set_only_gates_and_that_is_said() -> None:
    said = [*FIRST, {"check": "distribution", "weight": 5.0, "from": 700.0, "to": 300.0}]
    loras = [
        lora("close", {"identity": even(0.5), "distribution": of_set("distribution", 350.0)}),
        lora("like", {"identity": even(0.6), "distribution": of_set("distribution", 690.0)}),
        lora("off", {"identity": even(0.9), "distribution": of_set("distribution", 800.0)}),
    ]
    found = ranked(*loras, ranking=said)
    assert order(found) == ["like", "close", "off"]
    assert (found["gate_only"], [w["check"] for w in found["weights"]]) == (["distribution"], ["identity"])
    assert "distribution" not in [row["check"] for row in found["best"]["rows"]]


# -- curves


def test_curves_run_over_the_training_step_in_its_order_with_intervals() -> None:
    found = ranked(*(simple(f"step-{step}", 0.4 + step / 1000) for step in (300, 25, 100)))
    assert found["axis"] == "step"
    curve = next(curve for curve in found["curves"] if curve["check"] == "identity")
    assert {key: curve[key] for key in ("label", "better", "required", "min", "max", "role")} == {
        "label": "arcface", "better": "higher", "required": True, "min": 0.45, "max": None, "role": "likeness"
    }  # fmt: skip
    (line,) = curve["series"]
    assert [(p["lora"], p["x"], p["outcome"]) for p in line["points"]] == [
        ("step-25", 25, "FAIL"),
        ("step-100", 100, "PASS"),
        ("step-300", 300, "PASS"),
    ]
    assert line["points"][0]["low"] == pytest.approx(0.425)


def test_epochs_are_called_epochs() -> None:
    found = ranked(simple("person-000002", 0.6), simple("person-000004", 0.7))
    assert found["axis"] == "epoch"
    assert [(one["step"], one["epoch"]) for one in found["leaderboard"]] == [(None, 4), (None, 2)]


def test_without_steps_the_strength_is_the_axis_and_each_file_a_line() -> None:
    found = ranked(*(simple(f"{name}:{s:g}", 0.6, scale=s) for name in ("good", "other") for s in (0.6, 1.0)))
    assert found["axis"] == "scale"
    assert [line["name"] for line in found["curves"][0]["series"]] == ["good", "other"]
    assert [p["x"] for p in found["curves"][0]["series"][0]["points"]] == [0.6, 1.0]


def test_without_steps_and_strengths_the_rank_is_the_axis() -> None:
    found = ranked(simple("small", 0.6, ranks=[4]), simple("large", 0.6, ranks=[4, 16]))
    assert found["axis"] == "rank"
    assert [p["x"] for p in found["curves"][0]["series"][0]["points"]] == [4, 16]


def test_loras_that_differ_in_nothing_known_have_no_curves() -> None:
    found = ranked(simple("a", 0.6), simple("b", 0.7))
    assert (found["axis"], found["curves"]) == (None, [])


def test_two_runs_and_two_strengths_over_one_axis_are_lines_of_their_own() -> None:
    loras = [
        simple(f"{run}-step{step}:{scale:g}", 0.6, scale=scale, path=f"runs/{run}-step{step}.safetensors")
        for run in ("slow", "fast") for scale in (0.8, 1.0) for step in (100, 200)
    ]  # fmt: skip
    found = ranked(*loras)
    assert [line["name"] for line in found["curves"][0]["series"]] == [
        "slow, strength 0.8", "slow, strength 1", "fast, strength 0.8", "fast, strength 1"
    ]  # fmt: skip


def test_a_refused_file_of_unknown_rank_makes_no_line_of_its_own() -> None:
    refused = simple("step-3", 0.6, ranks=[], outcome="ERROR")
    refused["rows"] = [row | {"outcome": "ERROR", "measurement": None} for row in refused["rows"]]
    found = ranked(simple("step-1", 0.6), simple("step-2", 0.7), refused)
    assert {line["name"] for curve in found["curves"] for line in curve["series"]} == {""}
    assert leaderboard.axes(found) == ["step"]


def test_a_lora_of_unknown_step_is_on_the_leaderboard_and_said_to_be_in_no_curve() -> None:
    found = ranked(simple("step-1", 0.65), simple("step-2", 0.6), simple("last", 0.7))
    assert order(found)[0] == "last"
    assert found["notes"] == ["the step of 1 LoRA is unknown, so no curve shows last"]


def test_the_schema_of_the_report_describes_a_ranking_with_all_its_parts() -> None:
    text = resources.files("lora_checks.report").joinpath("schema.json").read_text()
    schema = {**json.loads(text), "$ref": "#/$defs/ranking"}
    whole = {key: schema[key] for key in ("$schema", "$ref", "$defs")}
    few = [lora(f"step-{i}", {"identity": even(0.6, PROMPTS[:5])}) for i in (1, 2)]
    failing = [
        simple("a", 0.1),
        simple("c", 0.1) | {"outcome": "INCOMPLETE"},
        lora("b", {"distribution": of_set("distribution", 900.0)}),
    ]
    for found in (ranked(*few), ranked(*failing), ranked(simple("step-1", 0.6), simple("step-2", 0.65))):
        assert [error.message for error in jsonschema.Draft202012Validator(whole).iter_errors(found)] == []
    broken = ranked(*few) | {"winner": "a"}
    assert list(jsonschema.Draft202012Validator(whole).iter_errors(broken))
