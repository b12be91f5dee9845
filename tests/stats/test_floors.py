"""Floors of large sets: measured on a part of it, and scaled to its size."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lora_checks.stats import floors


def _apart(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return a distance whose expectation is the dimension times (1/N + 1/M)."""
    return float(((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum())


@pytest.mark.parametrize("images", [50, 900])
def test_a_floor_of_a_part_is_that_of_the_whole(images: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The part's distance is scaled by the sizes, so what is drawn changes little."""
    references = np.random.default_rng(0).normal(size=(4000, 400))
    whole = floors.floor(_apart, references, images)
    monkeypatch.setattr(floors, "MOST", 1000)
    part = floors.floor(_apart, references, images)
    expected = 400 * (1 / images + 1 / 4000)
    assert part == pytest.approx(expected, rel=0.25)
    assert whole == pytest.approx(expected, rel=0.25)


def test_the_same_part_is_drawn_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(500, 3))
    monkeypatch.setattr(floors, "MOST", 100)
    assert floors.split(_apart, x) == floors.split(_apart, x)
    rows = list[int]()
    floors.split(lambda a, b: rows.append(len(a) + len(b)) or 0.0, x)  # type: ignore[func-returns-value]
    assert set(rows) == {100}
