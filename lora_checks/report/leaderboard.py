"""Put ``document["ranking"]`` into words: a table of LoRAs, the best, and the effect of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

from lora_checks.core.words import number
from lora_checks.record.rows import title
from lora_checks.record.shapes import Lora, Ranking
from lora_checks.record.shapes.ranking import BestRow, Numbered, Place

NUMBERED: tuple[Numbered, ...] = get_args(Numbered)


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
            *(place_on(entry, axis) or "-" for axis in axes(ranking)),
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


def axes(ranking: Ranking) -> list[str]:
    """Return the axes and keys in which LoRAs differ, ignoring unknown values of refused files."""
    board = ranking["leaderboard"]
    keys = dict.fromkeys(key for entry in board for key in entry.get("keys", {}))
    return [
        axis
        for axis in (*NUMBERED, *keys)
        if len({place_on(entry, axis) for entry in board if place_on(entry, axis) or _known(entry)}) > 1
    ]


def place_on(entry: Place, axis: str) -> str:
    """Return where a LoRA stands on an axis; "" if that is not known."""
    number: Mapping[str, float | None] = {name: entry[name] for name in NUMBERED}
    if axis not in number:
        return entry.get("keys", {}).get(axis, "")
    place = number[axis]
    return "" if place is None else f"{place:g}"


def word(axis: str) -> str:
    """Return the name of an axis for people."""
    return "strength" if axis == "scale" else axis


def _known(entry: Place) -> bool:
    return any(value is not None for value in entry["values"].values())
