"""KID against clean-fid, CMMD against the code of its authors, the Vendi score against ``vendi_score``."""

from __future__ import annotations

import numpy as np
import pytest
from cleanfid.fid import kernel_distance
from vendi_score import vendi as vendi_score

from lora_checks.metrics.diversity import vendi
from lora_checks.metrics.kernels import cmmd, cmmd_as_published, kid
from lora_checks.metrics.vectors import unit


@pytest.fixture(scope="module")
def features() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.gamma(1, 0.4, (50, 2048)), rng.gamma(1.1, 0.4, (50, 2048))


def test_kid(features: tuple[np.ndarray, np.ndarray]) -> None:
    """To 1e-9: with as many images as its subset has, clean-fid takes all of them, in some order."""
    expected = kernel_distance(*features, num_subsets=1, max_subset_size=50)
    assert kid(*features) == pytest.approx(expected, rel=1e-9)


def as_published(x: np.ndarray, y: np.ndarray) -> float:
    """google-research/cmmd/distance.py, ``mmd``, with numpy for jax.numpy (Apache-2.0)."""
    x_sqnorms, y_sqnorms = np.diag(x @ x.T), np.diag(y @ y.T)
    gamma = 1 / (2 * 10**2)
    k_xx = np.mean(np.exp(-gamma * (-2 * (x @ x.T) + x_sqnorms[:, None] + x_sqnorms[None])))
    k_xy = np.mean(np.exp(-gamma * (-2 * (x @ y.T) + x_sqnorms[:, None] + y_sqnorms[None])))
    k_yy = np.mean(np.exp(-gamma * (-2 * (y @ y.T) + y_sqnorms[:, None] + y_sqnorms[None])))
    return float(1000 * (k_xx + k_yy - 2 * k_xy))


def test_cmmd(features: tuple[np.ndarray, np.ndarray]) -> None:
    """To 1e-7; the unbiased one is lower by what the images contribute by themselves, exactly."""
    x, y = features[0], features[1][:40]
    published = as_published(unit(x), unit(y))
    assert cmmd_as_published(x, y) == pytest.approx(published, rel=1e-7)
    themselves = 0.0
    for rows in (unit(x), unit(y)):
        kernel = np.exp((rows @ rows.T - 1) / 100)
        others = kernel[~np.eye(len(rows), dtype=bool)].mean()
        themselves += 1000 * (1 - others) / len(rows)
    assert cmmd(x, y) == pytest.approx(published - themselves, rel=1e-6)


@pytest.mark.parametrize("n", [2, 20, 100])
def test_vendi_score(n: int) -> None:
    """To 1e-6 of the package's, from the same cosines."""
    x = np.random.default_rng(n).normal(0.2, 1, (n, 48))
    expected = vendi_score.score(list(unit(x)), lambda a, b: float(a @ b))
    assert vendi(x) == pytest.approx(expected, rel=1e-6)
