"""Several LoRAs of one run beside each other: a leaderboard, curves, the best checkpoint, and notes in words.

``document["ranking"]``; null for a run of one LoRA::

    {"by": "policy" | "margins",     # utility as `ranking:` of the policy declares it, or from the limits
     "rule": "...",                  # in words: how the utility is made and how the best was chosen
     "weights": [{"check": "identity", "weight": 2.0, "from": 0.2, "to": 0.8}],  # rows with a part in utility
     "gate_only": ["distribution"],  # rows without: sets have no halves, optional rows without a weight
     "split": {"choose": ["red-mint", ...], "judge": ["blue-sky", ...]} | null,  # prompt ids; null: too few
     "axis": "step" | "epoch" | "scale" | "rank" | null,  # what the curves are over; null: nothing varies
     "leaderboard": [                # best first; a LoRA that fails is never above one that passes
        {"place": 1, "lora": "step-0300", "series": "", "step": 300 | null, "epoch": null,
         "scale": 1.0 | null, "rank": 4 | null, "outcome": "PASS", "stopped_by": ["check", ...],
         "utility": 0.71 | null,     # 0 to 1, on the choosing half (all prompts where there is no split)
         "judged": 0.69 | null,      # the same on the judging half
         "values": {"identity": 0.61 | null, ...}}],  # whole value of every row, by check
     "curves": [                     # one per check with a value; [] where axis is null
        {"check": "identity", "label": "arcface", "better": "higher" | "lower" | "", "required": true,
         "min": 0.45 | null, "max": null, "role": "likeness" | "freedom" | "",  # see `roles`
         "series": [{"name": "",     # of which run, strength and rank, where these vary, too
                     "points": [{"lora": "step-0025", "x": 25, "value": 0.31, "low": 0.25 | null,
                                 "high": 0.37 | null, "outcome": "FAIL"}]}]}],  # x ascending
     "best": {"lora": "step-0300", "step": 300 | null, "utility": 0.71, "judged": 0.69 | null,
              "rows": [{"check": "identity", "label": "arcface", "better": "higher", "weight": 2.0,
                        "choose": {"value": 0.62, "low": 0.58 | null, "high": 0.66 | null, "prompts": 8},
                        "judge": {same} | null}]} | null,   # null: no LoRA passes
     "sentence": "best: step-0300 (step 300), ...",  # or why there is none
     "notes": ["after step 300 identity rises ..., while prompt-adherence falls ...: it overfits", ...]}

`rank` is pure: it reads the document and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lora_checks.record.ranking import notes
from lora_checks.record.ranking.best import best, leaderboard, sentence
from lora_checks.record.ranking.curves import Axis, axis_of, curves, series_names
from lora_checks.record.ranking.entry import Entry, entry
from lora_checks.record.ranking.halves import Split, split
from lora_checks.record.ranking.utility import Worth, declared, from_limits
from lora_checks.stats.intervals import MIN_PROMPTS

__all__ = ["rank"]

Json = dict[str, Any]


def rank(document: Mapping[str, Any]) -> Json | None:
    """``document["ranking"]``; None for fewer than two LoRAs."""
    entries = [entry(lora) for lora in document["loras"]]
    if len(entries) < 2:
        return None
    said = document["run"].get("ranking") or []
    halves = split(entries)
    choose = halves.choose if halves else None
    worths = declared(said, entries) if said else from_limits(entries, choose)
    axis = axis_of(entries)
    names = series_names(entries, axis)
    board = leaderboard(entries, worths, halves, names)
    by_name = {one.name: one for one in entries}
    first = by_name[board[0]["lora"]]
    winner = best(board[0], first, worths, halves)
    return {
        "by": "policy" if said else "margins",
        "rule": _rule(bool(said), halves),
        "weights": [worth.plain() for worth in worths],
        "gate_only": _gate_only(entries, worths),
        "split": {"choose": list(halves.choose), "judge": list(halves.judge)} if halves else None,
        "axis": axis,
        "leaderboard": board,
        "curves": curves(entries, axis, names),
        "best": winner,
        "sentence": sentence(board[0], winner, entries, halves),
        "notes": _notes(entries, board, winner, axis, names, worths, halves),
    }


def _rule(by_policy: bool, halves: Split | None) -> str:
    utility = (
        "the weighted mean of the rows under 'ranking:', each 0 at its 'from' and 1 at its 'to'"
        if by_policy
        else "the mean of the required rows, each 0 at its limit and 1 at this run's best"
    )
    chosen = "on half of the prompts, judged on the others" if halves else "on all prompts"
    return f"utility is {utility}; the best passes every required row and has the highest utility {chosen}"


def _gate_only(entries: Sequence[Entry], worths: Sequence[Worth]) -> list[str]:
    """Rows of the policy that have no part in utility."""
    rows = {check: row for one in entries for check, row in one.rows.items() if row.get("threshold")}
    return [check for check in rows if check not in {worth.check for worth in worths}]


def _notes(
    entries: Sequence[Entry],
    board: Sequence[Json],
    winner: Json | None,
    axis: Axis | None,
    names: Mapping[str, str],
    worths: Sequence[Worth],
    halves: Split | None,
) -> list[str]:
    by_name = {one.name: one for one in entries}
    found = notes.luck(winner, board, by_name[winner["lora"]]) if winner else []
    fresh = halves.judge if halves and len(halves.judge) >= MIN_PROMPTS else None
    if axis in ("step", "epoch"):
        for series in dict.fromkeys(names.values()):
            line = [one for one in entries if names[one.name] == series and one.along(axis) is not None]
            peak = next((by_name[this["lora"]] for this in board if by_name[this["lora"]] in line), None)
            if peak is not None:
                line.sort(key=lambda one: one.along(axis) or 0)
                said = [tell(line, peak, axis, fresh) for tell in (notes.overfitting, notes.too_short)]
                found += [f"{series}: {text}" if series else text for text in said if text]
    found += [notes.unplaced(entries, axis), notes.uneven(entries, [worth.check for worth in worths])]
    return [text for text in found if text]
