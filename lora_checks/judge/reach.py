"""Rows that no LoRA could pass with so few prompts: refused before an image is made."""

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

MOST = 10_000  # prompts; a limit that takes more cannot be shown


def refuse(row: Threshold, metric: Metric, said: PromptSet, due: Mapping[int, float] | None = None) -> None:
    """Raise `ConfigError` for a row that even a LoRA without any fault could not pass.

    Args:
        row: Of the policy. One by `rule: estimate` needs limits that the metric can meet, and no more.
        metric: The row's.
        said: The prompts, of which the row may be about some.
        due: Under ``--lora-until-decided``, look -> confidence of the row's interval there.
    """
    outside = _outside(row, metric)
    if outside:
        raise ConfigError(f"{row.source}: {row.name}: {outside}; choose another limit")
    if row.rule != "bound":
        return
    prompts = arms.number_of(said, row.on) // len(said.seeds)
    if prompts < MIN_PROMPTS:
        raise _error(row, f"'rule: bound' takes {MIN_PROMPTS} prompts or more, and {_about(row, prompts)}")
    if not is_share(row, metric):
        return
    wanted = _Wanted(*_as_shares(row, metric), _level(row, due), len(said.seeds), _moves(row))
    if not wanted.met_by(prompts):
        raise _error(row, _words(row, metric, prompts, wanted))


def _outside(row: Threshold, metric: Metric) -> str:
    """Which limit lies beyond what the metric can be; "" where none does."""
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
    return ConfigError(f"{row.source}: {row.name}: {why}, or use 'rule: estimate', which shows less")


def _about(row: Threshold, prompts: int) -> str:
    tagged = f" with the tag '{row.on}'" if row.on else ""
    return f"the row has {count(prompts, 'prompt')}{tagged}: ask {MIN_PROMPTS - prompts} more"


def _level(row: Threshold, due: Mapping[int, float] | None) -> float:
    """The chance that an end of the interval is wrong, at the look that is the least strict.

    A gain has a bound up and one down, at half of it each.
    """
    sides = 2 if row.min is not None and row.max is not None else 1
    confidence = CONFIDENCE if due is None else min(due.values())
    return (1 - confidence) / sides / (2 if _moves(row) else 1)


def _as_shares(row: Threshold, metric: Metric) -> tuple[float | None, float | None]:
    """The row's limits as those of a share of images."""
    least, most = _span(row, metric)
    share = [None if limit is None else (limit - least) / (most - least) for limit in (row.min, row.max)]
    return share[0], share[1]


def _moves(row: Threshold) -> bool:
    """Whether the value is a mean of differences; a share of images that gained so much is a plain share."""
    return row.gain and row.stat not in quantity.COUNTED


def _span(row: Threshold, metric: Metric) -> tuple[float, float]:
    """The least and the largest value that the row can have."""
    low, high = (0.0, 1.0) if row.stat in quantity.COUNTED else metric.range
    return (low - high, high - low) if _moves(row) else (low, high)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The limits of a share, and how sure its bounds are."""

    low: float | None
    high: float | None
    level: float
    seeds: int
    gain: bool

    def farthest(self, prompts: int) -> float:
        """How far from 0, or from 1, the bound is where no image, or each, is counted.

        Several images of a prompt that agree count once.
        """
        return float(1 - self.level ** (1 / prompts))

    def met_by(self, prompts: int) -> bool:
        """Whether some number of images would have its interval inside the limits."""
        farthest = self.farthest(prompts)
        if self.low is None or self.high is None:
            met = self.low is None or at_least(1 - farthest, self.low)
            return met and (self.high is None or at_most(farthest, self.high))
        if self.gain:  # no interval of a gain is narrower
            return at_most(farthest, self.high - self.low)
        return _fits(self.low, self.high, prompts * self.seeds, self.level)

    def least(self) -> int | None:
        """The least number of prompts that could pass; None where no number could."""
        if not self.met_by(MOST):
            return None
        enough, short = MOST, MIN_PROMPTS - 1
        while enough - short > 1:
            middle = (enough + short) // 2
            enough, short = (middle, short) if self.met_by(middle) else (enough, middle)
        return enough


def _fits(low: float, high: float, images: int, level: float) -> bool:
    """Whether some number of hits among so many images has its interval between the two."""
    fewest, most = 0, images  # the least number whose interval begins at ``low`` or above
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
    asked = " and ".join(f"{side} {number(limit)}" for side, limit in limits)
    best, least = _at_best(row, metric, prompts, wanted), wanted.least()
    found = f"{count(prompts, 'prompt')} cannot show {asked} for {what}: {best}"
    if least is None:
        return f"{found}, and no number of prompts can; choose another limit"
    return f"{found}; ask {least} prompts or more, choose another limit"


def _at_best(row: Threshold, metric: Metric, prompts: int, wanted: _Wanted) -> str:
    """What a LoRA without fault would show."""
    if row.min is not None and row.max is not None:
        return "the interval is wider than that"
    least, most = _span(row, metric)
    end = (most - least) * wanted.farthest(prompts)
    if row.max is not None:
        found = f"at most {number(least + end, (row.max,))}"
        return f"the best LoRA shows {found}" if _moves(row) else f"0 of {prompts} shows {found}"
    found = f"at least {number(most - end, (row.min,))}"
    return f"the best LoRA shows {found}" if _moves(row) else f"{prompts} of {prompts} shows {found}"
