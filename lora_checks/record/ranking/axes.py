"""Find what the LoRAs of a run differ in, for the x of the curves and the columns of the leaderboard.

Steps, epochs, strengths and ranks are numbers. Any other key may be text: one that the names of pictures or
the policy's ``axes:`` give, or a fact of the LoRA's metadata. Texts that are numbers but for what all of them
share, such as 512px and 1024px, are numbers too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lora_checks.record.ranking.entry import Entry

NUMBERED = ("step", "epoch", "scale", "rank")
# Facts of the metadata that are choices of a trainer, in the order in which they are tried.
FACTS = (
    *("resolution", "network dim", "network alpha", "learning rate", "text encoder rate", "batch"),
    *("images", "optimizer", "scheduler", "network args", "clip skip", "network"),
)
_NUMBER = re.compile(r"(\D*?)([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(\D*)", re.IGNORECASE | re.ASCII)
_SQUARE = re.compile(r"\(?(\d+) ?[,x] ?(\1)\)?")


@dataclass(frozen=True, slots=True)
class Axis:
    """Where each LoRA stands; in an f-string it is its name."""

    name: str
    places: Mapping[str, float]  # by the LoRA's name, without those of unknown place
    categories: tuple[str, ...] = ()  # the texts at 0, 1, ...; () for numbers

    def __str__(self) -> str:
        return self.name

    @property
    def of_training(self) -> bool:
        return self.name in ("step", "epoch")

    def of(self, entry: Entry) -> float | None:
        """Return the LoRA's place; None if it is not known."""
        return self.places.get(entry.name)


def axis_of(entries: Sequence[Entry], asked: str = "") -> Axis | None:
    """Return the axis that was asked for, else the first that the LoRAs differ in; None if there is none.

    The order is: steps, epochs, strengths, ranks, the keys that names or the policy give, and `FACTS`.
    """
    tried = [asked] if asked else [*NUMBERED, *keys_of(entries), *FACTS]
    return next((axis for axis in (axis_by(name, entries) for name in tried) if _differs(axis)), None)


def keys_of(entries: Sequence[Entry]) -> list[str]:
    """Return the keys that names or the policy give, in order."""
    keys = dict.fromkeys(key for entry in entries for key in entry.keys)
    return [key for key in keys if key not in NUMBERED]


def shown_keys(entries: Sequence[Entry], axis: str | None) -> list[str]:
    """Return the keys that tables show: those of names or the policy, and the axis if it is another one."""
    of_metadata = [axis] if axis and axis not in NUMBERED else []
    return list(dict.fromkeys([*keys_of(entries), *of_metadata]))


def axis_by(name: str, entries: Sequence[Entry]) -> Axis:
    """Return where the LoRAs stand on the axis of that name."""
    if name in NUMBERED:
        numbered = {entry.name: entry.along(name) for entry in entries}
        return Axis(name, {lora: place for lora, place in numbered.items() if place is not None})
    texts = {entry.name: text for entry in entries if (text := entry.text(name))}
    numbers = numbers_of(list(texts.values()))
    if numbers is not None:
        return Axis(name, dict(zip(texts, numbers, strict=True)))
    categories = tuple(sorted(set(texts.values()), key=_natural))
    return Axis(name, {lora: categories.index(text) for lora, text in texts.items()}, categories)


def numbers_of(texts: Sequence[str]) -> list[float] | None:
    """Return the texts as numbers if they differ in a number only, as 512 and 1024, or r4 and r16."""
    plain = [_SQUARE.sub(r"\1", text.strip()) for text in texts]
    matches = [_NUMBER.fullmatch(text) for text in plain]
    parts = [(match[1], match[3]) for match in matches if match]
    if len(parts) < len(texts) or len(set(parts)) > 1:
        return None
    numbers = [float(match[2]) for match in matches if match]
    return numbers if all(map(math.isfinite, numbers)) else None


def _differs(axis: Axis) -> bool:
    return len(set(axis.places.values())) > 1


def _natural(text: str) -> list[tuple[bool, float, str]]:
    parts = re.split(r"([0-9]+)", text.casefold())
    return [(bool(i % 2), float(part) if i % 2 else 0.0, part) for i, part in enumerate(parts)]
