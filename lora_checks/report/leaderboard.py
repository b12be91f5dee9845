"""``document["ranking"]`` in words: a table of several LoRAs, the best of them, and what a run did to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lora_checks.core.words import number
from lora_checks.record.rows import Row, title

AXES = ("step", "epoch", "scale", "rank")


def headings(ranking: Row) -> list[str]:
    """ "LoRA", then what the LoRAs differ in, "utility", "judged" where there are halves, and "verdict"."""
    judged = ["judged"] if ranking["split"] else []
    return ["LoRA", *(word(axis) for axis in axes(ranking)), "utility", *judged, "verdict"]


def cells(ranking: Row, loras: Sequence[Row]) -> list[list[str]]:
    """A line for each LoRA, the best first: its cells under `headings`, but for the verdict."""
    files = {lora["name"]: title(lora) for lora in loras}
    return [
        [
            files[one["lora"]],
            *("-" if one[axis] is None else f"{one[axis]:g}" for axis in axes(ranking)),
            number(one["utility"]),
            *([number(one["judged"])] if ranking["split"] else []),
        ]
        for one in ranking["leaderboard"]
    ]


def in_order(ranking: Row, loras: Sequence[Row]) -> list[Row]:
    """The LoRAs of the document as the leaderboard has them."""
    by_name = {lora["name"]: lora for lora in loras}
    return [by_name[one["lora"]] for one in ranking["leaderboard"]]


def sentences(ranking: Mapping[str, Any]) -> list[str]:
    """The best, its values on the halves of the prompts, and what the run did to it."""
    said = [ranking["sentence"]]
    best = ranking["best"]
    if best and ranking["split"]:
        sizes = [len(ranking["split"][half]) for half in ("choose", "judge")]
        values = ", ".join(_both(row) for row in best["rows"] if row["judge"] and row["choose"])
        said.append(
            f"{best['lora']} on the {sizes[0]} prompts it was chosen by | {sizes[1]} others: {values}"
        )
    if ranking["gate_only"] and best:
        gates = f"no part in utility: {', '.join(ranking['gate_only'])}"
        said.append(f"{ranking['rule']}; {gates}")
    return [*said, *ranking["notes"]]


def _both(row: Row) -> str:
    return f"{row['check']} {number(row['choose']['value'])} | {number(row['judge']['value'])}"


def axes(ranking: Row) -> list[str]:
    """What the LoRAs differ in; not in what is unknown of a file that was refused."""
    board = ranking["leaderboard"]
    return [
        axis for axis in AXES if len({one[axis] for one in board if one[axis] is not None or _known(one)}) > 1
    ]


def word(axis: str) -> str:
    """As people say it."""
    return "strength" if axis == "scale" else axis


def _known(one: Row) -> bool:
    return any(value is not None for value in one["values"].values())
