"""(Change, Allowance) -> Verdict of the check "regression-ROW". Pure."""

from __future__ import annotations

from dataclasses import replace

from lora_checks.core.direction import worsening
from lora_checks.core.records import Allowance, Lora, Measurement, Outcome, Threshold, Verdict
from lora_checks.core.words import count, number
from lora_checks.judge import verdict
from lora_checks.record.regression.changes import Change

NAMED = 3  # prompts that worsened most


def judge(
    found: Change,
    allowance: Allowance,
    row: Threshold,
    now: Measurement,
    lora: Lora,
    against: str,
    images: str = "",
) -> Verdict:
    """As `verdict.judge` would judge the difference, its limit being the worsening that is allowed.

    ``row`` and ``now`` are the policy's row and what was measured for it, ``against`` the approved LoRA.
    """
    limit = _limit(found, allowance, row)
    made = verdict.judge(_difference(found, now, against), limit, lora, images)
    if made.outcome is Outcome.ERROR:
        return replace(made, change_of=allowance.row)
    worsened = [list(one) for one in found.prompts if worsening(one[3], found.better) > 0][:NAMED]
    parts = [*_finding(made, found, allowance), clue(found), unpaired(found)]
    if made.outcome is not Outcome.PASS and images:
        parts.append(f"images in {images}")
    reason = "; ".join(part for part in parts if part)
    details = {**made.details, "before": found.before, "value": found.value, "worsened": worsened}
    return replace(made, reason=reason, details=details, change_of=allowance.row)


def _limit(found: Change, allowance: Allowance, row: Threshold) -> Threshold:
    higher = found.better == "higher"
    return Threshold(
        allowance.check,
        f"change of {found.label}",
        f"no more than {number(allowance.allowed)} worse than the last approved release",
        min=-allowance.allowed + 0.0 if higher else None,
        max=None if higher else allowance.allowed,
        rule=allowance.rule,
        max_missing=row.max_missing,
        source=allowance.source,
    )


def _difference(found: Change, now: Measurement, against: str) -> Measurement:
    """The change as a measurement of its own. An image that lost its value is missing."""
    values = [value for _, value in found.per_image]
    worst = found.prompts[0] if found.prompts else None
    return Measurement(
        f"change of {found.label}",
        "mean",
        found.difference,
        found.pairs,
        found.lost,
        found.better,
        now.network,
        now.label,
        f"the approved {against}",
        found.low,
        found.high,
        found.confidence,
        len(found.prompts),
        found.per_image,
        worst=(worst[0], worst[3]) if worst and worsening(worst[3], found.better) > 0 else None,
        extremes=(min(values), max(values)) if values else None,
        sides=found.sides,
    )


def _finding(made: Verdict, found: Change, allowance: Allowance) -> list[str]:
    row, allowed = allowance.row, number(allowance.allowed, (found.worsening,))
    words = moved(found, (allowance.allowed, -allowance.allowed))
    m, limit = made.measurement, made.threshold
    if m and limit and found.lost > limit.max_missing * (m.n + m.missing) + 1e-9:
        return [f"{row}: {verdict.missing_words(found.label, found.lost, m.n)} that had one before"]
    if made.outcome is Outcome.PASS:
        return [f"{row} {words}, where {allowed} worse is allowed"]
    if made.outcome is Outcome.FAIL:
        return [f"{row} {words}: worse by more than the allowed {allowed}"]
    return [
        f"{row} {words}: whether that is worse by more than the allowed {allowed} is not sure",
        _advice(made),
    ]


def _advice(made: Verdict) -> str:
    nouns = {"more_prompts": "more prompt", "more_seeds": "more seed"}
    more = [count(made.details[key], noun) for key, noun in nouns.items() if made.details.get(key)]
    if not more:
        return "it is too close for more prompts to decide"
    return f"about {' or '.join(more)} for both LoRAs would probably decide"


def moved(found: Change, unlike: tuple[float, ...] = ()) -> str:
    """ "0.619 -> 0.588, a change of -0.031 [-0.045, -0.018]"."""
    text = f"{number(found.before, (found.value,))} -> {number(found.value, (found.before,))}"
    text = f"{text}, a change of {number(found.difference, unlike)}"
    if found.low is None or found.high is None:
        return f"{text} (no interval)"
    return f"{text} [{number(found.low, unlike)}, {number(found.high, unlike)}]"


def clue(found: Change) -> str:
    """ "worsened most: red -0.120 (0.630 -> 0.510), blue ..."; "" where nothing did."""
    worst = [one for one in found.prompts if worsening(one[3], found.better) > 0][:NAMED]
    if found.kind == "set":  # a pseudo-value has no meaning of its own
        words = [f"{prompt} by {number(difference)}" for prompt, _, _, difference in worst]
    else:
        words = [f"{prompt} {number(d)} ({number(x)} -> {number(y)})" for prompt, x, y, d in worst]
    return f"worsened most: {', '.join(words)}" if words else ""


def unpaired(found: Change) -> str:
    """Which images took no part; "" where all did."""
    parts = [
        (found.lost, "lost its value", "lost their value"),
        (found.found, "had none before", "had none before"),
        (found.absent, "is of one run only", "are of one run only"),
    ]
    words = [f"{n} {one if n == 1 else many}" for n, one, many in parts if n]
    return f"{count(found.pairs, 'image')} compared, {', '.join(words)}" if words else ""
