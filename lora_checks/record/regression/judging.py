"""Judge a change against its allowance: the verdict of the check "regression-ROW". Pure."""

from __future__ import annotations

from dataclasses import replace

from lora_checks.core.direction import worsening
from lora_checks.core.records import Allowance, Lora, Measurement, Outcome, Threshold, Verdict
from lora_checks.core.words import count, number
from lora_checks.judge import verdict
from lora_checks.record.regression.changes import Change

NAMED = 3  # of the prompts that worsened most


def judge(
    change: Change,
    allowance: Allowance,
    row: Threshold,
    now: Measurement,
    lora: Lora,
    against: str,
    images: str = "",
) -> Verdict:
    """Judge a difference as `verdict.judge` does, with the allowed worsening as its limit.

    Args:
        change: the difference from the approved LoRA.
        allowance: the worsening that the policy allows.
        row: the policy's row.
        now: what was measured for it.
        lora: the LoRA of this run.
        against: the approved LoRA.
        images: the folder of images that a reason names.
    """
    limit = _limit(change, allowance, row)
    judged = verdict.judge(_difference(change, now, against), limit, lora, images)
    if judged.outcome is Outcome.ERROR:
        return replace(judged, change_of=allowance.row)
    worsened = [list(prompt) for prompt in _worsened(change)]
    parts = [*_finding(judged, change, allowance), clue(change), unpaired(change)]
    if judged.outcome is not Outcome.PASS and images:
        parts.append(f"images in {images}")
    reason = "; ".join(part for part in parts if part)
    details = {**judged.details, "before": change.before, "value": change.value, "worsened": worsened}
    return replace(judged, reason=reason, details=details, change_of=allowance.row)


def _worsened(change: Change) -> list[tuple[str, float, float, float]]:
    """Return the prompts that worsened most."""
    return [prompt for prompt in change.prompts if worsening(prompt[3], change.better) > 0][:NAMED]


def _limit(change: Change, allowance: Allowance, row: Threshold) -> Threshold:
    higher = change.better == "higher"
    return Threshold(
        allowance.check,
        f"change of {change.label}",
        f"no more than {number(allowance.allowed)} worse than the last approved release",
        min=-allowance.allowed + 0.0 if higher else None,
        max=None if higher else allowance.allowed,
        rule=allowance.rule,
        max_missing=row.max_missing,
        source=allowance.source,
    )


def _difference(change: Change, now: Measurement, against: str) -> Measurement:
    """Return the change as a measurement, in which an image that lost its value is missing."""
    values = [value for _, value in change.per_image]
    worst = change.prompts[0] if change.prompts else None
    return Measurement(
        f"change of {change.label}",
        "mean",
        change.difference,
        change.pairs,
        change.lost,
        change.better,
        now.network,
        now.label,
        f"the approved {against}",
        change.low,
        change.high,
        change.confidence,
        len(change.prompts),
        change.per_image,
        worst=(worst[0], worst[3]) if worst and worsening(worst[3], change.better) > 0 else None,
        extremes=(min(values), max(values)) if values else None,
        sides=change.sides,
    )


def _finding(judged: Verdict, change: Change, allowance: Allowance) -> list[str]:
    row, allowed = allowance.row, number(allowance.allowed, (change.worsening,))
    words = moved(change, (allowance.allowed, -allowance.allowed))
    m, limit = judged.measurement, judged.threshold
    if m and limit and change.lost > limit.max_missing * (m.n + m.missing) + 1e-9:
        return [f"{row}: {verdict.missing_words(change.label, change.lost, m.n)} that had one before"]
    if judged.outcome is Outcome.PASS:
        return [f"{row} {words}, where {allowed} worse is allowed"]
    if judged.outcome is Outcome.FAIL:
        return [f"{row} {words}: worse by more than the allowed {allowed}"]
    return [
        f"{row} {words}: whether that is worse by more than the allowed {allowed} is not sure",
        _advice(judged),
    ]


def _advice(judged: Verdict) -> str:
    nouns = {"more_prompts": "more prompt", "more_seeds": "more seed"}
    more = [count(judged.details[key], noun) for key, noun in nouns.items() if judged.details.get(key)]
    if not more:
        return "it is too close for more prompts to decide"
    return f"about {' or '.join(more)} for both LoRAs would probably decide"


def moved(change: Change, unlike: tuple[float, ...] = ()) -> str:
    """Return "0.619 -> 0.588, a change of -0.031 [-0.045, -0.018]"."""
    text = f"{number(change.before, (change.value,))} -> {number(change.value, (change.before,))}"
    text = f"{text}, a change of {number(change.difference, unlike)}"
    if change.low is None or change.high is None:
        return f"{text} (no interval)"
    return f"{text} [{number(change.low, unlike)}, {number(change.high, unlike)}]"


def clue(change: Change) -> str:
    """Return "worsened most: red -0.120 (0.630 -> 0.510), blue ..."; "" if nothing worsened."""
    worst = _worsened(change)
    if change.kind == "set":  # a pseudo-value has no meaning of its own
        words = [f"{prompt} by {number(difference)}" for prompt, _, _, difference in worst]
    else:
        words = [f"{prompt} {number(d)} ({number(x)} -> {number(y)})" for prompt, x, y, d in worst]
    return f"worsened most: {', '.join(words)}" if words else ""


def unpaired(change: Change) -> str:
    """Say which images took no part; "" if all did."""
    parts = [
        (change.lost, "lost its value", "lost their value"),
        (change.found, "had none before", "had none before"),
        (change.absent, "is of one run only", "are of one run only"),
    ]
    words = [f"{n} {one if n == 1 else many}" for n, one, many in parts if n]
    return f"{count(change.pairs, 'image')} compared, {', '.join(words)}" if words else ""
