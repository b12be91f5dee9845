"""Mark the images a person should look at: those without a value or outside their row's limit."""

from __future__ import annotations

from collections.abc import Callable

from lora_checks.core.quantity import SHARES, missing_word
from lora_checks.core.words import number
from lora_checks.record.shapes import Row
from lora_checks.record.shapes.rows import Measurement
from lora_checks.report import questions

Why = Callable[[float | None], str]
COUNTS, LOW = "counts", "low"  # against the LoRA by itself; only less than the row wants on average


def limits_of(row: Row) -> tuple[float | None, float | None]:
    """Return the least and the greatest value that this row allows for a single image.

    A share limits the share of images; a single image is compared with ``at``.
    """
    threshold, m = row["threshold"], row["measurement"]
    if threshold is None or (m is not None and m["stat"] == "missing"):
        return None, None
    least, most = threshold["min"], threshold["max"]
    if m is not None and m["stat"] in SHARES:
        wanted_above = (m["stat"] == "share_at_least") == (least is not None)
        return (m["at"], None) if wanted_above else (None, m["at"])
    return least, most


def why(row: Row, m: Measurement) -> Why:
    """Return a function that says why an image's value counts against the LoRA, or ""."""
    least, most = limits_of(row)
    metric = "answer" if questions.question_of(row) else m["metric"]
    shown = f"{metric} gain" if m["gain"] else metric

    def reason(value: float | None) -> str:
        if value is None:
            return missing_word(m["metric"])
        if least is not None and value < least:
            return f"{shown} {number(value, (least,))}, below {number(least, (value,))}"
        if most is not None and value > most:
            return f"{shown} {number(value, (most,))}, above {number(most, (value,))}"
        return ""

    return reason


def weight(row: Row, m: Measurement) -> str:
    """Return `COUNTS` if a marked image counts against the LoRA, `LOW` if it only lowers a mean that passed.

    A limit on a mean, the worst prompt or another summary is not a limit on each image: in a row that
    passed, an image beyond it is ordinary.
    """
    single = m["stat"] in SHARES or m["stat"] == "missing"
    return LOW if row["outcome"] == "PASS" and not single else COUNTS


def distance(row: Row) -> Callable[[float | None], float | None]:
    """Return a function of an image's value: its distance inside the limits, relative to the limit.

    Negative is outside, so the smallest is the worst, also across rows. It returns None for a missing value.
    """
    least, most = limits_of(row)
    size = min((abs(limit) for limit in (least, most) if limit), default=1.0)

    def inside(value: float | None) -> float | None:
        if value is None:
            return None
        sides = [value - least] if least is not None else []
        sides += [most - value] if most is not None else []
        return min(sides) / size if sides else None

    return inside
