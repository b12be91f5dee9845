"""Say how far raters agree: each with themselves on repeats, and all of them with each other."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import numpy as np
from numpy.typing import NDArray

from lora_checks.record.shapes.votes import Agreement, CountedShare, Estimate, Rater
from lora_checks.record.votes.answers import Answer, about_loras
from lora_checks.record.votes.book import Vote
from lora_checks.stats import agreement, intervals, shares

TAIL = (1 - intervals.CONFIDENCE) / 2


def raters(votes: Sequence[Vote], answered: Sequence[Answer]) -> list[Rater]:
    """Return each rater's record, by name."""
    return [
        _rater(name, [vote for vote in votes if vote.rater == name], answered)
        for name in sorted({vote.rater for vote in votes})
    ]


def _rater(name: str, votes: Sequence[Vote], answered: Sequence[Answer]) -> Rater:
    choices = [vote.choice for vote in votes]
    sides = choices.count("left") + choices.count("right")
    own = [one for one in answered if one.rater == name]
    before = {one.showing: one.score for one in own if not one.again}
    again = [one.score == before[one.showing] for one in own if one.again and one.showing in before]
    return {
        "name": name,
        "answers": len(choices) - choices.count("skip"),
        "ties": choices.count("tie"),
        "skipped": choices.count("skip"),
        "seconds": float(median(vote.seconds for vote in votes)),
        "left": _share(choices.count("left"), sides),
        "same_again": _share(sum(again), len(again)),
    }


def _share(hits: int, of: int) -> CountedShare | None:
    if not of:
        return None
    low, high = shares.clopper_pearson(hits, of, TAIL)
    return {"hits": hits, "of": of, "low": low, "high": high}


def agree(answered: Sequence[Answer]) -> Agreement | None:
    """Return Krippendorff's alpha; None if no two raters answered the same question, or all said tie."""
    own = about_loras(answered)
    names = sorted({one.rater for one in own})
    by_showing: dict[str, dict[str, float]] = {}
    prompts = {one.showing: one.prompt for one in own}
    for one in own:
        by_showing.setdefault(one.showing, {})[one.rater] = 2 * one.score - 1
    shared = [showing for showing, given in by_showing.items() if len(given) > 1]
    table = np.array([[by_showing[showing].get(name, np.nan) for showing in shared] for name in names])
    value = agreement.alpha_of_pairs(table) if shared else np.nan
    if not np.isfinite(value):
        return None

    def without(keep: NDArray[np.bool_]) -> float:
        return agreement.alpha_of_pairs(table[:, keep])

    alpha = estimate(value, intervals.jackknife(without, [prompts[one] for one in shared]), -1.0, 1.0)
    return {"alpha": alpha, "raters": len(names), "pairs": len(shared)}


def estimate(value: float, interval: intervals.Interval | None, least: float, most: float) -> Estimate:
    """Return a value with its interval, cut to the range that the value can have."""
    if interval is None:
        return {"value": float(value), "low": None, "high": None}
    low, high = (min(max(end, least), most) for end in (interval.low, interval.high))
    return {"value": float(value), "low": float(low), "high": float(high)}
