"""Arithmetic that several metrics share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


def unit(x: Array) -> NDArray[np.float64]:
    """(N, D) rows scaled to length one; a row of NaN or of zeros becomes NaN, for it has no direction."""
    x = np.asarray(x, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        unit_rows: NDArray[np.float64] = x / np.linalg.norm(x, axis=1, keepdims=True)
    return unit_rows
