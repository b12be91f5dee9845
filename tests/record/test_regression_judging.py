"""Which worsening passes, and how the reason says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lora_checks.core.records import Allowance, Lora, Measurement, Threshold
from lora_checks.record import codec
from lora_checks.record.regression.changes import Change
from lora_checks.record.regression.judging import judge
from lora_checks.record.rows import columns

LORA = Lora(Path("new.safetensors"), "new", "ab" * 32, "diffusers", (4,), (4.0,), {"unet": 3}, 6)
ROW = Threshold("identity", "arcface", "w", min=0.5, max_missing=0.1)
NOW = Measurement("arcface", "mean", 0.58, 32, 0, "higher", "arcface/1 x", "the recogniser")
PROMPTS = (("red", 0.7, 0.5, -0.2), ("blue", 0.6, 0.55, -0.05), ("green", 0.5, 0.6, 0.1))


def moved(difference: float, low: float | None, high: float | None, **fields: Any) -> Change:
    prompts = PROMPTS + tuple((f"p{i}", 0.6, 0.6, 0.0) for i in range(13))
    defaults: dict[str, Any] = {
        "label": "arcface", "better": "higher", "kind": "images", "before": 0.6, "value": 0.6 + difference,
        "difference": difference, "low": low, "high": high, "sides": 1, "pairs": 32, "prompts": prompts,
        "per_image": (("red/1", difference),),
    }  # fmt: skip
    return Change(**(defaults | fields))


def judged(found: Change, allowed: float = 0.02, rule: Any = "bound") -> tuple[str, str]:
    made = judge(
        found, Allowance("identity", allowed, rule, "t.yaml:9"), ROW, NOW, LORA, "good 9c1e9c", "out"
    )
    assert (made.check, made.change_of) == ("regression-identity", "identity")
    assert made.required
    return made.outcome.value, made.reason


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (-0.02, 0.01, "PASS"),
        (-0.021, 0.01, "INCONCLUSIVE"),
        (-0.05, -0.02, "INCONCLUSIVE"),
        (-0.05, -0.021, "FAIL"),
        (0.01, 0.05, "PASS"),
        (0.0, 0.0, "PASS"),
    ],
)
def test_by_bound_the_interval_decides(low: float, high: float, outcome: str) -> None:
    assert judged(moved((low + high) / 2, low, high))[0] == outcome


@pytest.mark.parametrize(
    ("difference", "outcome"), [(-0.02, "PASS"), (-0.0201, "FAIL"), (0.3, "PASS"), (0.0, "PASS")]
)
def test_by_estimate_the_difference_decides(difference: float, outcome: str) -> None:
    assert judged(moved(difference, -0.5, 0.5), rule="estimate")[0] == outcome


def test_where_less_is_better_more_is_worse() -> None:
    assert judged(moved(0.1, 0.05, 0.15, better="lower"))[0] == "FAIL"
    assert judged(moved(-0.1, -0.15, -0.05, better="lower"))[0] == "PASS"


def test_nothing_allowed_passes_what_did_not_move() -> None:
    assert judged(moved(0.0, 0.0, 0.0), allowed=0)[0] == "PASS"
    assert judged(moved(-0.001, -0.002, -0.0005), allowed=0)[0] == "FAIL"


def test_a_failure_names_row_difference_interval_allowance_and_prompts() -> None:
    _, reason = judged(moved(-0.05, -0.08, -0.03))
    assert reason == (
        "identity 0.600 -> 0.550, a change of -0.050 [-0.080, -0.030]: worse by more than the allowed 0.020; "
        "worsened most: red -0.200 (0.700 -> 0.500), blue -0.050 (0.600 -> 0.550); images in out"
    )


def test_what_is_not_sure_says_what_would_decide() -> None:
    outcome, reason = judged(moved(-0.01, -0.03, 0.01))
    assert outcome == "INCONCLUSIVE"
    assert "whether that is worse by more than the allowed 0.020 is not sure; about " in reason
    assert "more prompts" in reason
    assert "for both LoRAs would probably decide" in reason


def test_a_bound_without_an_interval_is_an_error() -> None:
    images = tuple((f"{prompt}/1", difference) for prompt, _, _, difference in PROMPTS)
    outcome, reason = judged(moved(-0.05, None, None, prompts=PROMPTS, per_image=images))
    assert outcome == "ERROR"
    assert "at least 8 prompts (3 in this run)" in reason


def test_lost_faces_are_a_worsening_of_their_own() -> None:
    """The mean over the remaining images would not show them."""
    outcome, reason = judged(moved(0.1, 0.05, 0.15, lost=8, pairs=24))
    assert outcome == "FAIL"
    assert reason.startswith("identity: no face in 8 of 32 images that had one before")
    assert judged(moved(0.1, 0.05, 0.15, lost=3, pairs=29))[0] == "PASS"


def test_what_took_no_part_is_said() -> None:
    _, reason = judged(moved(0.1, 0.05, 0.15, lost=1, found=2, absent=3, pairs=29))
    wanted = "29 images compared, 1 lost its value, 2 had none before, 3 are of one run only"
    assert wanted in reason


def test_every_report_shows_it_as_a_row() -> None:
    made = judge(
        moved(-0.05, -0.08, -0.03), Allowance("identity", 0.02, "bound"), ROW, NOW, LORA, "good 9c1e9c"
    )
    row = codec.row(made)
    assert codec.verdict_from_json(codec.verdict_to_json(made)) == made
    assert columns(row)[:6] == (
        *("FAIL", "regression-identity", "change of arcface", "-0.050", "<= -0.030", "min -0.020"),
    )
    assert columns(row)[6].startswith("0.600 -> 0.550, worst: red -0.200")
