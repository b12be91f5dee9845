"""Judge a measurement by its row, and a run by its verdicts. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lora_checks.core import direction, quantity
from lora_checks.core.quantity import missing_word
from lora_checks.core.records import Lora, Measurement, Outcome, Threshold, Verdict
from lora_checks.core.rounding import at_least, at_most, slack
from lora_checks.core.words import count, number
from lora_checks.judge import advice
from lora_checks.stats import floors, intervals

RunOutcome = Literal["PASS", "FAIL", "ERROR", "INCONCLUSIVE", "INCOMPLETE"]


def judge(measurement: Measurement, threshold: Threshold, lora: Lora, images: str = "") -> Verdict:
    """Judge one row. A value equal to its limit passes.

    ``rule: estimate`` judges the value. ``rule: bound`` judges the interval ``[low, high]``: PASS if it is
    wholly inside the limits, FAIL if wholly outside, else INCONCLUSIVE. A row with one limit is judged by
    one-sided bounds, so that a wrong PASS and a wrong FAIL each have a chance of at most 5 %; a row with two
    limits by a two-sided interval, with 2.5 % at each limit.

    Args:
        measurement: What was measured.
        threshold: The row.
        lora: The LoRA under test.
        images: The folder in which a person can see the images.
    """
    outcome, finding, details = _decide(measurement, threshold)
    parts = [finding]
    if outcome in (Outcome.FAIL, Outcome.INCONCLUSIVE):
        parts += _clues(measurement)
    if outcome is not Outcome.PASS and images:
        parts.append(f"images in {images}")
    return Verdict(
        lora=lora.name,
        lora_sha256=lora.sha256,
        check=threshold.name,
        outcome=outcome,
        reason="; ".join(parts),
        required=threshold.required,
        threshold=threshold,
        measurement=measurement,
        images=images,
        details=details,
    )


def error(lora_name: str, sha256: str, check: str, threshold: Threshold | None, reason: str) -> Verdict:
    """Return the verdict of a row that could not be measured."""
    required = threshold.required if threshold is not None else True
    return Verdict(lora_name, sha256, check, Outcome.ERROR, reason, required, threshold)


@dataclass(frozen=True, slots=True)
class RunResult:
    """The outcome of a run."""

    outcome: RunOutcome
    missing: tuple[tuple[str, str], ...] = ()  # required (LoRA, check) pairs that have no verdict


def passed(verdicts: Sequence[Verdict], required: Iterable[tuple[str, str]]) -> RunResult:
    """Return the outcome of a run: PASS only if there are required rows and all of them passed.

    FAIL outweighs ERROR, because the LoRA is refused whatever the other rows would have shown.

    Args:
        verdicts: All verdicts of the run.
        required: The pairs (LoRA, check) that need a verdict.
    """
    wanted = tuple(dict.fromkeys(required))
    pairs = set(wanted)
    judged = {(v.lora, v.check) for v in verdicts}
    missing = tuple(pair for pair in wanted if pair not in judged)
    counted = {v.outcome for v in verdicts if v.required or (v.lora, v.check) in pairs}
    if Outcome.FAIL in counted:
        return RunResult("FAIL", missing)
    if Outcome.ERROR in counted:
        return RunResult("ERROR", missing)
    if Outcome.INCONCLUSIVE in counted:
        return RunResult("INCONCLUSIVE", missing)
    return RunResult("INCOMPLETE" if missing or not wanted else "PASS", missing)


def band(threshold: Threshold, measurement: Measurement) -> str:
    """Return the policy's word for the value ("good"); "" if it has none."""
    if not threshold.bands or not math.isfinite(measurement.value):
        return ""
    sign = 1 if direction.by_metric(measurement.stat, measurement.better) == "lower" else -1
    bands = sorted(threshold.bands, key=lambda word_and_limit: sign * word_and_limit[1])
    for word, limit in bands:
        if at_most(sign * measurement.value, sign * limit):
            return word
    return f"worse than {bands[-1][0]}"


def margin(measurement: Measurement, threshold: Threshold) -> float | None:
    """Return the distance to the nearest limit in the metric's unit; negative outside."""
    distances = []
    for sign, limit in ((1, threshold.min), (-1, threshold.max)):
        if limit is not None:
            distance = sign * (measurement.value - limit)
            distances.append(0.0 if abs(distance) <= slack(limit) else distance)
    return min(distances, default=None)


Decision = tuple[Outcome, str, dict[str, Any]]  # outcome, reason, details of the verdict


def _decide(m: Measurement, t: Threshold) -> Decision:
    trouble = _trouble(m, t)
    if trouble:
        return Outcome.ERROR, trouble, {}
    if m.waiting:
        return Outcome.INCONCLUSIVE, f"{_subject(m, t)} was not judged: {m.waiting}", {}
    if too_many_missing(m, t):
        allowed = math.floor(t.max_missing * (m.n + m.missing) + 1e-9)
        return Outcome.FAIL, f"{missing_words(m.metric, m.missing, m.n)}, {allowed} allowed", {}
    if t.rule == "bound":
        return _decide_bound(m, t)
    if _inside(m.value, t):
        return Outcome.PASS, f"{_subject(m, t)} meets {limits(t.min, t.max, m.value)}", {}
    return Outcome.FAIL, f"{_subject(m, t)} is {_beyond(m, t)}", {}


def _trouble(m: Measurement, t: Threshold) -> str:
    """Say why these numbers cannot be judged; "" if they can."""
    asked, got = (quantity.sentence(x.metric, x.stat, x.at, x.gain, x.on, of_set=False) for x in (t, m))
    if asked != got:
        return f"the row asks for {asked}, but {got} was measured"
    if t.calibrated_on is not None and t.calibrated_on.identity != m.network:
        return (
            f"the limits were calibrated on {t.calibrated_on.identity}, but {m.network} was measured; "
            "calibrate the row again"
        )
    if t.min is None and t.max is None:
        return "the row has neither min nor max"
    if not all(math.isfinite(limit) for limit in (t.min, t.max, t.max_missing) if limit is not None):
        return "a limit of the row is not a finite number"
    if m.n + m.missing == 0:
        return f"no image was measured for {m.metric}"
    if not math.isfinite(m.value) and not (m.n == 0 and too_many_missing(m, t)):
        return f"{_name(m)} is {m.value}, not a number that can be judged"
    return _under_floor(m, t)


def _under_floor(m: Measurement, t: Threshold) -> str:
    """Say why no LoRA could meet the row; "" if one could."""
    if m.floor is None or t.max is None or m.better != "lower" or at_least(t.max, m.floor):
        return ""
    return floors.unreachable(m.metric, t.max, m.floor, m.n, m.against)


def too_many_missing(m: Measurement, t: Threshold) -> bool:
    """Return whether more images have no value than the row allows."""
    return t.stat != "missing" and m.missing > t.max_missing * (m.n + m.missing) + 1e-9


def _decide_bound(m: Measurement, t: Threshold) -> Decision:
    low, high = m.low, m.high
    if low is None or high is None or not math.isfinite(high - low) or m.prompts < intervals.MIN_PROMPTS:
        return Outcome.ERROR, f"'rule: bound' needs an interval, and {_no_interval(m)}", {}
    if t.min is not None and t.max is not None and m.sides == 1:
        return (
            Outcome.ERROR,
            "a row with two limits needs a two-sided interval, but one-sided bounds were measured",
            {},
        )
    ending = "" if m.sides == 1 else " with its whole interval"
    if _inside(low, t) and _inside(high, t):
        ends = bound_words(low, high, t.min, t.max) if m.sides == 1 else None
        return Outcome.PASS, f"{_subject(m, t, ends)} meets {limits(t.min, t.max, m.value)}{ending}", {}
    if (t.min is not None and not at_least(high, t.min)) or (t.max is not None and not at_most(low, t.max)):
        ends = bound_words(low, high, t.max, t.min) if m.sides == 1 else None
        return Outcome.FAIL, f"{_subject(m, t, ends)} is {_beyond(m, t)}{ending}", {}
    return _undecided(m, t, low, high)


def bound_words(low: float, high: float, above: float | None, below: float | None) -> str:
    """Name the end of the interval that was compared with a limit: "at least 0.550" for a limit below it."""
    if above is not None:
        return f"at least {number(low, (above,))}"
    return f"at most {number(high, (below,))}"


def _undecided(m: Measurement, t: Threshold, low: float, high: float) -> Decision:
    between = [t.min] if t.min is not None and not at_least(low, t.min) else []
    between += [t.max] if t.max is not None and not at_most(high, t.max) else []
    limit = min(between, key=lambda limit: abs(limit - (low + high) / 2))
    words = limits(limit, None, m.value) if limit == t.min else limits(None, limit, m.value)
    prompts, seeds = advice.more(m, low, high, limit)
    wanted = [f"{count(n, noun)}" for n, noun in ((prompts, "more prompt"), (seeds, "more seed")) if n]
    what = f"about {' or '.join(wanted)} would probably decide"
    if not wanted:
        what = "it is too close to the limit for more prompts to decide"
    details = {"more_prompts": prompts, "more_seeds": seeds}
    return Outcome.INCONCLUSIVE, f"{_subject(m, t)} straddles {words}; {what}", details


def _no_interval(m: Measurement) -> str:
    if m.stat not in quantity.STATS_WITH_INTERVAL:
        return f"{_name(m)} has none: use 'rule: estimate'"
    prompts = m.prompts if m.stat == "missing" else advice.prompts_with_value(m)
    which = f"{prompts} in this run"
    if prompts != m.prompts:
        which = f"{prompts} of the {m.prompts} in this run have one"
    return f"that takes values from at least {intervals.MIN_PROMPTS} prompts ({which})"


def _inside(value: float, t: Threshold) -> bool:
    # Ask what is inside, not what is outside, so that NaN never passes.
    return (t.min is None or at_least(value, t.min)) and (t.max is None or at_most(value, t.max))


def _name(m: Measurement) -> str:
    return quantity.sentence(m.metric, m.stat, m.at, m.gain, m.on, of_set=not m.per_image)


def _subject(m: Measurement, t: Threshold, ends: str | None = None) -> str:
    between = ":" if m.at is not None else ""  # a share's name ends in a number
    text = f"{_name(m)}{between} {number(m.value, (t.min, t.max))}"
    if m.stat == "missing":
        text = f"{text} ({m.missing} of {m.n + m.missing})"
    if ends:
        return f"{text}, {ends},"
    if m.low is None or m.high is None:
        return text
    return f"{text} [{number(m.low, (t.min, t.max))}, {number(m.high, (t.min, t.max))}]"


def _beyond(m: Measurement, t: Threshold) -> str:
    if t.min is not None and not at_least(m.value, t.min):
        return f"below {limits(t.min, None, m.value)}"
    return f"above {limits(None, t.max, m.value)}"


def _clues(m: Measurement) -> list[str]:
    """Say what a person should look at first."""
    clues = []
    if m.worst is not None:
        clues.append(f"worst prompt {m.worst[0]} {number(m.worst[1])}")
    copied = nearest_words(m.nearest, m.n)
    if copied and m.stat != "missing":  # an image without a face has no nearest reference
        clues.append(copied)
    return clues


def limits(low: float | None, high: float | None, value: float | None = None) -> str:
    """Name the limits: "min 0.500", "max 0.250" or "0.100 to 0.250"."""
    if low is None or high is None:
        side, limit = ("max", high) if low is None else ("min", low)
        return f"{side} {number(limit, (value,))}" if limit is not None else ""
    return f"{number(low, (value,))} to {number(high, (value,))}"


def missing_words(metric: str, missing: int, n: int) -> str:
    """Say how many images have no value: "no face in 3 of 32 images"."""
    return f"{missing_word(metric)} in {missing} of {count(n + missing, 'image')}"


def nearest_words(nearest: Iterable[Sequence[Any]], n: int) -> str:
    """Name the picture that a quarter or more of the images are nearest to; "" if there is none."""
    name, images = max(nearest, key=lambda pair: pair[1], default=("", 0))
    return f"{images} of {n} images are nearest to {name}" if images >= max(2, n / 4) else ""
