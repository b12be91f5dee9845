"""Refuse rows that no LoRA could pass with so few prompts, before any image is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lora_checks.core import quantity
from lora_checks.core.errors import ConfigError
from lora_checks.core.records import Metric, PromptSet, Threshold
from lora_checks.core.rounding import at_least, at_most
from lora_checks.core.words import count, number
from lora_checks.judge.row_fit import is_share
from lora_checks.policy import arms
from lora_checks.stats import shares
from lora_checks.stats.intervals import CONFIDENCE, MIN_PROMPTS

MOST = 10_000  # prompts; a limit that needs more is out of reach


def refuse(
    row: Threshold, metric: Metric, prompts: PromptSet, due: Mapping[int, float] | None = None
) -> None:
    """Raise `ConfigError` for a row that even a perfect LoRA could not pass.

    Args:
        row: The row of the policy. With `rule: estimate` it only needs limits that the metric can meet.
        metric: The row's metric.
        prompts: The prompts of the run; the row may be about some of them.
        due: Under ``--lora-until-decided``, the confidence of the row's interval at each interim analysis.
    """
    outside = _outside(row, metric)
    if outside:
        raise ConfigError(f"{row.source}: {row.name}: {outside}; choose another limit")
    if row.rule != "bound":
        return
    seeds = len(prompts.seeds)
    asked = arms.number_of(prompts, row.on) // seeds
    if asked < MIN_PROMPTS:
        raise _error(row, f"'rule: bound' takes {MIN_PROMPTS} prompts or more, and {_about(row, asked)}")
    if not is_share(row, metric):
        return
    wanted = _Wanted(*as_shares(row, metric), _level(row, due), seeds, is_difference(row))
    if not wanted.met_by(asked):
        raise _error(row, _words(row, metric, asked, wanted))


def _outside(row: Threshold, metric: Metric) -> str:
    """Say which limit lies beyond the metric's range; "" if none does."""
    if row.stat in quantity.COUNTED:
        return ""
    least, most = _span(row, metric)
    what = quantity.sentence(row.metric, "mean", None, row.gain, "", of_set=True)
    if row.min is not None and not at_least(most, row.min):
        return f"no {what} can reach min {number(row.min)}: it is {number(most)} at most"
    if row.max is not None and not at_most(least, row.max):
        return f"no {what} can reach max {number(row.max)}: it is {number(least)} at least"
    return ""


def _error(row: Threshold, why: str) -> ConfigError:
    return ConfigError(f"{row.source}: {row.name}: {why}, or use 'rule: estimate', which proves less")


def _about(row: Threshold, prompts: int) -> str:
    tagged = f" with the tag '{row.on}'" if row.on else ""
    return f"the row has {count(prompts, 'prompt')}{tagged}: add {MIN_PROMPTS - prompts} more"


def _level(row: Threshold, due: Mapping[int, float] | None) -> float:
    """Return the chance that an end of the interval is wrong, at the least strict interim analysis.

    A gain combines two bounds, one for the images that improved and one for those that got worse, each at
    half that chance.
    """
    sides = 2 if row.min is not None and row.max is not None else 1
    confidence = CONFIDENCE if due is None else min(due.values())
    return (1 - confidence) / sides / (2 if is_difference(row) else 1)


def as_shares(row: Threshold, metric: Metric) -> tuple[float | None, float | None]:
    """Return the row's limits as limits of a share of images."""
    least, most = _span(row, metric)
    share = [None if limit is None else (limit - least) / (most - least) for limit in (row.min, row.max)]
    return share[0], share[1]


def is_difference(row: Threshold) -> bool:
    """Return whether the value is a mean of differences; a share of images that gain enough is not."""
    return row.gain and row.stat not in quantity.COUNTED


def _span(row: Threshold, metric: Metric) -> tuple[float, float]:
    """Return the least and the largest value that the row can have."""
    low, high = (0.0, 1.0) if row.stat in quantity.COUNTED else metric.range
    return (low - high, high - low) if is_difference(row) else (low, high)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A share's limits and the level of its bounds."""

    low: float | None
    high: float | None
    level: float
    seeds: int
    gain: bool

    def farthest(self, prompts: int) -> float:
        """Return how far the bound is from 0 if no image is counted, or from 1 if every image is.

        Images of one prompt that agree count once.
        """
        return float(1 - self.level ** (1 / prompts))

    def met_by(self, prompts: int) -> bool:
        """Return whether some number of counted images has its interval inside the limits."""
        farthest = self.farthest(prompts)
        if self.low is None or self.high is None:
            met = self.low is None or at_least(1 - farthest, self.low)
            return met and (self.high is None or at_most(farthest, self.high))
        if self.gain:  # the interval of a gain is never narrower
            return at_most(farthest, self.high - self.low)
        return _fits(self.low, self.high, prompts * self.seeds, self.level)

    def least(self) -> int | None:
        """Return the least number of prompts with which the row can pass; None if no number is enough."""
        if not self.met_by(MOST):
            return None
        enough, short = MOST, MIN_PROMPTS - 1
        while enough - short > 1:
            middle = (enough + short) // 2
            enough, short = (middle, short) if self.met_by(middle) else (enough, middle)
        return enough


def _fits(low: float, high: float, images: int, level: float) -> bool:
    """Return whether some number of hits among the images has its interval between the limits."""
    fewest, most = 0, images  # search the least number whose interval begins at ``low`` or above
    while fewest < most:
        middle = (fewest + most) // 2
        if at_least(shares.clopper_pearson(middle, images, level)[0], low):
            most = middle
        else:
            fewest = middle + 1
    ends = shares.clopper_pearson(fewest, images, level)
    return at_least(ends[0], low) and at_most(ends[1], high)


def _words(row: Threshold, metric: Metric, prompts: int, wanted: _Wanted) -> str:
    what = quantity.sentence(row.metric, row.stat, row.at, row.gain, row.on, of_set=False)
    limits = [(side, limit) for side, limit in (("min", row.min), ("max", row.max)) if limit is not None]
    wish = " and ".join(f"{side} {number(limit)}" for side, limit in limits)
    best, least = _at_best(row, metric, prompts, wanted), wanted.least()
    problem = f"{count(prompts, 'prompt')} cannot show {wish} for {what}: {best}"
    if least is None:
        return f"{problem}, and no number of prompts can; choose another limit"
    return f"{problem}; use {least} prompts or more, choose another limit"


def _at_best(row: Threshold, metric: Metric, prompts: int, wanted: _Wanted) -> str:
    """Say what a perfect LoRA would show."""
    if row.min is not None and row.max is not None:
        return "the interval is wider than that"
    least, most = _span(row, metric)
    end = (most - least) * wanted.farthest(prompts)
    if row.max is not None:
        bound = f"at most {number(least + end, (row.max,))}"
        return f"the best LoRA shows {bound}" if is_difference(row) else f"0 of {prompts} shows {bound}"
    bound = f"at least {number(most - end, (row.min,))}"
    return f"the best LoRA shows {bound}" if is_difference(row) else f"{prompts} of {prompts} shows {bound}"
