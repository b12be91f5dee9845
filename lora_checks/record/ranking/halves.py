"""Half of the prompts to choose the best by, the other half to judge it by."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from lora_checks.core.quantity import prompt_of
from lora_checks.record.ranking.entry import Entry
from lora_checks.record.ranking.values import halvable

LEAST = 8  # prompts; a half of fewer than 4 says nothing


class Split(NamedTuple):
    choose: tuple[str, ...]
    judge: tuple[str, ...]


def split(entries: Sequence[Entry]) -> Split | None:
    """Prompts in the order of their ids' SHA-256, alternately to either half; None where they are too few.

    The halves depend on the ids alone: not on values, on the order of the prompts, nor on which LoRAs are in
    the run. Prompts that the same rows are about are halved among themselves, so that a row of few prompts
    (`tagged:`) is in both halves.
    """
    rows_of: dict[str, set[str]] = {}
    for one in entries:
        for check, row in one.rows.items():
            if halvable(row):
                for name, _ in row["measurement"]["per_image"]:
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
