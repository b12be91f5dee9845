"""The limit between good and bad LoRAs: closed cases, and what must hold for every proposal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_checks.core.records import Calibration, Lora, Measurement, Outcome, Threshold
from lora_checks.gate import calibration_text
from lora_checks.judge.calibration import (
    Calibrated,
    Labelled,
    calibrate,
    unstopped,
)
from lora_checks.judge.proposal import Overlap, Proposal, Seen, chance, propose
from lora_checks.judge.verdict import judge
from lora_checks.policy import rows, strict_yaml


def seen(name: str, value: float, low: float | None = None, high: float | None = None) -> Seen:
    return Seen(name, value, low, high)


GOOD, AGAIN = seen("g", 0.62, 0.6, 0.7), seen("g", 0.58, 0.5, 0.65)


def mirrored(one: Seen) -> Seen:
    low, high = (None if end is None else -end for end in (one.high, one.low))
    return Seen(one.lora, -one.value, low, high)


def test_the_limit_is_midway_between_the_worst_good_and_the_best_bad_end() -> None:
    found = propose("min", [GOOD], [AGAIN], [seen("b", 0.2, 0.1, 0.3), seen("c", 0.1, 0.0, 0.2)])
    assert isinstance(found, Proposal)
    assert (found.limit, found.worst, found.best) == (0.4, 0.5, 0.3)  # 0.5 is of the other seeds
    assert found.margin == pytest.approx(0.2)
    assert (found.bad.lora, found.stopped) == ("b", ("b", "c"))


def test_the_nearest_bad_lora_is_the_one_that_reaches_furthest() -> None:
    """The better end of its interval counts, neither the value nor the worse end."""
    wide, narrow = seen("wide", 0.2, 0.0, 0.4), seen("narrow", 0.3, 0.29, 0.31)
    for bad in ([wide, narrow], [narrow, wide]):
        found = propose("min", [GOOD], [AGAIN], bad)
        assert isinstance(found, Proposal)
        assert (found.bad, found.best, found.limit) == (wide, 0.4, 0.45)


def test_a_bad_lora_at_the_worst_end_of_the_good_ones_is_no_worse() -> None:
    assert propose("min", [GOOD], [AGAIN], [seen("b", 0.5, 0.4, 0.6)]) is None


def test_a_max_is_the_mirror_of_a_min() -> None:
    bad = [seen("b", 0.2, 0.1, 0.3)]
    low = propose("min", [GOOD], [AGAIN], bad)
    high = propose("max", [mirrored(GOOD)], [mirrored(AGAIN)], [mirrored(one) for one in bad])
    assert isinstance(low, Proposal)
    assert isinstance(high, Proposal)
    assert (high.limit, high.worst, high.best) == (-low.limit, -low.worst, -low.best)


def test_a_bad_lora_that_reaches_the_good_ones_is_an_overlap_whatever_the_others_are() -> None:
    found = propose("min", [GOOD], [AGAIN], [seen("b", 0.45, 0.4, 0.5), seen("c", 0.1, 0.0, 0.2)])
    assert str(found) == (
        "bad 'b' 0.450 [0.400, 0.500] overlaps good 'g' 0.580 [0.500, 0.650]; "
        "use another metric or more images"
    )


def test_a_bad_lora_as_good_as_the_good_ones_sets_no_limit() -> None:
    alike, better = seen("b", 0.55, 0.45, 0.6), seen("c", 0.9, 0.8, 1.0)
    assert propose("min", [GOOD], [AGAIN], [alike, better]) is None
    found = propose("min", [GOOD], [AGAIN], [alike, seen("d", 0.2, 0.1, 0.3)])
    assert isinstance(found, Proposal)
    assert (found.limit, found.stopped) == (0.4, ("d",))


def test_a_limit_that_stops_a_bad_lora_where_a_good_one_may_come_to_is_luck() -> None:
    alike = seen("b", 0.55, 0.45, 0.6)
    found = propose("min", [GOOD], [AGAIN], [alike], 0.57)
    assert isinstance(found, Overlap)
    assert (found.good, found.bad) == (AGAIN, alike)
    assert isinstance(propose("max", *[[mirrored(one)] for one in (GOOD, AGAIN, alike)], -0.57), Overlap)
    assert isinstance(propose("min", [GOOD], [AGAIN], [alike], 0.58), Overlap)  # the good pass at it
    assert propose("min", [GOOD], [AGAIN], [alike], 0.5) is None  # it passes
    assert propose("min", [GOOD], [AGAIN], [alike], 0.55) is None  # at the limit, too
    assert propose("min", [GOOD], [AGAIN], [alike], 0.6) is None  # stops the good with other seeds
    assert propose("min", [GOOD], [AGAIN], [alike], 0.9) is None  # stops the good as well: a placeholder


def test_without_intervals_a_value_reaches_as_far_as_the_seeds_moved_the_good_ones() -> None:
    good, again = [seen("g", 0.7), seen("h", 0.8)], [seen("g", 0.6), seen("h", 0.8)]
    assert chance(good, again) == pytest.approx(0.1)
    found = propose("min", good, again, [seen("b", 0.2)])
    assert isinstance(found, Proposal)
    assert (found.worst, found.best, found.limit) == (pytest.approx(0.5), pytest.approx(0.3), 0.4)
    assert isinstance(propose("min", good, again, [seen("b", 0.45)]), Overlap)


def test_a_proposal_without_good_loras_is_no_proposal() -> None:
    with pytest.raises(ValueError, match="no good"):
        propose("min", [], [], [seen("b", 0.2)])


numbers = st.floats(-1e6, 1e6, allow_nan=False)


@st.composite
def spans(draw: st.DrawFn) -> Seen:
    low, value, high = sorted(draw(st.tuples(numbers, numbers, numbers)))
    return Seen(draw(st.sampled_from("abc")), value, low, high)


@given(st.lists(spans(), min_size=1), st.lists(spans()), st.sampled_from(["min", "max"]))
def test_a_limit_lies_strictly_between_all_it_was_taken_from(
    good: list[Seen], bad: list[Seen], side: Any
) -> None:
    found = propose(side, good, good, bad)
    if isinstance(found, Proposal):
        up = 1 if side == "min" else -1
        assert all(
            up * end > up * found.limit for one in good for end in (one.low, one.high) if end is not None
        )
        assert up * found.best < up * found.limit
        assert abs(found.limit - (found.worst + found.best) / 2) <= found.margin / 39


# --- a row -------------------------------------------------------------------------------------------

LORA = Lora(Path("a.safetensors"), "a", "ab" * 32, "diffusers", (4,), (4.0,), {"unet": 3}, 6)
ROW = Threshold("identity", "arcface", "measured", min=0.5)


def labelled(name: str, value: float, half: float | None = 0.05, **more: Any) -> Labelled:
    ends = {} if half is None else {"low": value - half, "high": value + half}
    fields: dict[str, Any] = {
        "metric": "arcface", "stat": "mean", "value": value, "n": 32, "missing": 0, "better": "higher",
        "network": "arcface/1 x", "label": "a recogniser", "prompts": 16, "per_image": (("a/0", value),),
    }  # fmt: skip
    return Labelled(replace(LORA, name=name), Measurement(**(fields | ends | more)))


def outcome(row: Threshold, good: Sequence[Labelled], bad: Sequence[Labelled]) -> Calibrated:
    return calibrate(row, good, good, bad)


@pytest.mark.parametrize("rule", ["estimate", "bound"])
def test_the_new_row_passes_the_good_and_fails_the_bad_and_says_what_it_was_set_on(rule: Any) -> None:
    good, bad = [labelled("g", 0.7)], [labelled("b", 0.2), labelled("o", 0.7)]
    found = outcome(replace(ROW, rule=rule, max_missing=0.1), good, bad)
    assert not found.refused
    assert found.row == replace(
        ROW,
        rule=rule,
        max_missing=0.1,
        min=0.45,
        calibrated_on=Calibration("arcface/1 x", ("g",), ("b",), margin=0.4, n=32),
    )
    outcomes = [
        judge(one.measurement, found.row, one.lora).outcome for one in (*good, *bad) if one.measurement
    ]
    assert outcomes == [Outcome.PASS, Outcome.FAIL, Outcome.PASS]
    assert found.sentences == (
        "min 0.450 is midway between good 'g' 0.650 and bad 'b' 0.250",
        "as good here as the good ones: o",
    )


def test_the_number_of_images_is_of_the_loras_that_the_limit_lies_between() -> None:
    good, stopped = labelled("g", 0.7), labelled("b", 0.2, n=20, missing=1)
    alike = labelled("o", 0.7, n=10)
    found = outcome(replace(ROW, max_missing=0.1), [good], [stopped, alike])
    assert found.row.calibrated_on == Calibration("arcface/1 x", ("g",), ("b",), margin=0.4, n=21)


def test_the_good_ones_with_other_seeds_are_named_as_such() -> None:
    found = calibrate(ROW, [labelled("g", 0.7)], [labelled("g", 0.6)], [labelled("b", 0.2)])
    assert found.sentences == (
        "min 0.400 is midway between good 'g with other seeds' 0.550 and bad 'b' 0.250",
    )


def test_a_row_that_separates_nothing_stays_as_it_is() -> None:
    found = outcome(ROW, [labelled("g", 0.7)], [labelled("b", 0.71)])
    assert found.row == ROW
    assert not found.refused
    assert found.sentences == (
        "min 0.500 is left as it is: it separates nothing, because no bad LoRA lies beyond the good ones",
    )


def test_an_overlap_refuses_the_row_and_leaves_its_limit() -> None:
    found = outcome(ROW, [labelled("g", 0.7)], [labelled("b", 0.62), labelled("c", 0.1)])
    assert found.refused
    assert found.row == ROW
    assert found.sentences[0].startswith("not calibrated: bad 'b' 0.620 [0.570, 0.670] overlaps good 'g")


def test_a_limit_that_is_left_must_let_the_good_pass() -> None:
    found = outcome(ROW, [labelled("g", 0.4)], [labelled("b", 0.6)])
    assert found.refused
    assert (
        "good 'g' would not pass: mean arcface 0.400 [0.350, 0.450] is below min 0.500" in found.sentences[0]
    )


def test_each_of_two_limits_is_set_by_the_bad_loras_on_its_side() -> None:
    row = replace(ROW, min=0.1, max=0.95)
    good = [labelled("g", 0.6)]
    both = outcome(row, good, [labelled("other", 0.25), labelled("copy", 0.95, 0.04)])
    assert (both.row.min, both.row.max) == (0.42, 0.78)
    assert both.row.calibrated_on is not None
    assert both.row.calibrated_on.bad == ("other", "copy")
    assert both.row.calibrated_on.margin == 0.25
    one = outcome(row, good, [labelled("other", 0.25)])
    assert (one.row.min, one.row.max) == (0.42, 0.95)


def test_a_bad_lora_stopped_by_missing_values_sets_no_limit() -> None:
    few = labelled("b", 0.3, None, n=4, missing=28)
    found = outcome(ROW, [labelled("g", 0.7)], [few])
    assert found.row == ROW
    assert found.sentences[1] == "stopped by missing values, whatever the limit: b"
    assert unstopped([found.row], [[few]]) == ()


def test_a_bad_lora_that_could_not_be_measured_sets_no_limit_and_refuses_nothing() -> None:
    failed = Labelled(LORA, None, "no face was found")
    found = outcome(ROW, [labelled("g", 0.7)], [failed, labelled("b", 0.2)])
    assert (found.refused, found.row.min) == (False, 0.45)
    assert found.sentences[-1] == "stopped by missing values, whatever the limit: a"
    assert unstopped([found.row], [[failed]]) == ()


def test_a_good_lora_without_a_value_refuses_the_row() -> None:
    found = calibrate(ROW, [labelled("g", 0.7)], [Labelled(LORA, None, "no face")], [labelled("b", 0.3)])
    assert found.sentences == ("not calibrated: good 'a' could not be measured: no face",)
    found = outcome(ROW, [Labelled(LORA, None, "no face was found")], [labelled("b", 0.3)])
    assert found.sentences == ("not calibrated: good 'a' could not be measured: no face was found",)


def test_a_bad_lora_that_no_required_row_stops_is_named() -> None:
    bad = [labelled("b", 0.6), labelled("c", 0.1)]
    assert unstopped([ROW], [bad]) == ("b",)
    assert unstopped([replace(ROW, required=False)], [bad]) == ("b", "c")


# --- YAML --------------------------------------------------------------------------------------------


def read_back(tmp_path: Path, text: str) -> strict_yaml.Value:
    path = tmp_path / "thresholds.yaml"
    path.write_text(text, encoding="utf-8")
    return strict_yaml.load(path)


@pytest.mark.parametrize(
    "name", ["1e-4", "step-0100", "0o17", "no", "null", "007", "a: b", "a #b", "'", '"', "é", "-", "x" * 200]
)
def test_names_of_loras_are_read_back_as_they_are(tmp_path: Path, name: str) -> None:
    text = calibration_text.dumped({"row": {"good": [name, name], "why": f"{name} and {'words ' * 40}end"}})
    row = read_back(tmp_path, text).mapping()["row"].plain()
    assert row == {"good": [name, name], "why": f"{name} and {'words ' * 40}end"}


def test_numbers_are_read_back_as_they_are(tmp_path: Path) -> None:
    values = [1e-05, 4900.0, -0.25, 1e17, 3, True]
    assert read_back(tmp_path, calibration_text.dumped({"a": values})).mapping()["a"].plain() == values


def test_a_row_keeps_its_other_keys_and_is_read_as_proposed(tmp_path: Path) -> None:
    keys = {"metric": "arcface", "min": 0.5, "bands": {"good": 0.6, "fair": 0.5}, "why": "measured"}
    good, bad = [labelled("1e-4", 0.7)], [labelled("b", 0.2)]
    found = outcome(replace(ROW, bands=(("good", 0.6), ("fair", 0.5))), good, bad)
    text = calibration_text.document(
        ["head: 'x'"], [calibration_text.CalibratedRow(keys, good, good, bad, found)], ["end"]
    )
    (row,) = rows.checks(read_back(tmp_path, text).mapping()["checks"], {}, {})
    assert replace(row, source="") == found.row
    assert "# bad: b 0.200 [0.150, 0.250]" in text


def test_a_refused_row_is_printed_as_it_was(tmp_path: Path) -> None:
    keys = {"metric": "arcface", "min": 0.5, "why": "measured"}
    good, bad = [labelled("g", 0.7)], [labelled("b", 0.62)]
    found = outcome(ROW, good, bad)
    text = calibration_text.document([], [calibration_text.CalibratedRow(keys, good, good, bad, found)], [])
    assert read_back(tmp_path, text).mapping()["checks"].plain() == {"identity": keys}
    assert "# not calibrated: bad 'b'" in text
