"""What a training run did, in words: overfitting, and a run that ended too early."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from lora_checks.core.words import count, number
from lora_checks.record.ranking.changes import Change, change
from lora_checks.record.ranking.curves import Axis
from lora_checks.record.ranking.entry import Entry
from lora_checks.record.ranking.roles import role
from lora_checks.record.ranking.utility import distance
from lora_checks.record.ranking.values import halvable

CHANCE = 0.05  # that a note on a run is wrong, over all its comparisons
Prompts = Collection[str] | None


def overfitting(line: Sequence[Entry], peak: Entry, axis: Axis, prompts: Prompts) -> str:
    """ "after step 300 ... it overfits"; "" where it does not.

    The rule: from a later checkpoint on, up to the last, a row of freedom (adherence, diversity, distance
    from the training pictures) is surely worse than at the best one, while no likeness is. Surely: by
    differences paired by prompt, at a level that keeps the chance of a wrong note below `CHANCE` over all
    checkpoints and rows. ``prompts`` are those that the best was not chosen by.
    """
    later = [one for one in line if _x(one, axis) > _x(peak, axis)]
    free, like = (_checks(peak, wanted) for wanted in ("freedom", "likeness"))
    if not (later and free and like):
        return ""
    tail = CHANCE / (len(later) * len(free))
    held = [one for one in _fallen(peak, later, free, tail, prompts) if _kept(peak, one, like, tail, prompts)]
    if not held:
        return ""
    first, last = held[0], held[-1]
    fallen = [c for c in _changes(free, peak, last, tail, prompts) if c.sign < 0]
    kept = _changes(like, peak, last, tail, prompts)
    there = f"at {axis} {_x(last, axis):g}" + (
        "" if first is last else f" (from {axis} {_x(first, axis):g} on)"
    )
    return (
        f"after {axis} {_x(peak, axis):g} it overfits: {there} {_listed(kept, 'improves', 'holds')}, "
        f"while {_listed(fallen, 'worsens', 'worsens')}"
    )


def too_short(line: Sequence[Entry], peak: Entry, axis: Axis, prompts: Prompts) -> str:
    """The best checkpoint is the last one, and likeness was still rising into it; "" where that is not so."""
    before = [one for one in line if _x(one, axis) < _x(peak, axis)]
    like = _checks(peak, "likeness")
    if line[-1] is not peak or not before or not like:
        return ""
    rising = [c for c in _changes(like, before[-1], peak, CHANCE / len(like), prompts) if c.sign > 0]
    if not rising:
        return ""
    said = f"{_listed(rising, 'improved', 'improved')} since {axis} {_x(before[-1], axis):g}"
    return (
        f"the best is the last checkpoint, {axis} {_x(peak, axis):g}, and {said}: a longer run may be better"
    )


def luck(found: Mapping[str, Any], board: Sequence[Mapping[str, Any]], one: Entry) -> list[str]:
    """Where the half that the best was not chosen by says something else."""
    notes = []
    above = [other for other in board if other["outcome"] == "PASS" and _judged(other) > _judged(found)]
    if found["judged"] is not None and above:
        said = ", ".join(f"{other['lora']} {other['judged']:.3f}" for other in above[:3])
        notes.append(
            f"on the judging half {said} {'is' if len(above) == 1 else 'are'} above {found['lora']} "
            f"{found['judged']:.3f}: they are close"
        )
    for row in found["rows"]:
        limited = one.rows[row["check"]]
        if row["judge"] and limited["required"] and limited["threshold"]:
            outside = distance(limited, row["judge"]["value"])
            if outside < 0:
                told = f"{row['check']} of {found['lora']} is {number(row['judge']['value'])}"
                notes.append(f"{told} on the judging half alone, outside its limit")
    return notes


def unplaced(entries: Sequence[Entry], axis: Axis | None) -> str:
    """LoRAs that are in no curve, as nothing tells where they stand."""
    absent = [one.name for one in entries if axis and one.along(axis) is None]
    if not absent:
        return ""
    names = ", ".join(absent[:3]) + (f" and {len(absent) - 3} more" if len(absent) > 3 else "")
    return f"of {count(len(absent), 'LoRA')} nothing tells the {axis}, so no curve has {names}"


def uneven(entries: Sequence[Entry], checks: Sequence[str]) -> str:
    """That LoRAs were not all measured on the same images, as with ``--lora-until-decided``."""
    for check in checks:
        rows = [one.rows[check] for one in entries if halvable(one.rows.get(check))]
        counts = sorted({len(row["measurement"]["per_image"]) for row in rows})
        if len(counts) > 1:
            return (
                f"the LoRAs were decided by different numbers of images, {counts[0]} to {counts[-1]} of "
                f"{check}: values of few images are less certain"
            )
    return ""


def _judged(found: Mapping[str, Any]) -> float:
    return -1.0 if found["judged"] is None else float(found["judged"])


def _fallen(
    peak: Entry, later: Sequence[Entry], free: list[str], tail: float, prompts: Prompts
) -> list[Entry]:
    """The last checkpoints of the run, from where on each has less freedom than ``peak``."""
    found: list[Entry] = []
    for one in reversed(later):
        if not any(c.sign < 0 for c in _changes(free, peak, one, tail, prompts)):
            break
        found.insert(0, one)
    return found


def _kept(peak: Entry, later: Entry, like: list[str], tail: float, prompts: Prompts) -> bool:
    changes = _changes(like, peak, later, tail, prompts)
    return bool(changes) and all(c.sign >= 0 for c in changes)


def _changes(
    checks: Sequence[str], before: Entry, after: Entry, tail: float, prompts: Prompts
) -> list[Change]:
    found = (change(check, before, after, tail, prompts) for check in checks)
    return [one for one in found if one is not None]


def _checks(peak: Entry, wanted: str) -> list[str]:
    return [check for check, row in peak.rows.items() if role(row) == wanted]


def _listed(changes: Sequence[Change], moved: str, stayed: str) -> str:
    said = [
        f"{c.check} {moved if c.sign else stayed} ({number(c.before)} to {number(c.after)})" for c in changes
    ]
    return " and ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said)


def _x(one: Entry, axis: Axis) -> float:
    return one.along(axis) or 0.0
