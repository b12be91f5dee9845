"""Moments and kernel distances of large sets, against one pass over all rows."""

from __future__ import annotations

import gc
import tempfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lora_checks.core.errors import MeasureError
from lora_checks.metrics import distribution, kernels, mapped, moments, vectors
from lora_checks.metrics.moments import ROWS, Gathered, even, streamed

Rows = NDArray[np.float32]


def _features(n: int, d: int = 24, seed: int = 0) -> Rows:
    """Return features with means far above their spread, where sums of squares lose their digits."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(d, d)) / np.sqrt(d)
    return (rng.normal(size=(n, d)) @ mix + rng.uniform(-1000, 1000, d)).astype(np.float32)


def _mapped(rows: Rows, folder: Path) -> Rows:
    file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
    file.write(rows.tobytes())
    file.flush()
    return np.memmap(file, rows.dtype, "r", shape=rows.shape)


@pytest.mark.parametrize("n", [2, ROWS - 1, ROWS, ROWS + 1, 5 * ROWS + 17])
def test_merged_moments_are_those_of_one_pass(n: int) -> None:
    x = _features(n)
    found = streamed([x])
    exact = x.astype(np.longdouble)
    mean = exact.mean(axis=0)
    sigma = (exact - mean).T @ (exact - mean) / (n - 1)
    np.testing.assert_allclose(found.mu, mean.astype(float), rtol=1e-12)
    np.testing.assert_allclose(found.sigma, sigma.astype(float), rtol=0, atol=1e-12 * float(abs(sigma).max()))
    assert found.n == n


def test_the_division_of_the_rows_changes_no_bit() -> None:
    x, rng = _features(3 * ROWS + 100), np.random.default_rng(1)
    whole = streamed([x])
    for _ in range(3):
        cuts = np.sort(rng.integers(0, len(x), 40))
        found = streamed(np.split(x, cuts))
        np.testing.assert_array_equal(found.mu, whole.mu)
        np.testing.assert_array_equal(found.sigma, whole.sigma)


def test_any_two_parts_merge() -> None:
    x = _features(500).astype(np.float64)
    parts = Gathered.of(x[:7]).merged(Gathered.of(x[7:]))
    whole = Gathered.of(x)
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(parts.spread, whole.spread, rtol=0, atol=1e-12 * abs(whole.spread).max())


def test_even_parts_hold_all_rows_in_order() -> None:
    x = np.arange(23.0).reshape(-1, 1)
    parts = list(even(np.split(x, [1, 9, 9, 20]), 5))
    assert [len(part) for part in parts] == [5, 5, 5, 5, 3]
    np.testing.assert_array_equal(np.concatenate(parts), x)


def test_rows_without_features_are_counted() -> None:
    x = _features(2 * ROWS)
    x[3, 1] = x[ROWS + 5] = np.nan
    with pytest.raises(MeasureError, match=f"2 of {2 * ROWS} images have no usable features"):
        streamed([x])
    with pytest.raises(MeasureError, match="at least 2 images on each side, and there are 0"):
        streamed([])


@pytest.mark.parametrize("metric", [distribution.fid, kernels.kid, kernels.cmmd])
def test_mapped_files_give_the_value_of_arrays(
    metric: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether rows are in memory or in a file, and in how large parts they are taken."""
    x, y = _features(60) / 500, _features(400, seed=2) / 500
    whole = metric(x, y)  # type: ignore[operator]
    for module in (vectors, kernels):
        monkeypatch.setattr(module, "ROWS", 37)
    monkeypatch.setattr(vectors.parts, "__defaults__", (37,))
    monkeypatch.setattr(moments, "ROWS", 37)
    monkeypatch.setattr(moments.in_rows, "__defaults__", (37,))
    monkeypatch.setattr(distribution, "LARGE", 100)
    assert metric(_mapped(x, tmp_path), _mapped(y, tmp_path)) == pytest.approx(whole, rel=1e-11, abs=1e-13)  # type: ignore[operator]


def test_what_only_the_references_decide_is_computed_once(tmp_path: Path) -> None:
    """An interval asks dozens of times. What may change, and what is gone, is not remembered."""
    calls, before = list[int](), len(mapped._KNOWN)
    file = _mapped(_features(5), tmp_path)
    for _ in range(3):
        assert mapped.once(file, "x", lambda: calls.append(1) or len(calls)) == 1
    assert mapped.once(file, "y", lambda: calls.append(1) or len(calls)) == 2
    array = np.zeros((2, 2))
    assert [mapped.once(array, "x", lambda: calls.append(1) or len(calls)) for _ in range(2)] == [3, 4]
    del file
    gc.collect()
    assert len(mapped._KNOWN) == before
