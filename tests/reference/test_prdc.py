"""Precision, recall, density and coverage against their authors' ``prdc`` (MIT)."""

from __future__ import annotations

import numpy as np
import pytest
from prdc import compute_prdc

from lora_checks.metrics.neighbours import coverage, density, precision, recall


@pytest.mark.parametrize(("n", "m"), [(40, 40), (30, 70), (70, 30)])
def test_the_four_of_them(n: int, m: int) -> None:
    """Exactly, as they are counts; prdc has one k for all, ours are 3 and 5."""
    rng = np.random.default_rng(n)
    x, y = rng.normal(0.3, 1.2, (n, 8)), rng.normal(0, 1, (m, 8))
    three, five = (compute_prdc(real_features=y, fake_features=x, nearest_k=k) for k in (3, 5))
    assert 0 < three["precision"] < 1
    assert 0 < three["recall"] < 1
    assert precision(x, y) == pytest.approx(three["precision"], abs=1e-12)
    assert recall(x, y) == pytest.approx(three["recall"], abs=1e-12)
    assert density(x, y) == pytest.approx(five["density"], abs=1e-12)
    assert coverage(x, y) == pytest.approx(five["coverage"], abs=1e-12)
