"""Frechet distance against closed forms and scipy's matrix square root."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

from lora_checks.metrics.distribution import frechet
from lora_checks.metrics.statistics_file import Moments


def with_moments(n: int, mean: np.ndarray, deviations: np.ndarray) -> np.ndarray:
    """(n, D) whose sample mean and diagonal covariance (ddof 1) are exactly these."""
    raw = np.random.default_rng(0).normal(size=(n, len(mean)))
    raw -= raw.mean(axis=0)
    orthogonal = np.linalg.qr(raw)[0] * np.sqrt(n - 1)
    return mean + orthogonal * deviations


def test_two_gaussians_with_a_common_basis() -> None:
    """|m1 - m2|^2 + sum (s1 - s2)^2, where both covariances are diagonal; to 1e-10."""
    m1, m2 = np.array([1.0, 0.0, -2.0]), np.array([0.5, 3.0, -2.0])
    s1, s2 = np.array([1.0, 2.0, 0.5]), np.array([2.0, 2.0, 0.1])
    x, y = with_moments(40, m1, s1), with_moments(60, m2, s2)
    expected = ((m1 - m2) ** 2).sum() + ((s1 - s2) ** 2).sum()
    assert frechet(x, y) == pytest.approx(expected, rel=1e-10)
    assert frechet(x, Moments(m2, np.diag(s2**2))) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("n", [10, 63, 64, 65, 300])
def test_every_form_agrees_with_scipy(n: int) -> None:
    """Fewer, as many and more images than dimensions, from features and from moments; to 1e-4."""
    rng = np.random.default_rng(n)
    x, y = rng.normal(size=(n, 64)), 1 + rng.gamma(2, size=(n, 64))
    sx, sy = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = np.real(linalg.sqrtm(sx @ sy))
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(sx + sy - 2 * root)
    assert frechet(x, y) == pytest.approx(expected, rel=1e-4)
    assert frechet(x, Moments(y.mean(0), sy, n)) == pytest.approx(frechet(x, y), rel=1e-6)


def test_equal_sets_are_at_zero() -> None:
    x = np.random.default_rng(0).normal(size=(30, 100))
    assert frechet(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet(x, x) >= 0
