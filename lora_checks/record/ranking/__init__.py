"""Compare the LoRAs of one run: a leaderboard, curves, the best checkpoint, and notes in words.

``document["ranking"]``; null for a run of one LoRA::

    {"by": "policy" | "margins",     # utility as `ranking:` of the policy declares it, or from the limits
     "rule": "...",                  # in words: how the utility is made and how the best was chosen
     "weights": [{"check": "identity", "weight": 2.0, "from": 0.2, "to": 0.8}],  # the rows in utility
     "gate_only": ["distribution"],  # the others: sets have no halves, optional rows no weight
     "split": {"choose": ["red-mint", ...], "judge": ["blue-sky", ...]} | null,  # prompt ids; null: too few
     "axis": "step" | "epoch" | "scale" | "rank" | ... | null,  # x of the curves; null: nothing varies
     "categories": ["florence", "keyword"],  # of an axis of texts: what stands at 0, 1, ...
     "leaderboard": [                # best first; a LoRA that fails is never above one that passes
        {"place": 1, "lora": "step-0300", "series": "", "step": 300 | null, "epoch": null,
         "scale": 1.0 | null, "rank": 4 | null, "outcome": "PASS", "stopped_by": ["check", ...],
         "keys": {"caption": "florence"},  # of names, the policy or the metadata; left out where none is used
         "utility": 0.71 | null,     # 0 to 1, on the choosing half (all prompts where there is no split)
         "judged": 0.69 | null,      # the same on the judging half
         "values": {"identity": 0.61 | null, ...}}],  # the value of every row, by check
     "curves": [                     # one for each check with a value; [] where axis is null
        {"check": "identity", "label": "arcface", "better": "higher" | "lower" | "", "required": true,
         "min": 0.45 | null, "max": null, "role": "likeness" | "freedom" | "",  # see `roles`
         "series": [{"name": "",     # run, strength and rank, where these vary, too
                     "points": [{"lora": "step-0025", "x": 25, "value": 0.31, "low": 0.25 | null,
                                 "high": 0.37 | null, "outcome": "FAIL"}]}]}],  # x ascending
     "best": {"lora": "step-0300", "step": 300 | null, "utility": 0.71, "judged": 0.69 | null,
              "rows": [{"check": "identity", "label": "arcface", "better": "higher", "weight": 2.0,
                        "choose": {"value": 0.62, "low": 0.58 | null, "high": 0.66 | null, "prompts": 8},
                        "judge": {same} | null}]} | null,   # null: no LoRA passes
     "sentence": "best: step-0300 (step 300), ...",  # or why there is no best
     "notes": ["after step 300 identity rises ..., while prompt-adherence falls ...: it overfits", ...]}

`rank` is pure: it reads the document and nothing else. `lora_checks.record.shapes.ranking` has the types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lora_checks.record.ranking import notes
from lora_checks.record.ranking.axes import Axis, axis_of
from lora_checks.record.ranking.best import best, leaderboard, sentence
from lora_checks.record.ranking.curves import curves, series_names
from lora_checks.record.ranking.entry import Entry, entry
from lora_checks.record.ranking.halves import Split, split
from lora_checks.record.ranking.utility import Worth, declared, from_limits
from lora_checks.record.shapes import Document, Ranking
from lora_checks.record.shapes.ranking import Best, Place
from lora_checks.stats.intervals import MIN_PROMPTS

__all__ = ["rank"]


def rank(document: Document) -> Ranking | None:
    """Return ``document["ranking"]``; None for fewer than two LoRAs."""
    entries = [entry(lora) for lora in document["loras"]]
    if len(entries) < 2:
        return None
    weights = document["run"].get("ranking") or []
    halves = split(entries)
    choose = halves.choose if halves else None
    worths = declared(weights, entries) if weights else from_limits(entries, choose)
    axis = axis_of(entries, document["run"].get("axis", ""))
    names = series_names(entries, axis)
    board = leaderboard(entries, worths, halves, names, axis)
    first = next(entry for entry in entries if entry.name == board[0]["lora"])
    winner = best(board[0], first, worths, halves)
    ranking: Ranking = {
        "by": "policy" if weights else "margins",
        "rule": _rule(bool(weights), halves),
        "weights": [worth.plain() for worth in worths],
        "gate_only": _gate_only(entries, worths),
        "split": {"choose": list(halves.choose), "judge": list(halves.judge)} if halves else None,
        "axis": axis.name if axis else None,
        "leaderboard": board,
        "curves": curves(entries, axis, names),
        "best": winner,
        "sentence": sentence(board[0], winner, entries, halves),
        "notes": _notes(entries, board, winner, axis, names, worths, halves),
    }
    if axis and axis.categories:
        ranking["categories"] = list(axis.categories)
    return ranking


def _rule(by_policy: bool, halves: Split | None) -> str:
    utility = (
        "the weighted mean of the rows under 'ranking:', each 0 at its 'from' and 1 at its 'to'"
        if by_policy
        else "the mean of the required rows, each 0 at its limit and 1 at this run's best"
    )
    chosen = "on half of the prompts, judged on the others" if halves else "on all prompts"
    return f"utility is {utility}; the best passes every required row and has the highest utility {chosen}"


def _gate_only(entries: Sequence[Entry], worths: Sequence[Worth]) -> list[str]:
    """Return the rows of the policy that utility leaves out."""
    checks = dict.fromkeys(
        check for entry in entries for check, row in entry.rows.items() if row["threshold"]
    )
    return [check for check in checks if check not in {worth.check for worth in worths}]


def _notes(
    entries: Sequence[Entry],
    board: Sequence[Place],
    winner: Best | None,
    axis: Axis | None,
    names: Mapping[str, str],
    worths: Sequence[Worth],
    halves: Split | None,
) -> list[str]:
    by_name = {entry.name: entry for entry in entries}
    texts = notes.luck(winner, board, by_name[winner["lora"]]) if winner else []
    fresh = halves.judge if halves and len(halves.judge) >= MIN_PROMPTS else None
    if axis and axis.of_training:
        for series in dict.fromkeys(names.values()):
            line = [entry for entry in entries if names[entry.name] == series and axis.of(entry) is not None]
            peak = next((by_name[place["lora"]] for place in board if by_name[place["lora"]] in line), None)
            if peak is not None:
                line.sort(key=lambda entry: axis.of(entry) or 0)
                told = [note(line, peak, axis, fresh) for note in (notes.overfitting, notes.too_short)]
                texts += [f"{series}: {text}" if series else text for text in told if text]
    texts += [notes.unplaced(entries, axis), notes.uneven(entries, [worth.check for worth in worths])]
    return [text for text in texts if text]
