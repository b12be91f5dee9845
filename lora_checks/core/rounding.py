"""Compare numbers without regard to rounding.

0.7 is not exactly a float32, and the sum of ten 0.1 is not exactly 1. A value that equals its limit must not
miss it because of how it was stored or summed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RELATIVE, ABSOLUTE = 1e-9, 1e-12  # far above float64 rounding errors, far below the precision of any limit


def slack(limit: float) -> float:
    """Return how far a value may be from ``limit`` and still equal it."""
    return max(ABSOLUTE, RELATIVE * abs(limit))


def at_least(value: float, limit: float) -> bool:
    """Return whether ``value`` is ``limit`` or more; False for NaN."""
    return value >= limit - slack(limit)


def at_most(value: float, limit: float) -> bool:
    """Return whether ``value`` is ``limit`` or less; False for NaN."""
    return value <= limit + slack(limit)


def shortest(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Convert each number to the float64 nearest to its shortest decimal representation.

    The float32 0.7 becomes 0.7, whereas a cast gives 0.699999988. float64 values stay unchanged.
    """
    import numpy as np  # here, since whoever reads a policy compares limits and needs no arrays

    wide = values.astype(np.float64)
    if values.dtype.itemsize >= wide.dtype.itemsize:
        return wide
    waiting = np.isfinite(wide) & (wide != 0)
    for digits in range(1, 10):  # nine digits identify every float32
        x = wide[waiting]
        power = digits - 1 - np.floor(np.log10(np.abs(x)))
        scale = 10.0 ** np.abs(power)
        rounded = np.where(power >= 0, np.rint(x * scale) / scale, np.rint(x / scale) * scale)
        with np.errstate(over="ignore"):
            same = rounded.astype(values.dtype) == values[waiting]
        wide[waiting] = np.where(same, rounded, x)
        waiting[waiting] = ~same
    return wide
