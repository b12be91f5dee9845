"""The one-minute part of benchmarks/interval_coverage.py, with a fixed seed so that the shares are exact."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

import benchmarks

RUNS = 1000
pytestmark = pytest.mark.simulation


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    return benchmarks.load("interval_coverage")


@pytest.mark.parametrize(
    ("name", "prompts", "seeds", "inside"),
    [
        ("mean", 8, 4, 0.94),
        ("mean", 16, 2, 0.938),
        ("mean, skewness 1", 16, 2, 0.948),
        ("paired gain", 16, 2, 0.957),
        ("KID", 16, 4, 0.957),
        ("share 0.7", 16, 4, 0.968),
        ("share 0.05", 16, 4, 0.989),
    ],
)
def test_intervals_hold_the_truth_as_often_as_they_say(
    benchmark: ModuleType, name: str, prompts: int, seeds: int, inside: float
) -> None:
    """The nominal coverage is 95 %. An exact interval of a share covers more, and the rarer the more."""
    low, high = benchmark.coverage(benchmark.QUANTITIES[name], prompts, seeds, RUNS)
    assert 1 - low - high == pytest.approx(inside, abs=1e-9)
    assert inside >= 0.93


@pytest.mark.parametrize("prompts", [12, 16, 25, 32])
def test_the_cap_costs_less_than_a_point_of_coverage(benchmark: ModuleType, prompts: int) -> None:
    """Compare every shape and either bound with the transform without a cap, on the same 4,000 draws."""
    for shape in benchmark.SHAPES:
        capped, free = (benchmark.held(shape, prompts, 4000, cap) for cap in benchmark.CAPS.values() if cap)
        assert min(np.subtract(capped, free)) >= -0.008, shape


@pytest.mark.parametrize("prompts", [12, 25])
def test_a_long_tail_costs_students_t_more(benchmark: ModuleType, prompts: int) -> None:
    for shape in ("exponential", "lognormal .8"):
        capped, student = (
            benchmark.held(shape, prompts, 4000, benchmark.CAPS[name])[0]
            for name in ("capped", "Student's t")
        )
        assert capped > student + 0.03, shape


@pytest.mark.parametrize("plan", [(16, 2, 64), (25, 2, 200), (32, 1, 64), (64, 1, 64)])
@pytest.mark.parametrize("within", [0, 1])
def test_looking_after_every_batch_is_wrong_in_at_most_5_percent(
    benchmark: ModuleType, plan: tuple[int, int, int], within: float
) -> None:
    """At the limit itself, either a PASS or a FAIL is wrong; rare bad prompts are left out."""
    for shape in benchmark.DRAWN:
        found = benchmark.spent(0, plan, 4000, shape, within)
        assert max(found["PASS"], found["FAIL"]) <= 0.05, shape


@pytest.mark.parametrize(
    ("distance", "shape", "images"),
    [(1.5, "normal", 17.3), (-1.5, "skewness -1", 16.4), (0.0, "normal", 63.6)],
)
def test_looking_after_every_batch_spends_a_third_where_it_is_clear(
    benchmark: ModuleType, distance: float, shape: str, images: float
) -> None:
    """Allow 64 images at most."""
    found = benchmark.spent(distance, (16, 2, 64), RUNS, shape)
    assert found["images"] == pytest.approx(images, abs=0.1)
    assert found["PASS" if distance > 0 else "FAIL"] > 0.97 or not distance
