"""Compute ``votes.json`` from a ballot, its votes and the reports that its pictures are of. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lora_checks.core.clock import now
from lora_checks.core.words import count, number, printable
from lora_checks.record.shapes import Document
from lora_checks.record.shapes.votes import (
    Agreement,
    Estimate,
    Rater,
    TakenForReal,
    VotedLora,
    VotedRow,
    Votes,
)
from lora_checks.record.votes.answers import Answer, about_loras, answers
from lora_checks.record.votes.ballot import Ballot, Contestant
from lora_checks.record.votes.book import Vote
from lora_checks.record.votes.raters import agree, estimate, raters
from lora_checks.record.votes.row_values import correlations, gated, pairs
from lora_checks.record.votes.weights import weighting
from lora_checks.stats import intervals
from lora_checks.stats.bradley_terry import Comparison, Strength, preferences

MANY = 5  # repeats from which on a rater's consistency is worth a note
LITTLE = 0.6  # share of the repeats; chance is about a half


def result(
    ballot: Ballot, votes: Sequence[Vote], documents: Mapping[str, Document], report: str, sha256: str
) -> Votes:
    """Return what the votes say.

    Args:
        ballot: what was asked.
        votes: the answers, each question once per rater.
        documents: the reports that are at hand, by the folders that the ballot names.
        report: the ballot's name of the folder that the result stands in.
        sha256: the digest of its report.json.
    """
    answered = answers(ballot, votes)
    own = about_loras(answered)
    ordered, no_order = _order(own)
    reported = gated(documents, ballot)
    loras = [_lora(one, ballot, report) for one in ordered]
    good, bad = labels(ordered)
    people, agreement = raters(votes, answered), agree(answered)
    correlated = correlations(answered, reported)
    return {
        "schema": 1,
        "report": sha256,
        "ballot": ballot.id,
        "made": now(),
        "question": printable(ballot.question),
        "pairs": len({one.showing for one in own}),
        "prompts": len({one.prompt for one in own}),
        "answers": len(answered),
        "raters": people,
        "loras": loras,
        "no_order": no_order,
        "agreement": agreement,
        "rows": correlated,
        "weighting": weighting(pairs(answered), reported),
        "good": good,
        "bad": bad,
        "real": _real(answered, ballot.loras),
        "notes": [*_about_raters(people), *_about_all(agreement, ordered, correlated)],
    }


def _order(own: Sequence[Answer]) -> tuple[list[Strength], str]:
    compared = [Comparison(one.first.lora, one.second.lora, one.score, one.prompt) for one in own]
    try:
        return preferences(compared), ""
    except ValueError as error:
        return [], printable(str(error))


def _lora(one: Strength, ballot: Ballot, report: str) -> VotedLora:
    contestant = next(lora for lora in ballot.loras if lora.label == one.item)
    return {
        "lora": contestant.label,
        "name": contestant.name,
        "sha256": contestant.sha256,
        "path": contestant.path,
        "here": contestant.report == report,
        "strength": {"value": one.strength, "low": one.low, "high": one.high},
        "share": {"value": one.share, "low": one.share_low, "high": one.share_high},
        "compared": one.compared,
        "surely_above": list(one.surely_above),
    }


def labels(ordered: Sequence[Strength]) -> tuple[list[str], list[str]]:
    """Return the good and the bad LoRAs for ``calibrate``; any other is neither.

    Bad is what is surely below the first; good is the first, and what is surely above every bad one.
    """
    if not ordered:
        return [], []
    first = ordered[0]
    bad = [one.item for one in ordered if one.item in first.surely_above]
    good = [one.item for one in ordered if one.item not in bad and set(bad) <= set(one.surely_above)]
    return (good, bad) if bad else ([], [])


def _real(answered: Sequence[Answer], loras: Sequence[Contestant]) -> list[TakenForReal]:
    found: list[TakenForReal] = []
    for lora in loras:
        own = [one for one in answered if one.real and not one.again]
        scores = [(one.score, one.prompt) for one in own if one.first.lora == lora.label]
        scores += [(1 - one.score, one.prompt) for one in own if one.second.lora == lora.label]
        if scores:
            found.append({"lora": lora.label, "share": _mean(scores), "answers": len(scores)})
    return found


def _mean(scores: Sequence[tuple[float, str]]) -> Estimate:
    values = np.array([score for score, _ in scores])
    spread = intervals.jackknife(lambda keep: float(values[keep].mean()), [prompt for _, prompt in scores])
    return estimate(float(values.mean()), spread, 0.0, 1.0)


def _about_raters(people: Sequence[Rater]) -> list[str]:
    notes = []
    for one in people:
        again, left = one["same_again"], one["left"]
        if again and again["of"] >= MANY and again["hits"] <= LITTLE * again["of"]:
            notes.append(
                f"rater {one['name']} answered {again['hits']} of {again['of']} repeats as before, "
                "little more than chance does"
            )
        if left and not left["low"] <= 0.5 <= left["high"]:
            notes.append(
                f"rater {one['name']} chose the left picture {left['hits']} times of {left['of']}: "
                "a habit of one side"
            )
    return notes


def _about_all(
    agreement: Agreement | None, ordered: Sequence[Strength], correlated: Sequence[VotedRow]
) -> list[str]:
    notes = []
    alpha = agreement["alpha"] if agreement else None
    if alpha and (alpha["low"] is None or alpha["low"] <= 0):
        notes.append(f"the raters do not surely agree more than by chance (alpha {number(alpha['value'])})")
    if ordered and ordered[0].low is None:
        notes.append(f"no intervals: they need {intervals.MIN_PROMPTS} prompts or more")
    known = sum(row["auc"] is not None for row in correlated)
    if known > 5:
        notes.append(
            f"each interval holds by itself; of {count(known, 'row')} one in twenty excludes chance by luck"
        )
    return notes
