"""Describe a training run in words: whether it overfits, ended too early, or cannot be ranked evenly."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lora_checks.core.words import count, number
from lora_checks.record.ranking.axes import Axis
from lora_checks.record.ranking.changes import Change, change
from lora_checks.record.ranking.entry import Entry
from lora_checks.record.ranking.roles import role
from lora_checks.record.ranking.utility import distance
from lora_checks.record.ranking.values import by_image
from lora_checks.record.shapes.ranking import Best, Place

CHANCE = 0.05  # of a wrong note about a run, over all its comparisons
Prompts = Collection[str] | None


def overfitting(line: Sequence[Entry], peak: Entry, axis: Axis, prompts: Prompts) -> str:
    """Return "after step 300 ... it overfits"; "" if it does not.

    A run overfits if, from some checkpoint after the best one up to the last, a row of freedom (adherence,
    diversity, distance from the training pictures) is surely worse than at the best, while no row of
    likeness is. "Surely" refers to differences paired by prompt, at a level that keeps the chance of a wrong
    note below `CHANCE` over all checkpoints and rows.

    Args:
        line: the checkpoints of one run, in the order of training.
        peak: the best of them.
        axis: what the checkpoints are ordered by.
        prompts: the prompts that the best was not chosen by; None for all.
    """
    later = [entry for entry in line if _x(entry, axis) > _x(peak, axis)]
    free, like = (_checks(peak, wanted) for wanted in ("freedom", "likeness"))
    if not (later and free and like):
        return ""
    tail = CHANCE / (len(later) * len(free))
    fallen = _fallen(peak, later, free, tail, prompts)
    overfitted = [entry for entry in fallen if _keeps_likeness(peak, entry, like, tail, prompts)]
    if not overfitted:
        return ""
    first, last = overfitted[0], overfitted[-1]
    worse = [change for change in _changes(free, peak, last, tail, prompts) if change.sign < 0]
    alike = _changes(like, peak, last, tail, prompts)
    there = f"at {axis} {_x(last, axis):g}" + (
        "" if first is last else f" (from {axis} {_x(first, axis):g} on)"
    )
    return (
        f"after {axis} {_x(peak, axis):g} it overfits: {there} {_listed(alike, 'improves', 'holds')}, "
        f"while {_listed(worse, 'worsens', 'worsens')}"
    )


def too_short(line: Sequence[Entry], peak: Entry, axis: Axis, prompts: Prompts) -> str:
    """Say that the best checkpoint is the last one and likeness was still rising up to it; "" otherwise."""
    before = [entry for entry in line if _x(entry, axis) < _x(peak, axis)]
    like = _checks(peak, "likeness")
    if line[-1] is not peak or not before or not like:
        return ""
    changes = _changes(like, before[-1], peak, CHANCE / len(like), prompts)
    rising = [change for change in changes if change.sign > 0]
    if not rising:
        return ""
    since = f"{_listed(rising, 'improved', 'improved')} since {axis} {_x(before[-1], axis):g}"
    return (
        f"the best is the last checkpoint, {axis} {_x(peak, axis):g}, and {since}: a longer run may be better"
    )


def luck(winner: Best, board: Sequence[Place], entry: Entry) -> list[str]:
    """Say where the judging half of the prompts disagrees with the choice of the best.

    Args:
        winner: the best LoRA.
        board: the leaderboard.
        entry: the best LoRA, with its rows.
    """
    notes = []
    judged = _judged(winner)
    above = [place for place in board if place["outcome"] == "PASS" and _judged(place) > judged]
    if winner["judged"] is not None and above:
        values = [_judged(place) for place in above[:3]]
        pairs = zip(above, values, strict=False)
        names = ", ".join(f"{place['lora']} ({number(value, (judged,))})" for place, value in pairs)
        notes.append(
            f"on the other half of the prompts {names} {'is' if len(above) == 1 else 'are'} above "
            f"{winner['lora']} ({number(judged, values)}): they are close"
        )
    for row in winner["rows"]:
        limited, judge = entry.rows[row["check"]], row["judge"]
        if judge and limited["required"] and limited["threshold"] and distance(limited, judge["value"]) < 0:
            value = f"{row['check']} of {winner['lora']} is {number(judge['value'])}"
            notes.append(f"{value} on the other half of the prompts alone, outside its limit")
    return notes


def unplaced(entries: Sequence[Entry], axis: Axis | None) -> str:
    """Name the LoRAs that no curve shows, because their place on the axis is not known."""
    absent = [entry.name for entry in entries if axis and axis.of(entry) is None]
    if not absent:
        return ""
    names = ", ".join(absent[:3]) + (f" and {len(absent) - 3} more" if len(absent) > 3 else "")
    return f"the {axis} of {count(len(absent), 'LoRA')} is unknown, so no curve shows {names}"


def uneven(entries: Sequence[Entry], checks: Sequence[str]) -> str:
    """Say that LoRAs were not all measured on the same images, as with ``--lora-until-decided``."""
    for check in checks:
        measured = (by_image(entry.rows.get(check)) for entry in entries)
        counts = sorted({len(m["per_image"]) for m in measured if m})
        if len(counts) > 1:
            return (
                f"the LoRAs were decided by different numbers of images, {counts[0]} to {counts[-1]} of "
                f"{check}: values of few images are less certain"
            )
    return ""


def _judged(place: Best | Place) -> float:
    return -1.0 if place["judged"] is None else place["judged"]


def _fallen(
    peak: Entry, later: Sequence[Entry], free: list[str], tail: float, prompts: Prompts
) -> list[Entry]:
    """Return the checkpoints at the end of the run that all have less freedom than ``peak``."""
    fallen: list[Entry] = []
    for entry in reversed(later):
        if not any(change.sign < 0 for change in _changes(free, peak, entry, tail, prompts)):
            break
        fallen.insert(0, entry)
    return fallen


def _keeps_likeness(peak: Entry, later: Entry, like: list[str], tail: float, prompts: Prompts) -> bool:
    changes = _changes(like, peak, later, tail, prompts)
    return bool(changes) and all(change.sign >= 0 for change in changes)


def _changes(
    checks: Sequence[str], before: Entry, after: Entry, tail: float, prompts: Prompts
) -> list[Change]:
    changes = (change(check, before, after, tail, prompts) for check in checks)
    return [each for each in changes if each is not None]


def _checks(peak: Entry, wanted: str) -> list[str]:
    return [check for check, row in peak.rows.items() if role(row) == wanted]


def _listed(changes: Sequence[Change], moved: str, stayed: str) -> str:
    words = [
        f"{c.check} {moved if c.sign else stayed} ({number(c.before)} to {number(c.after)})" for c in changes
    ]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _x(entry: Entry, axis: Axis) -> float:
    return axis.of(entry) or 0.0
