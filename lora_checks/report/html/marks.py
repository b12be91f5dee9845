"""Which images a person should look at: with a value outside their row's limit, or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lora_checks.core.quantity import SHARES, label, missing_word
from lora_checks.core.words import number

Row = Mapping[str, Any]
Why = Callable[[float | None], str]


def label_of(row: Row) -> str:
    """ "arcface", "clip_score gain on outdoors": what is measured of each image, whatever it amounts to."""
    m = row["measurement"]
    return label(m["metric"], "mean", None, m["gain"], m["on"])


def limits_of(row: Row) -> tuple[float | None, float | None]:
    """The least and the most that an image's own value may be under this row.

    The limits of a share are of the share: there, an image is held against ``at``.
    """
    threshold, m = row["threshold"] or {}, row["measurement"] or {}
    stat, least, most = m.get("stat", "mean"), threshold.get("min"), threshold.get("max")
    if stat == "missing":
        return None, None
    if stat in SHARES:
        wanted_above = (stat == "share_at_least") == (least is not None)
        return (m["at"], None) if wanted_above else (None, m["at"])
    return least, most


def why(row: Row) -> Why:
    """Value of an image -> why it counts against the LoRA in this row, in words; "" where it does not."""
    least, most = limits_of(row)
    m = row["measurement"]
    shown = f"{m['metric']} gain" if m.get("gain") else m["metric"]

    def found(value: float | None) -> str:
        if value is None:
            return missing_word(m["metric"])
        if least is not None and value < least:
            return f"{shown} {number(value, (least,))}, below {number(least, (value,))}"
        if most is not None and value > most:
            return f"{shown} {number(value, (most,))}, above {number(most, (value,))}"
        return ""

    return found


def distance(row: Row) -> Callable[[float | None], float | None]:
    """Value of an image -> how far inside the row's limits it is, in sizes of the limit; None if missing.

    Negative is outside, so that the smallest is the worst; comparable between rows.
    """
    least, most = limits_of(row)
    size = min((abs(limit) for limit in (least, most) if limit), default=1.0)

    def found(value: float | None) -> float | None:
        if value is None:
            return None
        sides = [value - least] if least is not None else []
        sides += [most - value] if most is not None else []
        return min(sides) / size if sides else None

    return found
