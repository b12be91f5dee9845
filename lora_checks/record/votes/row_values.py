"""Say how far each row of the report agrees with people about single pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lora_checks.core import direction
from lora_checks.record.ranking.utility import distance
from lora_checks.record.ranking.values import better, by_image, limits_of, part
from lora_checks.record.rows import label
from lora_checks.record.shapes import Document, Row
from lora_checks.record.shapes.rows import Measurement
from lora_checks.record.shapes.votes import Estimate, VotedRow
from lora_checks.record.votes.answers import Answer, about_loras
from lora_checks.record.votes.ballot import Ballot, Shown
from lora_checks.record.votes.raters import estimate
from lora_checks.stats import agreement, intervals

Floats = NDArray[np.float64]
Values = Mapping[str, float]  # picture's token -> its value, higher is better
FEWEST = 10  # pairs with a value on both sides


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures and what the raters said on average: +1 the first is preferred, -1 the second."""

    first: Shown
    second: Shown
    prompt: str
    answer: float


@dataclass(frozen=True, slots=True)
class Gated:
    """What a report says of a LoRA that people compared."""

    rows: Mapping[str, Row]  # by check
    tokens: Mapping[str, str]  # of the pictures that people were shown, by name in the report


def pairs(answered: Sequence[Answer]) -> list[Pair]:
    """Return each pair that was answered, once."""
    by_showing: dict[str, list[Answer]] = {}
    for one in about_loras(answered):
        by_showing.setdefault(one.showing, []).append(one)
    return [
        Pair(own[0].first, own[0].second, own[0].prompt, float(np.mean([2 * one.score - 1 for one in own])))
        for own in by_showing.values()
    ]


def gated(documents: Mapping[str, Document], ballot: Ballot) -> dict[str, Gated]:
    """Return each LoRA of the ballot whose report is at hand, by label.

    A picture that the report has since made anew counts as absent: its values are not of what people saw.
    """
    found = {}
    for contestant in ballot.loras:
        shown = {(one.name, one.sha256): one.token for one in ballot.pictures if one.lora == contestant.label}
        document = documents.get(contestant.report)
        for lora in document["loras"] if document else ():
            if (lora["name"], lora["sha256"]) == (contestant.name, contestant.sha256):
                there = [(one["name"], one["sha256"]) for one in lora.get("pictures") or ()]
                tokens = {key[0]: shown[key] for key in there if key in shown}
                found[contestant.label] = Gated({row["check"]: row for row in lora["rows"]}, tokens)
    return found


def rows_named(loras: Iterable[Gated]) -> dict[str, list[Row]]:
    """Return the rows of all LoRAs by check, in the order of the first report."""
    found: dict[str, list[Row]] = {}
    for lora in loras:
        for check, row in lora.rows.items():
            found.setdefault(check, []).append(row)
    return found


def correlations(answered: Sequence[Answer], loras: Mapping[str, Gated]) -> list[VotedRow]:
    """Return every row that a policy declares, in the order of the first report."""
    asked = pairs(answered)
    return [
        _correlation(check, rows[0], asked, signed(loras, check))
        for check, rows in rows_named(loras.values()).items()
        if rows[0]["threshold"]
    ]


def _correlation(check: str, row: Row, asked: Sequence[Pair], values: Values) -> VotedRow:
    known = [one for one in asked if one.first.token in values and one.second.token in values]
    m = row["measurement"]
    told: VotedRow = {
        "check": check, "label": label(m) if m else "", "pairs": len(known), "spearman": None, "auc": None,
        "why": "",
    }  # fmt: skip
    if not values:
        return {**told, "why": "it has no value for single images"}
    if len(known) < FEWEST:
        return {**told, "why": f"{len(known)} of {len(asked)} pairs have a value on both sides"}
    differences = np.array([values[one.first.token] - values[one.second.token] for one in known])
    answers = np.array([one.answer for one in known])
    prompts = [one.prompt for one in known]
    told["spearman"] = _estimate(agreement.spearman, differences, answers, prompts, -1.0)
    told["auc"] = _estimate(agreement.auc, differences, answers, prompts, 0.0)
    same = "" if told["spearman"] else "it, or the people, made no difference between the pictures"
    return {**told, "why": same}


def _estimate(
    of: Callable[[Floats, Floats], float], x: Floats, y: Floats, prompts: Sequence[str], least: float
) -> Estimate | None:
    value = of(x, y)
    if not np.isfinite(value):
        return None
    return estimate(value, intervals.jackknife(lambda keep: of(x[keep], y[keep]), prompts), least, 1.0)


def signed(loras: Mapping[str, Gated], check: str) -> dict[str, float]:
    """Return the row's value of each picture by token, signed so that higher is what the row wants."""
    return _by_token(loras, check, _toward)


def parts(loras: Mapping[str, Gated], check: str) -> dict[str, float]:
    """Return what each picture adds to the row's value, in the row's unit: a share counts it as 0 or 1."""
    return _by_token(loras, check, lambda _, m, value: part(m, value))


def _by_token(
    loras: Mapping[str, Gated],
    check: str,
    of: Callable[[Row, Measurement, float | None], float | None],
) -> dict[str, float]:
    found: dict[str, float] = {}
    for lora in loras.values():
        row = lora.rows.get(check)
        m = by_image(row)
        if row is None or m is None:
            continue
        for name, measured in m["per_image"]:
            value = of(row, m, measured) if name in lora.tokens else None
            if value is not None:
                found[lora.tokens[name]] = value
    return found


def _toward(row: Row, m: Measurement, value: float | None) -> float | None:
    if m["stat"] == "missing":
        return float(value is not None)
    if value is None:
        return None
    if better(row) == "":
        return distance(row, value)
    wanted = direction.of_images(*limits_of(row), m["stat"], m["better"])
    return value if wanted == "higher" else -value
