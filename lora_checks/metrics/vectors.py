"""Arithmetic that several metrics share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.errors import MeasureError

Array = NDArray[np.floating[Any]]


def unit(x: Array) -> NDArray[np.float64]:
    """(N, D) rows scaled to length one; a row of NaN or of zeros becomes NaN, for it has no direction."""
    x = np.asarray(x, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        unit_rows: NDArray[np.float64] = x / np.linalg.norm(x, axis=1, keepdims=True)
    return unit_rows


def cosines(x: Array, y: Array) -> NDArray[np.float64]:
    """(N, D), (M, D) -> (N, M) in [-1, 1]; NaN where either has no direction."""
    with np.errstate(invalid="ignore"):
        between: NDArray[np.float64] = (unit(x) @ unit(y).T).clip(-1, 1)
    return between


def distances(x: Array, y: Array) -> NDArray[np.float64]:
    """(N, D), (M, D) -> (N, M) Euclidean, exactly 0 for equal rows.

    |a|^2 + |b|^2 - 2ab loses small distances to rounding; what is left of an equal pair is set to zero.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    norms = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1)
    squared = norms - 2 * (x @ y.T)
    squared[squared < 1e-13 * norms] = 0
    found: NDArray[np.float64] = np.sqrt(squared)
    return found


def two_sets(x: Array, y: Array, least: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both as float64; `MeasureError` for rows that are not finite, other dimensions or too few rows."""
    a: NDArray[np.float64] = np.asarray(x, np.float64)
    b: NDArray[np.float64] = np.asarray(y, np.float64)
    for rows in (a, b):
        bad = int((~np.isfinite(rows)).any(axis=1).sum())
        if bad:
            raise MeasureError(f"{bad} of {len(rows)} images have no usable features (NaN or infinite)")
        if len(rows) < least:
            raise MeasureError(f"this takes at least {least} images on each side, not {len(rows)}")
    if a.shape[1] != b.shape[1]:
        raise MeasureError(f"the features have {a.shape[1]} dimensions and the others {b.shape[1]}")
    return a, b
