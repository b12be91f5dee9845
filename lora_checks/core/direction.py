"""Which way a row wants its value: the one rule that judging, comparing, ranking and the reports share."""

from __future__ import annotations

from typing import Literal

from lora_checks.core.records import Better, Measurement, Threshold


def of_row(row: Threshold, measurement: Measurement) -> Better:
    """Return which way a row wants its value: as its only limit points, else as its metric does."""
    return by_limits(row.min, row.max) or by_metric(measurement.stat, measurement.better)


def of_images(low: float | None, high: float | None, stat: str, better: Better) -> Better:
    """Return which way a row wants the values of single images.

    That is not the way of the row's value where it is a share "at most": high values make such a share low.
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
    """Return which value of ``stat`` is better, where ``better`` is which value of the metric is."""
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
    """Turn ``way`` round between the values of images and the share of them that are at most something."""
    if stat != "share_at_most":
        return way
    return "lower" if way == "higher" else "higher"
