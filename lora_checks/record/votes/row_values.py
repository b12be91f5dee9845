"""Say how far each row of the report agrees with people about single pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


def pairs(answered: Sequence[Answer]) -> list[Pair]:
    """Return each pair that was answered, once."""
    by_showing: dict[str, list[Answer]] = {}
    for one in about_loras(answered):
        by_showing.setdefault(one.showing, []).append(one)
    return [
        Pair(own[0].first, own[0].second, own[0].prompt, float(np.mean([2 * one.score - 1 for one in own])))
        for own in by_showing.values()
    ]


def rows_of(documents: Mapping[str, Document], ballot: Ballot) -> dict[str, dict[str, Row]]:
    """Return the rows of each LoRA of the ballot whose report is at hand, by label and check."""
    found = {}
    for contestant in ballot.loras:
        document = documents.get(contestant.report)
        for lora in document["loras"] if document else ():
            if (lora["name"], lora["sha256"]) == (contestant.name, contestant.sha256):
                found[contestant.label] = {row["check"]: row for row in lora["rows"]}
    return found


def correlations(
    answered: Sequence[Answer], ballot: Ballot, rows: Mapping[str, Mapping[str, Row]]
) -> list[VotedRow]:
    """Return every row that a policy declares, in the order of the first report."""
    asked, checks = pairs(answered), dict.fromkeys(check for own in rows.values() for check in own)
    found = []
    for check in checks:
        declared = [own[check] for own in rows.values() if check in own and own[check]["threshold"]]
        if declared:
            found.append(_correlation(check, declared[0], asked, signed(ballot, rows, check)))
    return found


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


def signed(ballot: Ballot, rows: Mapping[str, Mapping[str, Row]], check: str) -> dict[str, float]:
    """Return the row's value of each picture, signed so that higher is what the row wants."""
    return _by_token(ballot, rows, check, _toward)


def parts(ballot: Ballot, rows: Mapping[str, Mapping[str, Row]], check: str) -> dict[str, float]:
    """Return what each picture adds to the row's value, in the row's unit: a share counts it as 0 or 1."""
    return _by_token(ballot, rows, check, lambda _, m, value: part(m, value))


def _by_token(
    ballot: Ballot,
    rows: Mapping[str, Mapping[str, Row]],
    check: str,
    of: Callable[[Row, Measurement, float | None], float | None],
) -> dict[str, float]:
    found: dict[str, float] = {}
    for label_of_lora, own in rows.items():
        row = own.get(check)
        m = by_image(row)
        if row is None or m is None:
            continue
        values = dict(m["per_image"])
        for picture in ballot.pictures:
            if picture.lora == label_of_lora and picture.name in values:
                value = of(row, m, values[picture.name])
                if value is not None:
                    found[picture.token] = value
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
