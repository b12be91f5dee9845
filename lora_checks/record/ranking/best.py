"""The leaderboard, and the best LoRA: chosen on half of the prompts, judged on the other half."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lora_checks.core.words import count
from lora_checks.record.ranking.curves import about
from lora_checks.record.ranking.entry import Entry
from lora_checks.record.ranking.halves import Split
from lora_checks.record.ranking.utility import Worth, utility, value
from lora_checks.record.ranking.values import Found, halvable, whole

ORDER = ("PASS", "INCONCLUSIVE", "INCOMPLETE", "FAIL", "ERROR")
Json = dict[str, Any]


def leaderboard(
    entries: Sequence[Entry], worths: Sequence[Worth], halves: Split | None, names: dict[str, str]
) -> list[Json]:
    """By verdict, then by utility on the choosing half; of equals the one trained less comes first."""
    choose, judge = halves or (None, None)
    found = [(one, utility(one, worths, choose)) for one in entries]
    found.sort(key=lambda pair: _place(*pair))
    return [
        {
            "place": place,
            "lora": one.name,
            "series": names[one.name],
            "step": one.step,
            "epoch": one.epoch,
            "scale": one.scale,
            "rank": one.rank,
            "outcome": one.outcome,
            "stopped_by": list(one.stopped_by),
            "utility": worth,
            "judged": utility(one, worths, judge) if judge else None,
            "values": {check: _value(whole(row)) for check, row in one.rows.items()},
        }
        for place, (one, worth) in enumerate(found, start=1)
    ]


def _place(one: Entry, worth: float | None) -> tuple[int, bool, float, float]:
    trained = next((n for n in (one.step, one.epoch) if n is not None), math.inf)
    return ORDER.index(one.outcome), worth is None, -(worth or 0.0), trained


def best(first: Json, one: Entry, worths: Sequence[Worth], halves: Split | None) -> Json | None:
    """The first of the leaderboard, its values on both halves; None unless it passes and has a utility."""
    if not one.passed or first["utility"] is None:
        return None
    choose, judge = halves or (None, None)
    weights = {worth.check: worth.weight for worth in worths}
    rows = [
        {
            "check": check,
            **{key: about(row)[key] for key in ("label", "better")},
            "weight": weights.get(check, 0.0),
            "choose": _half(value(row, choose)),
            "judge": _half(value(row, judge)) if judge else None,
        }
        for check, row in one.rows.items()
        if halvable(row)
    ]
    return {
        "lora": one.name,
        "step": one.step,
        "utility": first["utility"],
        "judged": first["judged"],
        "rows": sorted(rows, key=lambda row: -row["weight"]),
    }


def sentence(first: Json, found: Json | None, entries: Sequence[Entry], halves: Split | None) -> str:
    """Which is best and by how much, or why none is."""
    passing = sum(one.passed for one in entries)
    if found is None:
        if passing:
            return f"{passing} of {len(entries)} pass, but no row has values by which one is better"
        return f"none of {count(len(entries), 'LoRA')} passes every required row, so none is best"
    where = "" if first["step"] is None else f" (step {first['step']})"
    start = (
        f"best: {found['lora']}{where}, first of {passing} that pass"
        if passing > 1
        else (f"best: {found['lora']}{where}, the only one that passes")
    )
    if halves is None:
        return f"{start}, utility {found['utility']:.3f}; the prompts are too few to judge it on others"
    judged = "-" if found["judged"] is None else f"{found['judged']:.3f}"
    return (
        f"{start}, utility {found['utility']:.3f} on the {len(halves.choose)} prompts it was chosen by, "
        f"{judged} on {len(halves.judge)} others"
    )


def _half(found: Found | None) -> Json | None:
    return None if found is None else found._asdict()


def _value(found: Found | None) -> float | None:
    return None if found is None else found.value
