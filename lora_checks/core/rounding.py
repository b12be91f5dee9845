"""Numbers that are equal but for rounding.

0.7 is not a float32, and ten times 0.1 is not 1: a value that equals its limit must not miss it by the last
digit of how it was stored or summed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RELATIVE, ABSOLUTE = 1e-9, 1e-12  # far above the rounding of a sum of float64, far below what anybody writes


def slack(limit: float) -> float:
    """How far from ``limit`` a value still equals it."""
    return max(ABSOLUTE, RELATIVE * abs(limit))


def at_least(value: float, limit: float) -> bool:
    """Whether ``value`` is ``limit`` or more; False for NaN."""
    return value >= limit - slack(limit)


def at_most(value: float, limit: float) -> bool:
    """Whether ``value`` is ``limit`` or less; False for NaN."""
    return value <= limit + slack(limit)


def shortest(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Each number as the shortest decimal one that its own format rounds to it, in float64.

    A float32 of 0.7 becomes 0.7, where a cast gives 0.699999988. float64 stays as it is.
    """
    import numpy as np  # here, since whoever reads a policy compares limits and needs no arrays

    wide = values.astype(np.float64)
    if values.dtype.itemsize >= wide.dtype.itemsize:
        return wide
    waiting = np.isfinite(wide) & (wide != 0)
    for digits in range(1, 10):  # nine tell every float32
        x = wide[waiting]
        power = digits - 1 - np.floor(np.log10(np.abs(x)))
        scale = 10.0 ** np.abs(power)
        rounded = np.where(power >= 0, np.rint(x * scale) / scale, np.rint(x / scale) * scale)
        with np.errstate(over="ignore"):
            same = rounded.astype(values.dtype) == values[waiting]
        wide[waiting] = np.where(same, rounded, x)
        waiting[waiting] = ~same
    return wide
