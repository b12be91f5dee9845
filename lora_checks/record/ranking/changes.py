"""Decide whether a row changed between two LoRAs by more than it varies from prompt to prompt."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lora_checks.record.ranking.entry import Entry
from lora_checks.record.ranking.values import better, by_prompt, whole
from lora_checks.stats import intervals


class Change(NamedTuple):
    """A row's value at an earlier and at a later LoRA."""

    check: str
    before: float
    after: float
    sign: int  # 1: surely better; -1: surely worse; 0: not sure


def change(
    check: str, before: Entry, after: Entry, tail: float, prompts: Collection[str] | None
) -> Change | None:
    """Compare a row of two LoRAs, paired by prompt.

    Args:
        check: the name of the row.
        before: the earlier LoRA.
        after: the later LoRA.
        tail: the chance of a wrong "worse", and of a wrong "better".
        prompts: the prompts to use; None for all. Prompts that chose the LoRA are biased.

    Returns:
        The change; None if either LoRA lacks a value, or if both have values for fewer than
        `intervals.MIN_PROMPTS` prompts.
    """
    rows = before.rows.get(check), after.rows.get(check)
    wholes, parts = [whole(row) for row in rows], [by_prompt(row) for row in rows]
    shared = sorted(p for p in parts[0].keys() & parts[1].keys() if prompts is None or p in prompts)
    if rows[0] is None or wholes[0] is None or wholes[1] is None or len(shared) < intervals.MIN_PROMPTS:
        return None
    differences = np.array([parts[1][prompt] - parts[0][prompt] for prompt in shared])
    upwards = {"higher": 1, "lower": -1}.get(better(rows[0]), 0)
    return Change(check, wholes[0].value, wholes[1].value, upwards * _sign(differences, tail))


def _sign(differences: NDArray[np.float64], tail: float) -> int:
    """Return the sign of the mean if it is surely not 0, else 0.

    Use Student's t: the differences of two similar LoRAs scatter evenly about 0, so there is no skewness to
    correct. `intervals.mean_interval` corrects for it, which puts its ends far out at the small ``tail`` of
    many comparisons.
    """
    k, mean, spread = len(differences), float(differences.mean()), float(differences.std(ddof=1))
    if abs(mean) <= intervals.t_quantile(1 - tail, k - 1) * spread / math.sqrt(k):
        return 0
    return 1 if mean > 0 else -1
