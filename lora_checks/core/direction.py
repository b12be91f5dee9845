"""Which way a row wants its value: the one rule that judging, comparing, ranking and the reports share."""

from __future__ import annotations

from typing import Literal

from lora_checks.core.records import Better, Measurement, Threshold


def of_row(row: Threshold, measurement: Measurement) -> Better:
    """Return which way a row wants its value: where its only limit points, else where its metric does."""
    return by_limits(row.min, row.max) or by_metric(measurement.stat, measurement.better)


def of_images(low: float | None, high: float | None, stat: str, better: Better) -> Better:
    """Return which way a row wants the values of single images.

    For a share "at most", it is the opposite of what the row wants its own value to be: high values of
    images make such a share low.
    """
    wanted = by_limits(low, high)
    return _through_share(stat, wanted) if wanted else better


def by_limits(low: float | None, high: float | None) -> Better | Literal[""]:
    """Return the way that a row's only limit points; "" for a row with two limits or none.

    The limit outranks the metric: LPIPS falls as pictures become more alike, yet a row against copies has a
    minimum and wants the distance to the training pictures high.
    """
    if (low is None) == (high is None):
        return ""
    return "higher" if high is None else "lower"


def by_metric(stat: str, better: Better) -> Better:
    """Return which values of ``stat`` are better, given which values of the metric are ``better``."""
    if stat == "missing":
        return "lower"
    return _through_share(stat, better)


def worsening(difference: float, better: Better) -> float:
    """Return by how much a value became worse; negative where it became better."""
    return (-difference if better == "higher" else difference) + 0.0


def word(difference: float, better: str) -> Literal["better", "worse"]:
    """Return what a difference other than 0 means."""
    return "better" if (difference > 0) == (better == "higher") else "worse"


def _through_share(stat: str, way: Better) -> Better:
    """Reverse ``way`` for a share "at most", which falls as the values of images rise."""
    if stat != "share_at_most":
        return way
    return "lower" if way == "higher" else "higher"
