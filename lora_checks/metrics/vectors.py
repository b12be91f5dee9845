"""Share the arithmetic of several metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.errors import MeasureError
from lora_checks.core.words import count

Array = NDArray[np.floating[Any]]
ROWS = 2048  # of a part


def unit(x: Array) -> NDArray[np.float64]:
    """Scale the rows of (N, D) to length one; a row of NaN or zeros has no direction and becomes NaN."""
    x = np.asarray(x, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        unit_rows: NDArray[np.float64] = x / np.linalg.norm(x, axis=1, keepdims=True)
    return unit_rows


def cosines(x: Array, y: Array) -> NDArray[np.float64]:
    """Return the cosine of each x and each y, (N, M) in [-1, 1]; NaN where either has no direction."""
    with np.errstate(invalid="ignore"):
        between: NDArray[np.float64] = (unit(x) @ unit(y).T).clip(-1, 1)
    return between


def distances(x: Array, y: Array) -> NDArray[np.float64]:
    """Return the Euclidean distance of each x and each y, (N, M); exactly 0 for equal rows.

    |a|^2 + |b|^2 - 2ab loses small distances to rounding, so what remains of an equal pair is set to zero.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    norms = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1)
    squared = norms - 2 * (x @ y.T)
    squared[squared < 1e-13 * norms] = 0
    roots: NDArray[np.float64] = np.sqrt(squared)
    return roots


def two_sets(x: Array, y: Array, least: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both sets as float64.

    Raises:
        MeasureError: A row is not finite, a set has fewer than ``least`` rows, or the dimensions differ.
    """
    refuse_unusable(x, y, least)
    return np.asarray(x, np.float64), np.asarray(y, np.float64)


def refuse_unusable(x: Array, y: Array, least: int) -> None:
    """Raise `MeasureError` as `two_sets` does; a set may be mapped from a file."""
    a, b = np.asanyarray(x), np.asanyarray(y)
    for rows in (a, b):
        bad = sum(int((~np.isfinite(part)).any(axis=1).sum()) for part in parts(rows))
        if bad:
            raise MeasureError(f"{bad} of {len(rows)} images have no usable features (NaN or infinite)")
        if len(rows) < least:
            raise MeasureError(
                f"this metric needs at least {count(least, 'image')} on each side, and there are {len(rows)}"
            )
    if a.shape[1] != b.shape[1]:
        raise MeasureError(f"the images' features have {a.shape[1]} dimensions and the others {b.shape[1]}")


def parts(x: Array, rows: int = ROWS) -> Iterator[Array]:
    """Yield the rows of (N, D) a part at a time."""
    for start in range(0, len(x), rows):
        yield x[start : start + rows]
