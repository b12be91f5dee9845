"""Say why a row ended as it did, in a sentence for people who do not know the metrics.

The numbers are those of the row; the gate's own reason, which the terminal shows, stays beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lora_checks.core import quantity
from lora_checks.core.quantity import SHARES, missing_word
from lora_checks.core.words import count, number
from lora_checks.record import rows
from lora_checks.record.shapes import Row
from lora_checks.record.shapes.rows import Measurement, Threshold
from lora_checks.report import questions, vocabulary
from lora_checks.report.vocabulary import TWO_VALUED

ORDINAL = {
    "min": "the lowest image's value of ",
    "max": "the highest image's value of ",
    "median": "the median of ",
}


def prose(row: Row, class_words: str = "") -> str:
    """Return the reason of a row in plain words; the row's own reason where there is no measurement.

    ``class_words`` are the run's, which a question to a vision model names.
    """
    m, threshold = row["measurement"], row["threshold"]
    if m is None or threshold is None or m["waiting"] or row["outcome"] == "ERROR" or row.get("change_of"):
        return _sentence(rows.reason(row))
    if threshold["min"] is None and threshold["max"] is None:
        return _sentence(rows.reason(row))
    if lost := _too_many_missing(m, threshold):
        return _sentence(lost)
    name = questions.name(row, class_words) or vocabulary.name(m)
    told = _counted(row, m, threshold, name) or _measured(row, m, threshold, name)
    return _sentence(told) + _hint(row)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def _too_many_missing(m: Measurement, threshold: Threshold) -> str:
    """Say how many images have no value, if more than the row allows."""
    total = m["n"] + m["missing"]
    if m["stat"] == "missing" or m["missing"] <= threshold["max_missing"] * total + 1e-9:
        return ""
    allowed = math.floor(threshold["max_missing"] * total + 1e-9)
    return f"{m['missing']} of {count(total, 'image')} have {missing_word(m['metric'])}; {_may(allowed)}"


def _counted(row: Row, m: Measurement, threshold: Threshold, name: str) -> str:
    """Count the images that a row is about: "10 of 12 images copy a training picture; at most 2 may"."""
    against = _against(m, threshold, name)
    if against is None:
        return ""
    values = [value for _, value in m["per_image"]]
    total = len(values) if m["stat"] == "missing" else sum(value is not None for value in values)
    if not total:
        return ""
    bad, what = against.images, against.what if against.images != 1 else _singular(against.what)
    if threshold["rule"] != "bound":
        may = _may(math.floor(against.most * total + 1e-9))
        return f"{bad} of {count(total, 'image')}{_on(m)} {what}; {may}"
    head = f"{bad} of {count(total, 'image')}{_on(m)} ({100 * bad / total:.0f} %) {what}"
    return f"{head}; at most {_percent(against.most)} may{_chance(row, m, against)}"


def _chance(row: Row, m: Measurement, against: _Against) -> str:
    """Say which share of images in general do so, as far as that decided the row."""
    if m["low"] is None or m["high"] is None:
        return ""
    low, high = (1 - m["high"], 1 - m["low"]) if against.wanted else (m["low"], m["high"])
    least, most = _percent(low, against.most), _percent(high, against.most)
    words = {"FAIL": f"at least {least} do", "PASS": f"at most {most} do"}
    return f", and allowing for chance {words.get(row['outcome'], f'{least} to {most} do')}"


@dataclass(frozen=True, slots=True)
class _Against:
    """Images that count against the LoRA."""

    images: int
    what: str  # they do
    most: float  # the greatest share that may
    wanted: bool = False  # whether the row's own value is the share of the other images


def _against(m: Measurement, threshold: Threshold, name: str) -> _Against | None:
    """Return the images that count against the LoRA; None if the row is not about a share of images."""
    least, most = threshold["min"], threshold["max"]
    if (least is None) == (most is None):
        return None
    values = [value for _, value in m["per_image"]]
    there = [value for value in values if value is not None]
    if m["stat"] == "missing":
        have = f"have {missing_word(m['metric'])}"
        return None if most is None else _Against(values.count(None), have, most)
    if m["stat"] == "mean" and m["metric"] in TWO_VALUED and not m["gain"]:
        bad, what = TWO_VALUED[m["metric"]]
        limit = (1 - least if least is not None else None) if bad == 0 else most
        return None if limit is None else _Against(there.count(bad), what, limit, wanted=bad == 0)
    if m["stat"] not in SHARES or m["at"] is None:
        return None
    hits = sum(quantity.counts(value, m["stat"], m["at"]) for value in there)
    if most is not None:  # images that the share counts are unwanted
        return _Against(hits, _does(m, name, m["stat"] == "share_at_least", inclusive=True), most)
    assert least is not None
    what = _does(m, name, m["stat"] == "share_at_most", inclusive=False)
    return _Against(len(there) - hits, what, 1 - least, wanted=True)


SIDES = {
    (True, True): "at least",
    (True, False): "above",
    (False, True): "at most",
    (False, False): "below",
}


def _does(m: Measurement, name: str, high: bool, inclusive: bool) -> str:
    return vocabulary.does(m, name, high, f"{SIDES[high, inclusive]} {number(m['at'])}")


def _singular(what: str) -> str:
    verb, _, rest = what.partition(" ")
    return f"{ {'have': 'has', 'are': 'is', 'copy': 'copies'}.get(verb, f'{verb}s') } {rest}".strip()


def _measured(row: Row, m: Measurement, threshold: Threshold, name: str) -> str:
    """Return "on average, ... is 0.412; at least 0.500 is needed"."""
    limits = (threshold["min"], threshold["max"])
    if m["gain"] and m["stat"] == "mean":
        return _gained(row, m, threshold, name)
    value = number(m["value"], limits)
    if m["stat"] == "worst_prompt":
        where = f", {m['worst'][0]}," if m["worst"] else ""
        text = f"on the worst prompt{where} {name} is {value}"
    elif m["stat"] in ORDINAL:
        text = f"{ORDINAL[m['stat']]}{name} is {value}"
    elif m["stat"] == "mean" and m["per_image"]:
        text = f"on average, {name} is {value}"
    elif m["stat"] == "mean":
        text = f"over all images together, {name} is {value}"
    else:
        text = f"{m['stat'].replace('_', ' ')}: {name} is {value}"
    return f"{text}{_on(m)}{_bounded(row, m, limits)}; {_needed(*limits, m['value'])}"


def _gained(row: Row, m: Measurement, threshold: Threshold, name: str) -> str:
    limits = (threshold["min"], threshold["max"])
    value = m["value"] or 0.0
    change = (
        f"{number(abs(value), map(_size, limits))} {'higher' if value > 0 else 'lower'}"
        if value
        else "unchanged"
    )
    wanted = []
    if threshold["min"] is not None:
        wanted.append(_change_allowed(threshold["min"], up="must be at least", down="may be at most"))
    if threshold["max"] is not None:
        wanted.append(_change_allowed(threshold["max"], up="may be at most", down="must be at least"))
    text = f"compared with the base, {name} is {change} on average{_on(m)}"
    return f"{text}{_bounded(row, m, limits)}; it {' and '.join(wanted)}"


def _size(limit: float | None) -> float | None:
    return None if limit is None else abs(limit)


def _change_allowed(limit: float, up: str, down: str) -> str:
    if limit == 0:
        return "may not be " + ("lower" if up.startswith("must") else "higher")
    return f"{up if limit > 0 else down} {number(abs(limit))} {'higher' if limit > 0 else 'lower'}"


def _bounded(row: Row, m: Measurement, limits: Sequence[float | None]) -> str:
    """Say what the true value may be, where a bound judged the row."""
    threshold = row["threshold"]
    if threshold is None or threshold["rule"] != "bound" or m["low"] is None or m["high"] is None:
        return ""
    return f" ({number(m['low'], limits)} to {number(m['high'], limits)} allowing for chance)"


def _needed(least: float | None, most: float | None, value: float | None) -> str:
    if least is not None and most is not None:
        return f"{number(least, (value,))} to {number(most, (value,))} is allowed"
    if least is not None:
        return f"at least {number(least, (value,))} is needed"
    return f"at most {number(most, (value,))} is allowed"


def _hint(row: Row) -> str:
    """Return what would decide a row that is too close to tell."""
    if row["outcome"] != "INCONCLUSIVE":
        return ""
    parts = [
        part
        for part in rows.reason(row).split("; ")
        if "would probably decide" in part or "too close" in part
    ]
    return f" That is too close to tell: {parts[0]}." if parts else " That is too close to tell."


def _on(m: Measurement) -> str:
    return f" on {m['on']}" if m["on"] else ""


def _may(allowed: int) -> str:
    return f"at most {allowed} may" if allowed else "none may"


def _percent(share: float, unlike: float | None = None) -> str:
    """Return "12.5 %", or as many decimals as tell it from the share ``unlike``."""
    percent = 100 * min(1.0, max(0.0, share))
    if unlike is None:
        return f"{percent:.3g} %"
    texts = (
        f"{percent:.{digits}f}"
        for digits in range(6)
        if f"{percent:.{digits}f}" != f"{100 * unlike:.{digits}f}"
    )
    return f"{next(texts, f'{percent:.0f}')} %"
