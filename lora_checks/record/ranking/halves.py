"""Split the prompts into one half to choose the best LoRA by and one half to judge it by."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from lora_checks.core.quantity import prompt_of
from lora_checks.record.ranking.entry import Entry
from lora_checks.record.ranking.values import by_image

LEAST = 8  # prompts; a half of fewer than 4 says too little


class Split(NamedTuple):
    """The prompt ids of the two halves."""

    choose: tuple[str, ...]
    judge: tuple[str, ...]


def split(entries: Sequence[Entry]) -> Split | None:
    """Return the two halves of the prompts; None if there are too few.

    Prompts go to the halves in turn, in the order of their ids' SHA-256. So the halves depend on the ids
    alone, not on the values, the order of the prompts or the LoRAs of the run. Prompts that the same rows
    measure are split among themselves, so that a row about few prompts (`tagged:`) is in both halves.
    """
    rows_of: dict[str, set[str]] = {}
    for entry in entries:
        for check, row in entry.rows.items():
            if m := by_image(row):
                for name, _ in m["per_image"]:
                    rows_of.setdefault(prompt_of(name), set()).add(check)
    if len(rows_of) < LEAST:
        return None
    groups: dict[tuple[str, ...], list[str]] = {}
    for prompt in sorted(rows_of, key=_shuffled):
        groups.setdefault(tuple(sorted(rows_of[prompt])), []).append(prompt)
    choose = [prompt for group in groups.values() for prompt in group[0::2]]
    judge = [prompt for group in groups.values() for prompt in group[1::2]]
    return Split(tuple(sorted(choose)), tuple(sorted(judge)))


def _shuffled(prompt: str) -> str:
    return hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()
