"""benchmarks/interval_coverage.py in a minute's part: a fixed seed, so that the shares are exact."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

RUNS = 1000


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    path = Path(__file__).parents[1] / "benchmarks" / "interval_coverage.py"
    spec = importlib.util.spec_from_file_location("interval_coverage", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "prompts", "seeds", "inside"),
    [
        ("mean", 8, 4, 0.94),
        ("mean", 16, 2, 0.937),
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
    """Nominal 95 %. An exact interval of a share holds it more often, the rarer the more so."""
    low, high = benchmark.coverage(benchmark.QUANTITIES[name], prompts, seeds, RUNS)
    assert 1 - low - high == pytest.approx(inside, abs=1e-9)
    assert inside >= 0.93


@pytest.mark.parametrize(
    ("distance", "skewed", "ends"),
    [
        (1.5, False, {"PASS": 1.0, "FAIL": 0.0, "images": 16.944}),
        (-1.5, True, {"PASS": 0.0, "FAIL": 0.984, "images": 19.072}),
        (0.0, False, {"PASS": 0.033, "FAIL": 0.033, "images": 63.04}),
        (0.0, True, {"PASS": 0.027, "FAIL": 0.042, "images": 62.576}),
    ],
)
def test_looking_after_every_batch_errs_no_more_and_spends_a_third_where_it_is_clear(
    benchmark: ModuleType, distance: float, skewed: bool, ends: dict[str, float]
) -> None:
    """MAX is 64. At the limit itself a PASS and a FAIL are wrong in turn: 5 % each are allowed."""
    found = benchmark.spent(distance, (16, 2, 64), RUNS, skewed)
    assert found == pytest.approx(ends, abs=1e-9)
    assert distance or (found["PASS"] < 0.05 and found["FAIL"] < 0.05)
