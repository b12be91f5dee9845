"""Say why a row ended as it did, in a sentence for people who do not know the metrics.

The numbers are those of the row; the gate's own reason, which the terminal shows, stays beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lora_checks.core import quantity
from lora_checks.core.quantity import SHARES, missing_word
from lora_checks.core.words import count, number
from lora_checks.record import rows
from lora_checks.record.shapes import Row
from lora_checks.record.shapes.rows import Measurement, Threshold

PLAIN = {
    "aesthetic": "how pleasing the pictures look",
    "arcface": "the likeness of the face",
    "arcface_centroid": "the likeness of the face",
    "brightness": "brightness",
    "clip_choice": "the share of images that show the wanted text",
    "clip_i": "the likeness to {others}",
    "clip_s": "the agreement with the prompt",
    "clip_score": "the agreement with the prompt",
    "contrast": "contrast",
    "dino": "the likeness to {others}",
    "face_pitch": "the degrees by which faces look up",
    "face_pitch_spread": "how much faces look up and down, beside the references",
    "face_roll": "the degrees by which faces are tilted clockwise",
    "face_yaw": "the degrees by which faces turn to the right",
    "face_yaw_spread": "how much faces turn, beside the references",
    "faces": "the number of faces",
    "lpips": "the difference from {others}",
    "lpips_diversity": "the difference between seeds of a prompt",
    "ms_ssim": "the likeness to {others}",
    "nearest_other": "the likeness of each image to the nearest other image",
    "nearest_sibling": "the likeness of each image to the other seeds of its prompt",
    "sface": "the likeness of the face",
    "sface_centroid": "the likeness of the face",
    "sharpness": "sharpness",
    "similarity": "the likeness to {others}",
    "ssim": "the likeness to {others}",
    "trunk_distance": "the difference from {others}",
    "unsafe": "the probability of being unsafe",
    "vendi": "the variety of the images",
}
OTHERS = {"references": "the references", "train": "the training pictures", "baseline": "the base's pictures"}
# Metrics that are 0 or 1 for each image: the value that counts against it, and what such an image does.
TWO_VALUED = {
    "authenticity": (0.0, "copy a training picture"),
    "clip_choice": (0.0, "show another text than the wanted one"),
    "flat": (1.0, "are black, white or plain"),
}
ALIKE = frozenset(
    {
        *("arcface", "arcface_centroid", "sface", "sface_centroid"),
        *("clip_i", "dino", "similarity", "ssim", "ms_ssim"),
    }
)
APART = frozenset({"lpips", "trunk_distance", "copy_ratio"})
ORDINAL = {
    "min": "the lowest image's value of ",
    "max": "the highest image's value of ",
    "median": "the median of ",
}


def prose(row: Row) -> str:
    """Return the reason of a row in plain words; the row's own reason where there is no measurement."""
    m, threshold = row["measurement"], row["threshold"]
    if m is None or threshold is None or m["waiting"] or row["outcome"] == "ERROR" or row.get("change_of"):
        return _sentence(rows.reason(row))
    if threshold["min"] is None and threshold["max"] is None:
        return _sentence(rows.reason(row))
    if lost := _too_many_missing(m, threshold):
        return _sentence(lost)
    counted = _counted(m, threshold)
    return _sentence(counted or _measured(row, m, threshold)) + _hint(row)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def _too_many_missing(m: Measurement, threshold: Threshold) -> str:
    """Say how many images have no value, if more than the row allows."""
    total = m["n"] + m["missing"]
    if m["stat"] == "missing" or m["missing"] <= threshold["max_missing"] * total + 1e-9:
        return ""
    allowed = math.floor(threshold["max_missing"] * total + 1e-9)
    return f"{m['missing']} of {count(total, 'image')} have {missing_word(m['metric'])}; {_may(allowed)}"


def _counted(m: Measurement, threshold: Threshold) -> str:
    """Count the images that a row is about: "10 of 12 images copy a training picture; at most 2 may"."""
    bad, what, most = _images_against(m, threshold)
    if not what:
        return ""
    values = [value for _, value in m["per_image"]]
    total = len(values) if m["stat"] == "missing" else sum(value is not None for value in values)
    if not total:
        return ""
    head = f"{bad} of {count(total, 'image')}{_on(m)} {what if bad != 1 else _singular(what)}"
    if threshold["rule"] == "bound":
        allowed = f"at most {_percent(most)} may, and the images must show that beyond chance"
        return f"{head} ({100 * bad / total:.0f} %); {allowed}"
    return f"{head}; {_may(math.floor(most * total + 1e-9))}"


def _images_against(m: Measurement, threshold: Threshold) -> tuple[int, str, float]:
    """Return how many images count against the LoRA, what they do, and the greatest share that may."""
    least, most = threshold["min"], threshold["max"]
    if (least is None) == (most is None):
        return 0, "", 0.0
    values = [value for _, value in m["per_image"]]
    there = [value for value in values if value is not None]
    if m["stat"] == "missing":
        return (
            (values.count(None), f"have {missing_word(m['metric'])}", most)
            if most is not None
            else (0, "", 0)
        )
    if m["stat"] == "mean" and m["metric"] in TWO_VALUED and not m["gain"]:
        against, what = TWO_VALUED[m["metric"]]
        limit = (1 - least if least is not None else None) if against == 0 else most
        return (there.count(against), what, limit) if limit is not None else (0, "", 0.0)
    if m["stat"] not in SHARES or m["at"] is None:
        return 0, "", 0.0
    hits = sum(quantity.counts(value, m["stat"], m["at"]) for value in there)
    if most is not None:  # images that the share counts are unwanted
        return hits, _does(m, m["stat"] == "share_at_least", inclusive=True), most
    assert least is not None
    return len(there) - hits, _does(m, m["stat"] == "share_at_most", inclusive=False), 1 - least


def _does(m: Measurement, high: bool, inclusive: bool) -> str:
    """Return what an image on the unwanted side of ``at`` does."""
    at = number(m["at"])
    side = {
        (True, True): "at least",
        (True, False): "above",
        (False, True): "at most",
        (False, False): "below",
    }
    against = _others(m)
    near = m["metric"] in (ALIKE if high else APART)
    bound = f"{side[high, inclusive]} {at}"
    if near and (against == "train" or m["metric"] == "copy_ratio") and not m["gain"]:
        return f"copy a training picture ({m['metric']} {bound})"
    if m["gain"]:
        return f"gain {bound} over the base in {_name(m)}"
    return f"score {bound} on {_name(m)}"


def _singular(what: str) -> str:
    verb, _, rest = what.partition(" ")
    return f"{ {'have': 'has', 'are': 'is', 'copy': 'copies'}.get(verb, f'{verb}s') } {rest}".strip()


def _measured(row: Row, m: Measurement, threshold: Threshold) -> str:
    """Return "on average, ... is 0.412; at least 0.500 is needed"."""
    limits = (threshold["min"], threshold["max"])
    if m["gain"] and m["stat"] == "mean":
        return _gained(row, m, threshold)
    value = number(m["value"], limits)
    name = _name(m)
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


def _gained(row: Row, m: Measurement, threshold: Threshold) -> str:
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
    text = f"compared with the base, {_name(m)} is {change} on average{_on(m)}"
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
    return f" (chance allows {number(m['low'], limits)} to {number(m['high'], limits)})"


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


def _name(m: Measurement) -> str:
    plain = PLAIN.get(m["metric"], "")
    others = OTHERS.get(_others(m), _others(m) or "the others")
    return f"{plain.format(others=others)} ({m['metric']})" if plain else m["metric"]


def _others(m: Measurement) -> str:
    """Return the folder that was compared with, without its number of pictures."""
    return m["against"].partition(" (")[0]


def _on(m: Measurement) -> str:
    return f" on {m['on']}" if m["on"] else ""


def _may(allowed: int) -> str:
    return f"at most {allowed} may" if allowed else "none may"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
