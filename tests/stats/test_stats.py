"""Intervals against closed forms, scipy and simulation."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats as reference

from lora_checks.stats import intervals

Keep = NDArray[np.bool_]


def mean_of(values: NDArray[np.float64]) -> Callable[[Keep], float]:
    return lambda keep: float(values[keep].mean())


def prompts(k: int, seeds: int = 1) -> list[str]:
    return [f"p{i}" for i in range(k) for _ in range(seeds)]


@pytest.mark.parametrize("df", [1, 2, 3, 7, 8, 15, 19, 63, 500])
@pytest.mark.parametrize("p", [0.001, 0.025, 0.2, 0.5, 0.6, 0.95, 0.975, 0.995])
def test_t_quantile_is_scipys(p: float, df: int) -> None:
    assert intervals.t_quantile(p, df) == pytest.approx(reference.t.ppf(p, df), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("p", "df"), [(0.0, 5), (1.0, 5), (0.9, 0)])
def test_there_is_no_t_quantile_at_the_ends(p: float, df: int) -> None:
    with pytest.raises(ValueError, match="no t quantile"):
        intervals.t_quantile(p, df)


def test_balanced_mean_is_student_t_on_prompt_means() -> None:
    """The means lie evenly around their mean; otherwise the skewness would be corrected."""
    half = np.random.default_rng(1).normal(size=(6, 4))
    values = np.concatenate([half, -half])
    found = intervals.jackknife(mean_of(values.ravel()), prompts(12, 4))
    means = values.mean(axis=1)
    low, high = reference.t.interval(0.95, 11, loc=means.mean(), scale=reference.sem(means))
    assert found == pytest.approx((values.mean(), low, high), rel=1e-9, abs=1e-12)


def test_one_sided_bounds_are_the_ends_of_the_90_percent_interval() -> None:
    values = np.random.default_rng(2).normal(size=10)
    one = intervals.jackknife(mean_of(values), prompts(10), sides=1)
    two = intervals.jackknife(mean_of(values), prompts(10), confidence=0.90)
    assert one == pytest.approx(two)


def test_bias_of_order_one_over_n_is_removed() -> None:
    values = np.random.default_rng(3).normal(size=20)
    found = intervals.jackknife(lambda keep: float(values[keep].var()), prompts(20))
    assert found is not None
    assert found.estimate == pytest.approx(values.var(ddof=1), rel=1e-9)


def test_the_bounds_are_where_halls_transform_of_t_is_students_quantile() -> None:
    values = np.random.default_rng(8).exponential(size=20)
    found = intervals.mean_interval(values, 0.05)
    skewness = reference.skew(values, bias=False)
    for bound, quantile in ((found.low, reference.t.ppf(0.95, 19)), (found.high, reference.t.ppf(0.05, 19))):
        t = (values.mean() - bound) / reference.sem(values)
        a = skewness / math.sqrt(20)
        assert t + a * t**2 / 3 + a**2 * t**3 / 27 + a / 6 == pytest.approx(quantile, rel=1e-9)


@pytest.mark.parametrize("k", [16, 32])
def test_one_sided_bounds_of_skewed_values_err_less_than_students(k: int) -> None:
    """With skewness 1 and a nominal 5 % on either side, Student's t is wrong in 3 and 8 % of 4,000 draws."""
    draws = np.random.default_rng(9).gamma(4, size=(4000, k)) / 4
    bounds = np.array([intervals.mean_interval(draw, 0.05) for draw in draws])
    assert (bounds[:, 1] > 1).mean() == pytest.approx(0.045, abs=0.012)
    assert (bounds[:, 2] < 1).mean() == pytest.approx(0.055, abs=0.012)


@pytest.mark.parametrize("k", [8, 12, 16, 25, 32])
@pytest.mark.parametrize("tail", [0.05, 0.025, 0.003])
@pytest.mark.parametrize("sign", [1, -1])
def test_one_bad_prompt_moves_the_bound_no_further_than_twice_students(
    k: int, tail: float, sign: int
) -> None:
    """The bad prompt is at 0.1 among 0.65; without a cap the bound would be 1.9 to 3.7 times Student's t."""
    good = np.random.default_rng(0).normal(0.65, 0.03, k - 1)
    values = sign * np.append(good, 0.1)
    found = intervals.mean_interval(values, tail)
    towards = found.estimate - found.low if sign == 1 else found.high - found.estimate
    away = found.high - found.estimate if sign == 1 else found.estimate - found.low
    student = reference.t.ppf(1 - tail, k - 1) * reference.sem(values)
    assert 1.3 < towards / student < 1.8
    assert 0.6 < away / student < 0.9


def test_a_bound_does_not_leap_where_one_value_moves_a_little() -> None:
    """Without a cap the transform is vertical at some skewness: a hundredth moved the bound by a quarter."""
    good = np.random.default_rng(0).normal(0.65, 0.03, 24)
    lows = [intervals.mean_interval(np.append(good, bad), 0.05).low for bad in np.arange(0.65, 0.0, -0.01)]
    assert np.abs(np.diff(lows)).max() < 0.005


def test_order_of_rows_does_not_matter() -> None:
    rng = np.random.default_rng(4)
    values, names, order = rng.normal(size=32), np.array(prompts(16, 2)), rng.permutation(32)
    shuffled = intervals.jackknife(mean_of(values[order]), list(names[order]))
    assert shuffled == pytest.approx(intervals.jackknife(mean_of(values), list(names)))


def test_fewer_than_eight_prompts_have_no_interval() -> None:
    assert intervals.jackknife(mean_of(np.arange(28.0)), prompts(7, 4)) is None
    assert intervals.jackknife(mean_of(np.arange(8.0)), prompts(8)) is not None
    assert intervals.jackknife(mean_of(np.arange(0.0)), []) is None


def test_a_value_that_vanishes_without_one_prompt_has_no_interval() -> None:
    assert intervals.jackknife(lambda keep: math.nan if not keep[3] else 1.0, prompts(9)) is None


@pytest.mark.parametrize("value", [0.5, 0.1, 0.0, -3.0])
def test_constant_values_have_a_point_for_an_interval(value: float) -> None:
    assert intervals.jackknife(mean_of(np.full(9, value)), prompts(9)) == pytest.approx((value,) * 3)


def coverage(k: int, seeds: int, keep_share: float = 1.0, runs: int = 1500) -> float:
    """Return how often the interval holds the true mean 0 if prompts differ twice as much as seeds."""
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(runs):
        values = (rng.normal(size=(k, 1)) + 0.5 * rng.normal(size=(k, seeds))).ravel()
        present = rng.random(k * seeds) < keep_share
        names = np.array(prompts(k, seeds))[present]
        found = intervals.jackknife(mean_of(values[present]), list(names))
        assert found is not None
        hits += found.low <= 0 <= found.high
    return hits / runs


@pytest.mark.parametrize(("k", "seeds", "keep_share"), [(8, 4, 1.0), (16, 2, 1.0), (16, 4, 0.8)])
def test_coverage_is_nominal(k: int, seeds: int, keep_share: float) -> None:
    assert coverage(k, seeds, keep_share) == pytest.approx(0.95, abs=0.017)  # three standard errors


def test_coverage_of_a_set_value_is_near_nominal() -> None:
    """Return the squared distance of the mean from the origin: curved, biased, defined only for a set."""
    rng, hits = np.random.default_rng(6), 0
    for _ in range(1000):
        points = np.repeat(rng.normal([2.0, 0.0, 0.0], 1.0, size=(16, 3)), 2, axis=0)
        found = intervals.jackknife(
            lambda keep, p=points: float((p[keep].mean(axis=0) ** 2).sum()), prompts(16, 2)
        )
        assert found is not None
        hits += found.low <= 4 <= found.high
    assert hits / 1000 == pytest.approx(0.95, abs=0.021)


def test_more_prompts_decide_with_the_promised_power() -> None:
    """Start from 16 prompts at [0.48, 0.56] around 0.52 with the limit 0.50."""
    more = intervals.more_prompts(0.48, 0.56, 16, 0.50)
    assert more is not None
    spread = 0.04 / reference.t.ppf(0.975, 15) * 4
    total = 16 + more
    means = np.random.default_rng(7).normal(0.52, spread, size=(4000, total))
    half = reference.t.ppf(0.975, total - 1) * means.std(axis=1, ddof=1) / math.sqrt(total)
    assert (means.mean(axis=1) - half > 0.50).mean() == pytest.approx(0.80, abs=0.02)


def test_more_prompts_shrinks_with_distance_and_gives_up_at_the_limit() -> None:
    near, far = (intervals.more_prompts(0.4, 0.6, 16, limit) for limit in (0.45, 0.41))
    assert near is not None
    assert far is not None
    assert near > far > 0
    assert intervals.more_prompts(0.4, 0.6, 16, 0.5) is None


def test_more_seeds_decide_with_the_promised_power() -> None:
    """12 prompts x 2 seeds lie around 0.5; the prompts are alike, and images of one prompt differ by 1."""
    values = np.where(np.arange(2) % 2, 1.0, -1.0) * np.sqrt(0.5) + 0.5 + np.zeros((12, 1))
    more = intervals.more_seeds(values.tolist(), 0.0)
    assert more is not None
    total = 2 + more
    means = np.random.default_rng(11).normal(0.5, 1 / math.sqrt(total), (20000, 12))
    half = reference.t.ppf(0.975, 11) * means.std(axis=1, ddof=1) / math.sqrt(12)
    assert (means.mean(axis=1) - half > 0).mean() == pytest.approx(0.85, abs=0.06)  # seeds come whole


def test_more_seeds_cannot_average_out_what_differs_between_prompts() -> None:
    apart = [[-1.0, -1.1], [1.0, 1.1]] * 8
    assert intervals.more_seeds(apart, 0.1) is None
    assert intervals.more_seeds([[0.4], [0.6]] * 8, 0.45) is None


def test_scipy_is_not_imported() -> None:
    code = (
        "import sys; from lora_checks.stats import intervals\n"
        "intervals.t_quantile(0.975, 15); sys.exit('scipy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
