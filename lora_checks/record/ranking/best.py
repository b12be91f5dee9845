"""Order the LoRAs, and take the best: chosen on half of the prompts, judged on the other half."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lora_checks.core.words import count
from lora_checks.record.ranking.axes import Axis, shown_keys
from lora_checks.record.ranking.curves import about
from lora_checks.record.ranking.entry import Entry
from lora_checks.record.ranking.halves import Split
from lora_checks.record.ranking.utility import Worth, utility, value
from lora_checks.record.ranking.values import Value, by_image, whole
from lora_checks.record.shapes import Row
from lora_checks.record.shapes.ranking import Best, BestRow, Half, Place

ORDER = ("PASS", "INCONCLUSIVE", "INCOMPLETE", "FAIL", "ERROR")


def leaderboard(
    entries: Sequence[Entry],
    worths: Sequence[Worth],
    halves: Split | None,
    names: dict[str, str],
    axis: Axis | None,
) -> list[Place]:
    """Order the LoRAs by verdict, then by utility on the choosing half, then by less training."""
    choose, judge = halves or (None, None)
    shown = shown_keys(entries, axis.name if axis else None)
    valued = [(entry, utility(entry, worths, choose)) for entry in entries]
    valued.sort(key=lambda pair: _key(*pair))
    board: list[Place] = [
        {
            "place": number,
            "lora": entry.name,
            "series": names[entry.name],
            "step": entry.step,
            "epoch": entry.epoch,
            "scale": entry.scale,
            "rank": entry.rank,
            "outcome": entry.outcome,
            "stopped_by": list(entry.stopped_by),
            "utility": worth,
            "judged": utility(entry, worths, judge) if judge else None,
            "values": {check: _number(whole(row)) for check, row in entry.rows.items()},
        }
        for number, (entry, worth) in enumerate(valued, start=1)
    ]
    for place, (entry, _) in zip(board if shown else (), valued, strict=False):
        place["keys"] = {key: entry.text(key) for key in shown}
    return board


def _key(entry: Entry, worth: float | None) -> tuple[int, bool, float, float]:
    trained = next((n for n in (entry.step, entry.epoch) if n is not None), math.inf)
    return ORDER.index(entry.outcome), worth is None, -(worth or 0.0), trained


def best(first: Place, entry: Entry, worths: Sequence[Worth], halves: Split | None) -> Best | None:
    """Return the first LoRA with its values on both halves; None unless it passes and has a utility.

    Args:
        first: the first place of the leaderboard.
        entry: the LoRA in that place.
        worths: the rows that utility is made of.
        halves: the halves of the prompts; None if there are too few.
    """
    if not entry.passed or first["utility"] is None:
        return None
    weights = {worth.check: worth.weight for worth in worths}
    rows = [
        _row(check, row, weights.get(check, 0.0), halves)
        for check, row in entry.rows.items()
        if by_image(row)
    ]
    return {
        "lora": entry.name,
        "step": entry.step,
        "utility": first["utility"],
        "judged": first["judged"],
        "rows": sorted(rows, key=lambda row: -row["weight"]),
    }


def _row(check: str, row: Row, weight: float, halves: Split | None) -> BestRow:
    choose, judge = halves or (None, None)
    shared = about(row)
    return {
        "check": check,
        "label": shared["label"],
        "better": shared["better"],
        "weight": weight,
        "choose": _half(value(row, choose)),
        "judge": _half(value(row, judge)) if judge else None,
    }


def sentence(first: Place, winner: Best | None, entries: Sequence[Entry], halves: Split | None) -> str:
    """Say which LoRA is best and by how much, or why none is."""
    passing = sum(entry.passed for entry in entries)
    if winner is None:
        if passing:
            return f"{passing} of {len(entries)} pass, but no row has values by which one is better"
        return f"none of {count(len(entries), 'LoRA')} passes every required row, so none is best"
    where = "" if first["step"] is None else f" (step {first['step']})"
    start = (
        f"best: {winner['lora']}{where}, first of {passing} that pass"
        if passing > 1
        else f"best: {winner['lora']}{where}, the only one that passes"
    )
    if halves is None:
        return f"{start}, utility {winner['utility']:.3f}; the prompts are too few to judge it on others"
    judged = "-" if winner["judged"] is None else f"{winner['judged']:.3f}"
    return (
        f"{start}, utility {winner['utility']:.3f} on the {len(halves.choose)} prompts it was chosen by, "
        f"{judged} on {len(halves.judge)} others"
    )


def _half(part: Value | None) -> Half | None:
    if part is None:
        return None
    return {"value": part.value, "low": part.low, "high": part.high, "prompts": part.prompts}


def _number(measured: Value | None) -> float | None:
    return None if measured is None else measured.value
