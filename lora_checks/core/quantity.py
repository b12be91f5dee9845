"""A measured quantity in words: "worst prompt's arcface", "share of images with lpips at most 0.200"."""

from __future__ import annotations

from lora_checks.core.rounding import at_least, at_most
from lora_checks.core.words import number

BASELINE = "baseline"  # the set of images made without the LoRA
WORST = "worst_prompt"
SHARES: tuple[str, ...] = ("share_at_least", "share_at_most")
COUNTED = frozenset(
    {"missing", *SHARES}
)  # counts of images, whose interval is the exact one in `stats.shares`
# The jackknife is inconsistent for order statistics such as the worst prompt, so rows with these stats
# are judged by their value.
STATS_WITH_INTERVAL = frozenset({"mean", *COUNTED})


def counts(value: float, stat: str, at: float) -> bool:
    """Return whether a share counts an image of this value; a value equal to ``at`` always counts."""
    return at_least(value, at) if stat == "share_at_least" else at_most(value, at)


def sentence(metric: str, stat: str, at: float | None, gain: bool, on: str, of_set: bool) -> str:
    """Return the quantity as the subject of a sentence."""
    what = f"gain in {metric}" if gain else metric
    where = f" on {on}" if on else ""
    if stat == "missing":
        return f"share of images with {missing_word(metric)}{where}"
    if stat in SHARES:
        side = "at least" if stat == "share_at_least" else "at most"
        return f"share of images with {what} {side} {number(at)}{where}"
    if stat == WORST:
        return f"worst prompt's {what}{where}"
    return f"{what}{where}" if stat == "mean" and of_set else f"{stat} {what}{where}"


def label(metric: str, stat: str, at: float | None, gain: bool, on: str) -> str:
    """Return the quantity as a short label for a table cell."""
    what = f"{metric} gain" if gain else metric
    if stat in SHARES:
        what = f"share {what} {'>=' if stat == 'share_at_least' else '<='} {number(at)}"
    elif stat != "mean":
        what = f"{stat.replace('_', ' ')} {what}"
    return f"{what} on {on}" if on else what


def missing_word(metric: str) -> str:
    """Return what an image without a value lacks."""
    return "no face" if "face" in metric else "no value"


def prompt_of(image: str) -> str:
    """Return the prompt's id from an image's name, "smiling/2"; the name itself if there is no prompt."""
    return image.rpartition("/")[0] or image
