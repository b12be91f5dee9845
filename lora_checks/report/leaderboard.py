"""Put ``document["ranking"]`` into words: a table of LoRAs, the best, and the effect of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from lora_checks.core.words import number
from lora_checks.record.rows import title
from lora_checks.record.shapes import Lora, Ranking
from lora_checks.record.shapes.ranking import Axis, BestRow, Place

AXES: tuple[Axis, ...] = get_args(Axis)


def headings(ranking: Ranking) -> list[str]:
    """Return the headings: "LoRA", what the LoRAs differ in, "utility", perhaps "judged", and "verdict"."""
    judged = ["judged"] if ranking["split"] else []
    return ["LoRA", *(word(axis) for axis in axes(ranking)), "utility", *judged, "verdict"]


def cells(ranking: Ranking, loras: Sequence[Lora]) -> list[list[str]]:
    """Return a row for each LoRA, the best first: its cells under `headings` without the verdict."""
    files = {lora["name"]: title(lora) for lora in loras}
    return [
        [
            files[entry["lora"]],
            *("-" if entry[axis] is None else f"{entry[axis]:g}" for axis in axes(ranking)),
            number(entry["utility"]),
            *([number(entry["judged"])] if ranking["split"] else []),
        ]
        for entry in ranking["leaderboard"]
    ]


def in_order(ranking: Ranking, loras: Sequence[Lora]) -> list[Lora]:
    """Return the LoRAs of the document in the order of the leaderboard."""
    by_name = {lora["name"]: lora for lora in loras}
    return [by_name[entry["lora"]] for entry in ranking["leaderboard"]]


def sentences(ranking: Ranking) -> list[str]:
    """Return sentences: the best LoRA, its values on both halves of the prompts, the rule and notes."""
    lines = [ranking["sentence"]]
    best, split = ranking["best"], ranking["split"]
    if best and split:
        sizes = len(split["choose"]), len(split["judge"])
        values = ", ".join(filter(None, map(_both, best["rows"])))
        lines.append(
            f"{best['lora']} on the {sizes[0]} prompts it was chosen by | {sizes[1]} others: {values}"
        )
    if ranking["gate_only"] and best:
        gates = f"no part in utility: {', '.join(ranking['gate_only'])}"
        lines.append(f"{ranking['rule']}; {gates}")
    return [*lines, *ranking["notes"]]


def _both(row: BestRow) -> str:
    choose, judge = row["choose"], row["judge"]
    return f"{row['check']} {number(choose['value'])} | {number(judge['value'])}" if choose and judge else ""


def axes(ranking: Ranking) -> list[Axis]:
    """Return the axes in which LoRAs differ, ignoring unknown values of refused files."""
    board = ranking["leaderboard"]
    return [
        axis
        for axis in AXES
        if len({entry[axis] for entry in board if entry[axis] is not None or _known(entry)}) > 1
    ]


def word(axis: str) -> str:
    """Return the name of an axis for people."""
    return "strength" if axis == "scale" else axis


def _known(entry: Place) -> bool:
    return any(value is not None for value in entry["values"].values())
