"""What passes, what does not, and in which words."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_checks.core import direction
from lora_checks.core.records import Calibration, Lora, Measurement, Outcome, Threshold, Verdict
from lora_checks.judge import verdict
from lora_checks.stats import intervals

LORA = Lora(Path("a.safetensors"), "a", "ab" * 32, "diffusers", (4,), (4.0,), {"unet": 3}, 6)
NAN, INF = math.nan, math.inf


def measured(**fields: Any) -> Measurement:
    defaults: dict[str, Any] = {
        "metric": "arcface", "stat": "mean", "value": 0.6, "n": 32, "missing": 0, "better": "higher",
        "network": "arcface:1", "label": "the miniature's recogniser", "low": 0.55, "high": 0.65,
        "prompts": 16, "per_image": (("green-shirt/0", 0.6),),
    }  # fmt: skip
    return Measurement(**(defaults | fields))


def row(**fields: Any) -> Threshold:
    return Threshold(**({"name": "identity", "metric": "arcface", "why": "measured"} | fields))


def judge(measurement: Measurement, threshold: Threshold, images: str = "") -> tuple[str, str]:
    found = verdict.judge(measurement, threshold, LORA, images)
    return found.outcome.value, found.reason


@pytest.mark.parametrize(
    ("limits", "value", "outcome"),
    [
        ({"min": 0.5}, 0.5, "PASS"),
        ({"min": 0.5}, 0.4999999, "FAIL"),
        ({"max": 0.25}, 0.25, "PASS"),
        ({"max": 0.25}, 0.2500001, "FAIL"),
        ({"min": 0.1, "max": 0.2}, 0.15, "PASS"),
        ({"min": 0.1, "max": 0.2}, 0.05, "FAIL"),
        ({"min": 0.1, "max": 0.2}, 0.25, "FAIL"),
        ({"min": 0.0}, 0.0, "PASS"),
        ({"max": 0.0}, 0.0, "PASS"),
        ({"max": 0.0}, 0.1, "FAIL"),
    ],
)
def test_estimate_compares_the_value_and_the_limit_itself_passes(
    limits: dict[str, float], value: float, outcome: str
) -> None:
    assert judge(measured(value=value), row(**limits))[0] == outcome


@pytest.mark.parametrize(
    ("limits", "interval", "outcome"),
    [
        ({"min": 0.5}, (0.5, 0.6), "PASS"),
        ({"min": 0.5}, (0.4, 0.6), "INCONCLUSIVE"),
        ({"min": 0.5}, (0.4, 0.5), "INCONCLUSIVE"),
        ({"min": 0.5}, (0.3, 0.49), "FAIL"),
        ({"max": 0.5}, (0.4, 0.5), "PASS"),
        ({"max": 0.5}, (0.5, 0.6), "INCONCLUSIVE"),
        ({"max": 0.5}, (0.51, 0.6), "FAIL"),
        ({"min": 0.4, "max": 0.6}, (0.4, 0.6), "PASS"),
        ({"min": 0.4, "max": 0.6}, (0.3, 0.7), "INCONCLUSIVE"),
        ({"min": 0.4, "max": 0.6}, (0.3, 0.5), "INCONCLUSIVE"),
        ({"min": 0.4, "max": 0.6}, (0.55, 0.7), "INCONCLUSIVE"),
        ({"min": 0.4, "max": 0.6}, (0.3, 0.39), "FAIL"),
        ({"min": 0.4, "max": 0.6}, (0.65, 0.7), "FAIL"),
    ],
)
def test_bound_compares_the_whole_interval(
    limits: dict[str, float], interval: tuple[float, float], outcome: str
) -> None:
    low, high = interval
    measurement = measured(value=(low + high) / 2, low=low, high=high)
    assert judge(measurement, row(rule="bound", **limits))[0] == outcome


@pytest.mark.parametrize(
    ("limits", "interval", "outcome", "words"),
    [
        ({"min": 0.5}, (0.52, 0.7), "PASS", "mean arcface 0.610, at least 0.520, meets min 0.500"),
        ({"min": 0.5}, (0.3, 0.48), "FAIL", "mean arcface 0.390, at most 0.480, is below min 0.500"),
        ({"max": 0.5}, (0.3, 0.48), "PASS", "mean arcface 0.390, at most 0.480, meets max 0.500"),
        ({"max": 0.5}, (0.52, 0.7), "FAIL", "mean arcface 0.610, at least 0.520, is above max 0.500"),
        ({"min": 0.5}, (0.45, 0.6), "INCONCLUSIVE", "mean arcface 0.525 [0.450, 0.600] straddles min 0.500"),
        ({"min": 0.4, "max": 0.6}, (0.45, 0.55), "ERROR", "a row with two limits needs a two-sided interval"),
    ],
)
def test_one_sided_bounds_name_the_end_that_decided(
    limits: dict[str, float], interval: tuple[float, float], outcome: str, words: str
) -> None:
    low, high = interval
    found = judge(measured(value=(low + high) / 2, low=low, high=high, sides=1), row(rule="bound", **limits))
    assert found[0] == outcome
    assert found[1].startswith(words)


@pytest.mark.parametrize(
    ("fields", "value", "words"),
    [
        ({"stat": "share_at_least", "at": 0.5}, 0.9, "share of images with arcface at least 0.500: 0.900"),
        ({"stat": "share_at_most", "at": 0.1}, 0.9, "share of images with arcface at most 0.100: 0.900"),
        ({"stat": "worst_prompt"}, 0.6, "worst prompt's arcface 0.600"),
        ({"gain": True}, 0.6, "mean gain in arcface 0.600"),
        ({"on": "glasses=yes"}, 0.6, "mean arcface on glasses=yes 0.600"),
    ],
)
def test_what_was_measured_is_said_and_must_be_what_the_row_asks_for(
    fields: dict[str, Any], value: float, words: str
) -> None:
    measurement = measured(value=value, low=None, high=None, **fields)
    assert judge(measurement, row(min=0.5, **fields)) == ("PASS", f"{words} meets min 0.500")
    outcome, reason = judge(measurement, row(min=0.5))
    assert outcome == "ERROR"
    assert reason.startswith("the row asks for mean arcface, but ")


def test_a_share_is_better_in_the_direction_of_its_values() -> None:
    for stat, better, wanted in (
        ("share_at_least", "higher", "higher"),
        ("share_at_most", "higher", "lower"),
        ("share_at_least", "lower", "lower"),
        ("share_at_most", "lower", "higher"),
    ):
        assert direction.by_metric(stat, better) == wanted


def test_limits_that_were_calibrated_on_another_network_do_not_judge() -> None:
    calibrated = Calibration("arcface:2", ("good",))
    assert judge(measured(), row(min=0.5, calibrated_on=calibrated)) == (
        "ERROR",
        "the limits were calibrated on arcface:2, but arcface:1 was measured; calibrate the row again",
    )
    assert (
        judge(measured(), row(min=0.5, calibrated_on=replace(calibrated, identity="arcface:1")))[0] == "PASS"
    )


def test_a_limit_below_the_floor_is_an_error_and_one_at_it_is_not() -> None:
    fid = measured(metric="fid", value=70.0, n=48, better="lower", floor=61.0, against="references (48)")
    assert judge(fid, row(metric="fid", max=30.0)) == (
        "ERROR",
        "fid 30.00 cannot be reached with 48 images: references (48) measured against themselves give at "
        "least 61.00; use kid, or more images on both sides",
    )
    assert judge(fid, row(metric="fid", max=61.0))[0] == "FAIL"
    assert judge(fid, row(metric="fid", min=30.0))[0] == "PASS"
    assert judge(replace(fid, better="higher"), row(metric="fid", max=30.0))[0] == "FAIL"


def test_images_that_may_not_be_judged_are_inconclusive_and_never_pass() -> None:
    waiting = measured(waiting="the policy asks for 32 images, and 16 were made")
    assert judge(waiting, row(min=0.5)) == (
        "INCONCLUSIVE",
        "mean arcface 0.600 [0.550, 0.650] was not judged: the policy asks for 32 images, and 16 were made",
    )


def test_inconclusive_names_seeds_where_those_would_do() -> None:
    """If prompts are alike and images of a prompt differ by 0.2, more seeds decide as well as prompts."""
    values = [[0.42, 0.62], [0.62, 0.42]] * 8
    images = tuple((f"p{i}/{seed}", values[i][seed]) for i in range(16) for seed in (0, 1))
    close = measured(value=0.52, low=0.48, high=0.56, per_image=(*images, ("p15/2", None)), missing=1)
    limit = row(min=0.5, rule="bound", max_missing=0.1)
    found = verdict.judge(close, limit, LORA)
    assert found.details["more_seeds"] == intervals.more_seeds(values, 0.5, tail=0.025)
    assert f"or {found.details['more_seeds']} more seeds would probably decide" in found.reason
    one_sided = verdict.judge(replace(close, sides=1), limit, LORA)
    assert one_sided.details["more_seeds"] == intervals.more_seeds(values, 0.5, tail=0.05)
    share = {"stat": "share_at_least", "at": 0.5}
    counted = verdict.judge(replace(close, **share), replace(limit, **share), LORA)
    assert counted.details["more_seeds"] is None  # a share's limit is no value of an image


finite = st.floats(-10, 10)
anything = st.floats(allow_nan=True, allow_infinity=True)


@given(
    anything,
    st.none() | anything,
    st.none() | anything,
    st.integers(0, 5),
    st.sampled_from(["estimate", "bound"]),
)
def test_pass_means_measured_finite_and_inside(
    value: float, low: float | None, high: float | None, missing: int, rule: str
) -> None:
    outcome, _ = judge(
        measured(value=value, low=low, high=high, missing=missing), row(min=-1.0, max=1.0, rule=rule)
    )
    if outcome == "PASS":
        assert -1 <= value <= 1 or rule == "bound"
        assert math.isfinite(value)
        assert missing == 0
        if rule == "bound":
            assert low is not None
            assert high is not None
            assert -1 <= low <= 1
            assert -1 <= high <= 1


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("rule", ["estimate", "bound"])
def test_a_value_that_is_not_finite_is_an_error(value: float, rule: str) -> None:
    outcome, reason = judge(measured(value=value), row(max=0.25, rule=rule))
    assert outcome == "ERROR"
    assert "not a number that can be judged" in reason


@pytest.mark.parametrize(
    "limit", [{"min": NAN}, {"max": NAN}, {"max": INF}, {"max": 1.0, "max_missing": NAN}]
)
@pytest.mark.parametrize("rule", ["estimate", "bound"])
def test_a_limit_that_is_not_finite_is_an_error(limit: dict[str, float], rule: str) -> None:
    assert judge(measured(), row(rule=rule, **limit)) == (
        "ERROR",
        "a limit of the row is not a finite number",
    )


@pytest.mark.parametrize("end", [None, NAN, INF, -INF])
def test_an_interval_with_one_end_is_an_error(end: float | None) -> None:
    for ends in ({"low": end}, {"high": end}):
        for limits in ({"min": 0.5}, {"max": 0.7}, {"min": 0.5, "max": 0.7}):
            assert judge(measured(**ends), row(rule="bound", **limits))[0] == "ERROR"


def test_a_row_without_limits_is_an_error() -> None:
    assert judge(measured(), row()) == ("ERROR", "the row has neither min nor max")


def test_another_metric_or_stat_than_the_rows_is_an_error() -> None:
    assert judge(measured(metric="fid"), row(min=0.5))[0] == "ERROR"
    assert judge(measured(stat="max"), row(min=0.5))[0] == "ERROR"


def test_nothing_measured_is_an_error() -> None:
    assert judge(measured(n=0, missing=0), row(min=0.5))[0] == "ERROR"


@pytest.mark.parametrize(
    ("missing", "allowed", "outcome"),
    [(0, 0.0, "PASS"), (1, 0.0, "FAIL"), (3, 0.1, "PASS"), (4, 0.1, "FAIL"), (15, 0.5, "PASS")],
)
def test_missing_images_have_a_limit_of_their_own(missing: int, allowed: float, outcome: str) -> None:
    measurement = measured(n=30 - missing, missing=missing)
    assert judge(measurement, row(min=0.5, max_missing=allowed))[0] == outcome


def test_too_many_missing_fails_in_words() -> None:
    measurement = measured(n=27, missing=5)
    assert judge(measurement, row(min=0.5), "out/a") == (
        "FAIL",
        "no face in 5 of 32 images, 0 allowed; images in out/a",
    )
    assert judge(measurement, row(min=0.5, max_missing=0.1))[1] == "no face in 5 of 32 images, 3 allowed"
    assert judge(replace(measurement, value=NAN), row(min=0.5))[0] == "ERROR"
    other = measured(metric="clip", n=27, missing=5)
    assert judge(other, row(metric="clip", min=0.5))[1].startswith("no value in 5 of 32 images")


def test_all_missing_fails_where_it_is_not_allowed_and_is_an_error_where_it_is() -> None:
    measurement = measured(value=NAN, n=0, missing=32)
    assert judge(measurement, row(min=0.5))[0] == "FAIL"
    assert judge(measurement, row(min=0.5, max_missing=1.0))[0] == "ERROR"


def test_the_share_of_missing_images_can_be_the_judged_value() -> None:
    measurement = measured(stat="missing", value=0.15625, n=27, missing=5, low=None, high=None)
    assert judge(measurement, row(stat="missing", max=0.2))[0] == "PASS"
    assert judge(measurement, row(stat="missing", max=0.1)) == (
        "FAIL",
        "share of images with no face 0.156 (5 of 32) is above max 0.100",
    )


def test_the_reason_says_what_was_measured_required_and_where_to_look() -> None:
    measurement = measured(
        value=0.212,
        low=0.18,
        high=0.244,
        worst=("green-shirt", 0.105),
        nearest=(("train/07.png", 12), ("b", 2)),
    )
    assert judge(measurement, row(min=0.5), "out/a") == (
        "FAIL",
        "mean arcface 0.212 [0.180, 0.244] is below min 0.500; worst prompt green-shirt 0.105; "
        "12 of 32 images are nearest to train/07.png; images in out/a",
    )


def test_the_reason_of_a_pass_is_short() -> None:
    assert judge(measured(worst=("x", 0.1)), row(min=0.5), "out") == (
        "PASS",
        "mean arcface 0.600 [0.550, 0.650] meets min 0.500",
    )


def test_a_set_value_is_not_called_a_mean() -> None:
    measurement = measured(metric="fid", value=41.0, low=None, high=None, per_image=(), better="lower")
    assert judge(measurement, row(metric="fid", max=30.0))[1] == "fid 41.00 is above max 30.00"
    assert judge(measurement, row(metric="fid", min=1.0, max=30.0))[1] == "fid 41.00 is above max 30.00"


def test_numbers_that_differ_look_different() -> None:
    reason = judge(measured(value=0.49996, low=None, high=None), row(min=0.5))[1]
    assert reason == "mean arcface 0.49996 is below min 0.50000"


def test_eight_prompts_are_enough_to_be_judged_by_an_interval() -> None:
    assert judge(measured(prompts=8), row(min=0.5, rule="bound"))[0] == "PASS"


def test_inconclusive_says_how_many_more_prompts() -> None:
    found = verdict.judge(measured(value=0.52, low=0.48, high=0.56), row(min=0.5, rule="bound"), LORA)
    assert found.outcome is Outcome.INCONCLUSIVE
    assert found.details["more_prompts"] == intervals.more_prompts(0.48, 0.56, 16, 0.5, tail=0.025)
    assert f"straddles min 0.500; about {found.details['more_prompts']} more prompts" in found.reason


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(0.3, 0.65, "min 0.400"), (0.35, 0.7, "max 0.600"), (0.55, 0.7, "max 0.600"), (0.3, 0.4, "min 0.400")],
)
def test_inconclusive_names_the_limit_that_the_interval_is_about(low: float, high: float, words: str) -> None:
    measurement = measured(value=(low + high) / 2, low=low, high=high)
    assert f"straddles {words};" in judge(measurement, row(min=0.4, max=0.6, rule="bound"))[1]


def test_inconclusive_at_the_limit_does_not_promise_a_decision() -> None:
    reason = judge(measured(value=0.5, low=0.4, high=0.6), row(min=0.5, rule="bound"))[1]
    assert "too close to the limit for more prompts to decide" in reason


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"low": None, "high": None, "prompts": 6, "per_image": ()}, "at least 8 prompts (6 in this run)"),
        ({"low": 0.5, "high": 0.6, "prompts": 7, "per_image": ()}, "at least 8 prompts (7 in this run)"),
        ({"low": None, "high": None, "stat": "max"}, "max arcface has none: use 'rule: estimate'"),
    ],
)
def test_bound_without_an_interval_is_an_error(fields: dict[str, Any], words: str) -> None:
    measurement = measured(**fields)
    outcome, reason = judge(measurement, row(min=0.5, rule="bound", stat=measurement.stat))
    assert outcome == "ERROR"
    assert words in reason


def test_nearest_is_named_only_where_a_quarter_of_the_images_agree() -> None:
    assert verdict.nearest_words([("a", 8), ("b", 2)], 32) == "8 of 32 images are nearest to a"
    assert verdict.nearest_words([("a", 7)], 32) == ""
    assert verdict.nearest_words([("a", 2)], 8) == "2 of 8 images are nearest to a"
    assert verdict.nearest_words([("a", 1)], 2) == ""
    assert verdict.nearest_words([], 0) == ""


LPIPS = (("superb", 0.15), ("good", 0.25))
ARCFACE = (("good", 0.5), ("excellent", 0.7))


@pytest.mark.parametrize(
    ("bands", "better", "value", "word"),
    [
        (LPIPS, "lower", 0.1, "superb"),
        (LPIPS, "lower", 0.15, "superb"),
        (LPIPS, "lower", 0.2, "good"),
        (LPIPS, "lower", 0.3, "worse than good"),
        (ARCFACE, "higher", 0.8, "excellent"),
        (ARCFACE, "higher", 0.5, "good"),
        (ARCFACE, "higher", 0.4, "worse than good"),
        ((), "higher", 0.4, ""),
        (ARCFACE, "higher", NAN, ""),
    ],
)
def test_band_follows_the_metrics_direction(
    bands: tuple[tuple[str, float], ...], better: str, value: float, word: str
) -> None:
    assert verdict.band(row(bands=bands), measured(value=value, better=better)) == word


def test_fewer_missing_images_are_better_whatever_the_metric() -> None:
    assert direction.by_metric("missing", "higher") == "lower"
    assert direction.by_metric("mean", "higher") == "higher"


def test_margin_is_the_distance_to_the_nearest_limit() -> None:
    assert verdict.margin(measured(value=0.6), row(min=0.5, max=0.65)) == pytest.approx(0.05)
    assert verdict.margin(measured(value=0.4), row(min=0.5)) == pytest.approx(-0.1)
    assert verdict.margin(measured(), row()) is None


def test_a_verdict_carries_what_it_was_judged_from() -> None:
    limit, measurement = row(min=0.5, required=False), measured()
    found = verdict.judge(measurement, limit, LORA, "out/a")
    assert (found.lora, found.lora_sha256, found.check) == ("a", LORA.sha256, "identity")
    assert (found.required, found.images) == (False, "out/a")
    assert (found.threshold, found.measurement) == (limit, measurement)


def test_error_keeps_whether_the_row_is_required() -> None:
    damaged = verdict.error("a", "ab", "file", None, "damaged")
    assert (damaged.lora, damaged.lora_sha256, damaged.check, damaged.required) == ("a", "ab", "file", True)
    optional = verdict.error("a", "", "identity", row(min=0.5, required=False), "no references")
    assert (optional.outcome, optional.required) == (Outcome.ERROR, False)


def result(outcome: str, check: str = "identity", required: bool = True) -> Verdict:
    return Verdict("a", "", check, Outcome(outcome), "", required)


ID, CLIP = ("a", "identity"), ("a", "clip")


@pytest.mark.parametrize(
    ("verdicts", "required", "outcome"),
    [
        ([result("PASS")], [ID], "PASS"),
        ([], [], "INCOMPLETE"),
        ([result("PASS")], [], "INCOMPLETE"),
        ([], [ID], "INCOMPLETE"),
        ([result("PASS")], [ID, CLIP], "INCOMPLETE"),
        ([result("PASS")], [("b", "identity")], "INCOMPLETE"),
        ([result("INCONCLUSIVE")], [ID, CLIP], "INCONCLUSIVE"),
        ([result("ERROR"), result("INCONCLUSIVE", "clip")], [ID, CLIP], "ERROR"),
        ([result("ERROR"), result("FAIL", "clip")], [ID, CLIP], "FAIL"),
        ([result("PASS"), result("FAIL", "mine", required=False)], [ID], "PASS"),
        ([result("PASS"), result("ERROR", "mine", required=False)], [ID], "PASS"),
        ([result("PASS"), result("FAIL", "mine")], [ID], "FAIL"),
        ([result("FAIL", required=False)], [ID], "FAIL"),
        ([result("PASS"), result("FAIL")], [ID], "FAIL"),
    ],
)
def test_a_run_passes_only_if_every_required_row_did(
    verdicts: list[Verdict], required: list[tuple[str, str]], outcome: str
) -> None:
    assert verdict.passed(verdicts, required).outcome == outcome


def test_a_run_names_the_rows_that_are_missing() -> None:
    found = verdict.passed([result("PASS")], iter([ID, CLIP, CLIP]))
    assert (found.outcome, found.missing) == ("INCOMPLETE", (CLIP,))
