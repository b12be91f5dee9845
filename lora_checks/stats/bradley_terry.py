"""Estimate from comparisons of two how often each item is preferred, with prompts as the sampling unit.

The model of Bradley & Terry ("Rank analysis of incomplete block designs", 1952): item i is preferred to item
j with probability 1 / (1 + exp(s_j - s_i)). Strengths are log odds, and their mean is 0. A tie is half a win
for each side; Davidson's model of ties (1970) would need one parameter more. Without ties and prior the
estimate is the maximum of the likelihood.

An item that won every comparison would have an infinite strength. So each strength has a normal prior with
mean 0 and standard deviation `PRIOR`: odds of 20 to 1 against an average item are one deviation away.

The interval is a bootstrap over prompts, because comparisons of one prompt resemble each other. Its tails are
widened for few prompts by Student's t and by sqrt(K / (K - 1)) ("expanded percentile": Hesterberg, "What
teachers should know about the bootstrap", 2015). The estimate lies too far out, and a sample of the bootstrap
lies further out by the same amount, so the percentiles are moved back by twice that. In 400 simulations of 8
to 32 prompts with 4 items that covered the truth in 95 to 98 % at nominal 95 %; the percentiles alone in 91
to 94 % for the first and the last item.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lora_checks.stats.intervals import CONFIDENCE, MIN_PROMPTS, t_quantile

Floats = NDArray[np.float64]

PRIOR = 3.0  # standard deviation of a strength before anything was compared
DRAWS = 2000  # of the bootstrap
CHUNK = 250  # draws that are estimated at once
STEP = 2.0  # the most that one step of Newton's method moves a strength


class Comparison(NamedTuple):
    """One answer to the question which of two items is better."""

    first: str
    second: str
    score: float  # 1: the first is preferred, 0: the second, 0.5: a tie
    prompt: str


@dataclass(frozen=True, slots=True)
class Strength:
    """An item's place in the order of preference.

    ``strength`` is in log odds. ``share`` is the probability of being preferred to another item, averaged
    over the other items. Without an interval the bounds are None.
    """

    item: str
    strength: float
    low: float | None
    high: float | None
    share: float
    share_low: float | None
    share_high: float | None
    compared: int
    surely_above: tuple[str, ...]  # items whose strength is lower by the interval of the difference


def preferences(
    comparisons: Sequence[Comparison], *, confidence: float = CONFIDENCE, draws: int = DRAWS, seed: int = 0
) -> list[Strength]:
    """Return every compared item's strength with its interval, the most preferred first.

    Args:
        comparisons: What was preferred. An answer of several raters to one pair counts once per rater.
        confidence: The probability that an interval holds, two-sided. There is no interval with fewer than
            `MIN_PROMPTS` prompts.
        draws: The number of bootstrap samples.
        seed: Of the bootstrap's random numbers.

    Raises:
        ValueError: There is no comparison, or the items fall into groups that were never compared with each
            other (see `groups`): no order between these groups is known.
    """
    items = sorted({item for one in comparisons for item in (one.first, one.second)})
    parts = groups(comparisons)
    if len(parts) != 1:
        told = " and ".join(f"[{', '.join(part)}]" for part in parts)
        raise ValueError(f"never compared with each other: {told}" if parts else "nothing was compared")
    by_prompt = wins(comparisons, items)
    whole = fit(by_prompt.sum(axis=0))
    drawn = bootstrap(by_prompt, draws, seed) if len(by_prompt) >= MIN_PROMPTS else None
    return sorted(
        (_strength(i, items, whole, drawn, by_prompt, confidence) for i in range(len(items))),
        key=lambda one: -one.strength,
    )


def groups(comparisons: Sequence[Comparison]) -> list[list[str]]:
    """Return the items in groups that are linked by comparisons; a single group can be ordered."""
    group = {item: {item} for one in comparisons for item in (one.first, one.second)}
    for one in comparisons:
        if group[one.first] is not group[one.second]:
            group[one.first] |= group[one.second]
            for item in group[one.second]:
                group[item] = group[one.first]
    return sorted(sorted(part) for part in {id(part): part for part in group.values()}.values())


def wins(comparisons: Sequence[Comparison], items: Sequence[str]) -> Floats:
    """Return (K, L, L): by prompt, how often the item of the row was preferred to that of the column.

    Raises:
        ValueError: A score is outside [0, 1], or an item is compared with itself.
    """
    at = {item: i for i, item in enumerate(items)}
    prompts = {prompt: k for k, prompt in enumerate(sorted({one.prompt for one in comparisons}))}
    counted = np.zeros((len(prompts), len(items), len(items)))
    for one in comparisons:
        if not 0 <= one.score <= 1 or one.first == one.second:
            raise ValueError(f"not a comparison of two items with a score from 0 to 1: {one}")
        k, i, j = prompts[one.prompt], at[one.first], at[one.second]
        counted[k, i, j] += one.score
        counted[k, j, i] += 1 - one.score
    return counted


def fit(won: Floats, prior: float = PRIOR) -> Floats:
    """Return the most probable strengths, (..., L), mean 0, by Newton's method.

    Args:
        won: How often each item of axis -2 was preferred to each of axis -1, (..., L, L).
        prior: The prior's standard deviation in log odds.
    """
    count = won + won.swapaxes(-1, -2)
    strength, ridge = np.zeros(won.shape[:-1]), 1 / prior**2
    eye = np.eye(won.shape[-1])
    for _ in range(200):
        chance = 1 / (1 + np.exp(strength[..., None, :] - strength[..., :, None]))
        slope = (won - count * chance).sum(axis=-1) - ridge * strength
        if np.abs(slope).max(initial=0.0) < 1e-10:
            break
        weight = count * chance * (1 - chance)
        curve = eye * (weight.sum(axis=-1) + ridge)[..., None] - weight
        step = np.linalg.solve(curve, slope[..., None])[..., 0]
        largest = np.abs(step).max(axis=-1, keepdims=True)
        strength = strength + step * np.minimum(1.0, STEP / np.maximum(largest, STEP))
    return np.asarray(strength - strength.mean(axis=-1, keepdims=True))


def bootstrap(by_prompt: Floats, draws: int = DRAWS, seed: int = 0) -> Floats:
    """Return the strengths in samples of as many prompts, drawn with replacement, (draws, L)."""
    k, items = by_prompt.shape[:2]
    times = np.random.default_rng(seed).multinomial(k, np.full(k, 1 / k), size=draws)
    drawn = (times @ by_prompt.reshape(k, -1)).reshape(draws, items, items)
    return np.concatenate([fit(drawn[i : i + CHUNK]) for i in range(0, draws, CHUNK)])


def expanded_tail(prompts: int, tail: float) -> float:
    """Return the quantile of the bootstrap that an end takes, so that it is wrong with chance ``tail``."""
    return NormalDist().cdf(-math.sqrt(prompts / (prompts - 1)) * t_quantile(1 - tail, prompts - 1))


def shares(strength: Floats) -> Floats:
    """Return the mean probability of being preferred to the other items, (..., L)."""
    chance = 1 / (1 + np.exp(strength[..., None, :] - strength[..., :, None]))
    return np.asarray((chance.sum(axis=-1) - 0.5) / (strength.shape[-1] - 1))


def _strength(
    i: int, items: Sequence[str], whole: Floats, drawn: Floats | None, by_prompt: Floats, confidence: float
) -> Strength:
    compared = round(float(by_prompt[:, i].sum() + by_prompt[:, :, i].sum()))
    value, share = float(whole[i]), float(shares(whole)[i])
    if drawn is None:
        return Strength(items[i], value, None, None, share, None, None, compared, ())
    tail = expanded_tail(len(by_prompt), (1 - confidence) / 2)
    low, high = bounds(drawn[:, i], whole[i], tail)
    ends = bounds(_logit(shares(drawn)[:, i]), _logit(shares(whole)[i]), tail)
    share_low, share_high = (1 / (1 + math.exp(-float(end))) for end in ends)
    least, _ = bounds(drawn[:, [i]] - drawn, whole[i] - whole, tail)
    above = tuple(item for item, gap in zip(items, least, strict=True) if gap > 0)
    return Strength(items[i], value, float(low), float(high), share, share_low, share_high, compared, above)


def bounds(drawn: Floats, value: Floats, tail: float) -> tuple[Floats, Floats]:
    """Return the ends of the interval of ``value`` from its bootstrap samples along axis 0."""
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    further = 2 * (drawn.mean(axis=0) - value)
    return np.asarray(low - further), np.asarray(high - further)


def _logit(share: Floats) -> Floats:
    inside = np.clip(share, 1e-12, 1 - 1e-12)
    return np.asarray(np.log(inside / (1 - inside)))
