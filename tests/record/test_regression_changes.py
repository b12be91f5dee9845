"""The difference of one row between two runs, against closed forms."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lora_checks.core import direction
from lora_checks.core.records import Measurement, Threshold
from lora_checks.record.regression.changes import change, worst_first
from lora_checks.stats import intervals, shares

PROMPTS = tuple(f"prompt{i:02}" for i in range(10))


def measured(values: dict[str, float | None], **fields: Any) -> Measurement:
    there = [value for value in values.values() if value is not None]
    defaults: dict[str, Any] = {
        "metric": "arcface", "stat": "mean", "value": sum(there) / max(1, len(there)), "n": len(there),
        "missing": len(values) - len(there), "better": "higher", "network": "arcface/1 x", "label": "x",
        "per_image": tuple(values.items()),
    }  # fmt: skip
    return Measurement(**(defaults | fields))


def grid(of_prompt: Any, seeds: int = 2, spread: float = 0.0) -> dict[str, float | None]:
    """Return two images for each prompt, around the prompt's value."""
    return {
        f"{prompt}/{seed}": float(of_prompt(i)) + spread * (-1) ** seed
        for i, prompt in enumerate(PROMPTS)
        for seed in range(seeds)
    }


def constant(value: float) -> Callable[[int], float]:
    return lambda _: value


def test_the_interval_is_students_on_the_differences_of_prompts() -> None:
    """What the prompts differ by is in both values and cancels out."""
    moves = np.array([-0.05, 0.01, 0.02, -0.03, 0.0, 0.04, -0.02, 0.01, -0.01, 0.03])
    before = grid(lambda i: i)  # prompts differ by 1 and more
    now = grid(lambda i: i + moves[i], spread=0.2)
    result = change(measured(before), measured(now))
    assert result is not None
    assert result.difference == pytest.approx(moves.mean())
    wanted = intervals.mean_interval(moves, 0.025)
    assert (result.low, result.high) == pytest.approx((wanted.low, wanted.high))
    assert (result.kind, result.pairs, result.lost, result.found, result.absent) == ("images", 20, 0, 0, 0)
    assert result.worsening == pytest.approx(-moves.mean())


def test_symmetric_differences_have_the_textbooks_interval() -> None:
    moves = [0.1, -0.1] * 5
    result = change(measured(grid(lambda i: i)), measured(grid(lambda i: i + moves[i])), sides=1)
    assert result is not None
    half = intervals.t_quantile(0.95, 9) * float(np.std(moves, ddof=1)) / math.sqrt(10)
    assert (result.low, result.high) == pytest.approx((-half, half))


def test_images_are_joined_by_name_whatever_their_order() -> None:
    before, now = grid(lambda i: i), grid(lambda i: i + 1)
    turned = dict(reversed(now.items()))
    result = change(measured(before), measured(turned))
    assert result is not None
    assert (result.difference, result.low, result.high) == pytest.approx((1, 1, 1))
    assert dict(result.per_image) == dict.fromkeys(now, 1.0)


def test_an_image_without_a_value_is_counted_and_is_never_zero() -> None:
    before, now = grid(constant(5.0)), grid(constant(6.0))
    before["prompt00/0"], now["prompt01/0"], now["prompt01/1"] = None, None, None
    del before["prompt02/0"]
    result = change(measured(before), measured(now))
    assert result is not None
    assert (result.pairs, result.found, result.lost, result.absent) == (16, 1, 2, 1)
    assert (result.difference, result.before, result.value) == (1.0, 5.0, 6.0)
    assert "prompt01" not in {prompt for prompt, *_ in result.prompts}


def test_nothing_to_compare_is_no_difference_of_zero() -> None:
    now = {f"other/{i}": 1.0 for i in range(20)}
    assert change(measured(grid(constant(1.0))), measured(now)) is None


def test_below_eight_prompts_there_is_no_interval() -> None:
    few = {name: value for name, value in grid(lambda i: i).items() if name < "prompt07"}
    result = change(measured(few), measured({name: (value or 0) + 1 for name, value in few.items()}))
    assert result is not None
    assert (result.difference, result.low, result.high) == (1, None, None)


@pytest.mark.parametrize(("better", "worst"), [("higher", "prompt00"), ("lower", "prompt09")])
def test_the_prompt_that_worsened_most_is_first(better: Any, worst: str) -> None:
    result = change(
        measured(grid(constant(0)), better=better), measured(grid(lambda i: i - 4.5), better=better)
    )
    assert result is not None
    assert result.prompts[0][0] == worst
    assert {prompt for prompt, *_ in result.prompts} == set(PROMPTS)
    before, now, moved = result.prompts[0][1:]
    assert (before, now - before) == (0, moved)


@pytest.mark.parametrize(
    ("limits", "better"),
    [({"min": 0.1}, "higher"), ({"max": 0.3}, "lower"), ({"min": 0.1, "max": 0.3}, "lower")],
)
def test_the_rows_own_limit_says_which_way_is_better(limits: dict[str, float], better: str) -> None:
    """A distance falls as pictures become more alike, but a row against copies wants it high."""
    now = measured(grid(constant(0.2)), metric="trunk_distance", better="lower")
    row = Threshold("not-a-copy", "trunk_distance", "w", **limits)  # type: ignore[arg-type]
    assert direction.of_row(row, now) == better
    result = change(measured(grid(constant(0.3))), now, better=direction.of_row(row, now))
    assert result is not None
    assert (result.worsening > 0) == (better == "higher")


def test_a_share_that_no_image_moved_is_not_certain() -> None:
    """With one image for each prompt, those gained and lost are binomials of 10 with exact bounds."""
    faces = grid(constant(1), seeds=1)
    row = {"stat": "missing", "value": 0.0}
    result = change(measured(faces, **row), measured(faces, **row))
    assert result is not None
    _, most = shares.clopper_pearson(0, 10, 0.05 / 4)
    assert (result.difference, result.low, result.high) == pytest.approx((0, -most, most))
    assert (result.better, result.pairs) == ("lower", 10)
    still = change(measured(faces, **row), measured(faces, **row), same=True)
    assert still is not None
    assert (still.low, still.high) == (0, 0)


def test_a_lost_face_is_a_hit_of_the_share_of_missing() -> None:
    before, now = grid(constant(1), seeds=1), grid(constant(1), seeds=1)
    now["prompt03/0"] = None
    row = {"stat": "missing", "value": 0.0}
    result = change(measured(before, **row), measured(now, **row))
    assert result is not None
    assert (result.before, result.value, result.difference) == pytest.approx((0, 0.1, 0.1))
    assert result.prompts[0] == ("prompt03", 0.0, 1.0, 1.0)
    assert result.lost == 0  # it is what the row counts, and in a pair


def test_a_share_counts_by_its_own_limit() -> None:
    before, now = grid(lambda i: i / 10, seeds=1), grid(lambda i: i / 10 + 0.2, seeds=1)
    row = {"stat": "share_at_least", "at": 0.5}
    result = change(measured(before, **row), measured(now, **row))
    assert result is not None
    assert (result.before, result.value) == pytest.approx((0.5, 0.7))
    assert result.low is not None
    assert result.low < 0.2 < (result.high or 0)


def test_a_stat_without_an_interval_has_none_and_still_names_the_prompts() -> None:
    row = {"stat": "worst_prompt", "value": 0.0}
    result = change(
        measured(grid(lambda i: i), **row), measured(grid(lambda i: i - 0.5), **(row | {"value": -0.5}))
    )
    assert result is not None
    assert (result.kind, result.difference, result.low) == ("value", -0.5, None)
    assert len(result.prompts) == 10


def of_set(value: float, parts: list[float] | None = None) -> Measurement:
    by_prompt = tuple(zip(PROMPTS, parts or [], strict=False))
    return measured({}, metric="fid", value=value, n=20, better="lower", by_prompt=by_prompt)


def test_sets_are_compared_by_what_each_prompt_contributes() -> None:
    parts = [float(i) for i in range(10)]
    moves = np.array([0.5, -0.2, 0.1, 0.3, 0.0, -0.1, 0.2, 0.4, -0.3, 0.1])
    result = change(of_set(50, parts), of_set(50.5, (np.array(parts) + moves).tolist()))
    assert result is not None
    wanted = intervals.mean_interval(moves, 0.025)
    assert result.kind == "set"
    assert result.difference == 0.5  # of the plain values, with the jackknife's spread around it
    assert result.low == pytest.approx(0.5 + wanted.low - wanted.estimate)
    assert result.high == pytest.approx(0.5 + wanted.high - wanted.estimate)
    assert result.prompts[0][0] == "prompt00"


def test_sets_whose_prompts_are_not_known_have_no_interval() -> None:
    result = change(of_set(50), of_set(60))
    assert result is not None
    assert (result.difference, result.low, result.high, result.prompts) == (10, None, None, ())


def test_the_jackknifes_pseudo_values_of_a_set_meet_its_own_interval() -> None:
    values = np.random.default_rng(1).normal(size=30)
    groups = [f"p{i % 10}" for i in range(30)]
    parts = intervals.pseudo_values(lambda keep: float(values[keep].std()), groups)
    result = intervals.jackknife(lambda keep: float(values[keep].std()), groups)
    assert parts is not None
    assert intervals.mean_interval(np.array(list(parts.values())), 0.025) == result


def test_pairs_cover_the_true_difference_as_often_as_they_say() -> None:
    """Prompts that vary by 1 hide a difference of 0.1 from two separate values, but not from pairs."""
    rng = np.random.default_rng(0)
    hits, widths = 0, []
    for _ in range(2000):
        prompts = rng.normal(size=10)
        before = grid(lambda i, p=prompts: p[i])
        now = {name: (value or 0) + 0.1 + rng.normal(scale=0.05) for name, value in before.items()}
        result = change(measured(before), measured(now))
        assert result is not None
        assert result.low is not None
        assert result.high is not None
        hits += result.low <= 0.1 <= result.high
        widths.append(result.high - result.low)
    assert 0.925 <= hits / 2000 <= 0.965
    assert np.mean(widths) < 0.1  # of one value alone it is 1.4


def test_prompts_of_one_side_only_are_in_no_row() -> None:
    assert worst_first({"a": 1.0, "b": 2.0}, {"b": 1.0, "c": 0.0}, "higher") == (("b", 2.0, 1.0, -1.0),)
