"""Find weights for ``ranking:`` under which the rows predict what people preferred."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.quantity import STATS_WITH_INTERVAL
from lora_checks.record.ranking.values import better, by_image
from lora_checks.record.shapes.run import Weight
from lora_checks.record.shapes.votes import Weighting
from lora_checks.record.votes.raters import estimate
from lora_checks.record.votes.row_values import Gated, Pair, parts, rows_named
from lora_checks.stats import intervals

Floats = NDArray[np.float64]
FOLDS = 5  # of prompts, each predicted from the others
KNOWN = 0.8  # share of the pairs for which a row must have values
PRIOR = 3.0  # standard deviation of a weight, in log odds from a row's worst LoRA to its best
LEAST = 0.05  # of the largest weight; less is left out


class Scale(NamedTuple):
    """A row's values of the worst and of the best LoRA, which are worth 0 and 1."""

    check: str
    worst: float
    best: float


def weighting(asked: Sequence[Pair], loras: Mapping[str, Gated]) -> Weighting | None:
    """Return weights that are 0 or more, and how often they predict pairs of other prompts.

    None if fewer than `intervals.MIN_PROMPTS` prompts or no row can be used. The weights are empty if their
    predictions are not surely better than chance.
    """
    scales, known, x = _features(asked, loras)
    prompts = [one.prompt for one in known]
    if not scales or len(set(prompts)) < intervals.MIN_PROMPTS:
        return None
    answers = np.array([one.answer for one in known])
    ours, single = _held_out(x, answers, prompts)
    decided = answers != 0
    if not decided.any():
        return None
    own = [prompt for prompt, counts in zip(prompts, decided, strict=True) if counts]
    right, best_right = (
        estimate(float(one.mean()), _interval(one, own), 0.0, 1.0) for one in (ours[decided], single[decided])
    )
    alone = [_right(x[:, k], answers)[decided].mean() for k in range(len(scales))]
    sure = right["low"] is not None and right["low"] > 0.5
    return {
        "weights": _weights(scales, fit(x, answers)) if sure else [],
        "right": right,
        "best_row": scales[int(np.argmax(alone))].check,
        "best_row_right": best_right,
        "pairs": len(own),
    }


def _interval(right: Floats, prompts: Sequence[str]) -> intervals.Interval | None:
    return intervals.jackknife(lambda keep: float(right[keep].mean()), prompts)


def _features(asked: Sequence[Pair], loras: Mapping[str, Gated]) -> tuple[list[Scale], list[Pair], Floats]:
    """Return the usable rows, the pairs with a value of each of them, and the differences (pairs, rows)."""
    values = {scale: parts(loras, scale.check) for scale in _scales(loras)}
    usable = {
        scale: own
        for scale, own in values.items()
        if sum(_has(own, one) for one in asked) >= max(1.0, KNOWN * len(asked))
    }
    known = [one for one in asked if all(_has(own, one) for own in usable.values())]
    columns = [
        [(own[one.first.token] - own[one.second.token]) / (scale.best - scale.worst) for one in known]
        for scale, own in usable.items()
    ]
    return list(usable), known, np.array(columns, dtype=np.float64).reshape(len(usable), len(known)).T


def _has(values: Mapping[str, float], pair: Pair) -> bool:
    return pair.first.token in values and pair.second.token in values


def _scales(loras: Mapping[str, Gated]) -> list[Scale]:
    found = []
    for check, same in rows_named(loras.values()).items():
        values = [m["value"] for row in same if (m := by_image(row)) and m["stat"] in STATS_WITH_INTERVAL]
        known = [value for value in values if value is not None]
        wanted = better(same[0])
        if wanted and same[0]["threshold"] and len(set(known)) > 1 and not same[0].get("change_of"):
            ends = (min(known), max(known)) if wanted == "higher" else (max(known), min(known))
            found.append(Scale(check, *ends))
    return found


def fit(x: Floats, answers: Floats) -> Floats:
    """Return the weights, (K,), 0 or more: Bradley-Terry with the weighted sum of a LoRA's rows as strength.

    Args:
        x: Differences of the pairs' pictures by row, (N, K).
        answers: From -1, the second is preferred, to 1, the first, (N,).
    """
    from scipy.optimize import minimize

    won = (answers + 1) / 2

    def loss(weights: Floats) -> tuple[float, Floats]:
        by = x @ weights
        miss = float((np.logaddexp(0, by) - won * by).sum() + (weights @ weights) / (2 * PRIOR**2))
        slope = x.T @ (1 / (1 + np.exp(-by)) - won) + weights / PRIOR**2
        return miss, slope

    found = minimize(loss, np.full(x.shape[1], 0.1), jac=True, bounds=[(0, None)] * x.shape[1])
    return np.asarray(found.x)


def _held_out(x: Floats, answers: Floats, prompts: Sequence[str]) -> tuple[Floats, Floats]:
    """Return for each pair whether the weights, and the best single row, of the other folds predict it."""
    order = {prompt: i for i, prompt in enumerate(sorted(set(prompts)))}
    fold = np.array([order[prompt] % FOLDS for prompt in prompts])
    ours, single = np.zeros(len(answers)), np.zeros(len(answers))
    for k in range(FOLDS):
        out = fold == k
        if out.any() and not out.all():
            ours[out] = _right(x[out] @ fit(x[~out], answers[~out]), answers[out])
            best = np.argmax([_right(x[~out, j], answers[~out]).mean() for j in range(x.shape[1])])
            single[out] = _right(x[out, best], answers[out])
    return ours, single


def _right(by: Floats, answers: Floats) -> Floats:
    """Return 1 where the sign is that of the answer, 0 where not, 0.5 where it is 0."""
    return np.asarray((np.sign(by) * np.sign(answers) + 1) / 2)


def _weights(scales: Sequence[Scale], weights: Floats) -> list[Weight]:
    shares = weights / weights.max()
    return [
        {"check": scale.check, "weight": round(float(share), 2), "from": start, "to": end}
        for scale, share in zip(scales, shares, strict=True)
        if share >= LEAST
        for start, end in [_short(scale)]
    ]


def _short(scale: Scale) -> tuple[float, float]:
    start, end = (float(f"{value:.3g}") for value in (scale.worst, scale.best))
    return (start, end) if start != end else (scale.worst, scale.best)
