"""Draw a row on one scale: value, interval, limits, floor and the images' values."""

from __future__ import annotations

from dataclasses import dataclass

from lora_checks.core.quantity import SHARES
from lora_checks.core.words import number
from lora_checks.judge.verdict import limits
from lora_checks.record.shapes import Row
from lora_checks.record.shapes.rows import Measurement

WIDTH, EDGE = 280.0, 6.0  # px: width of the drawing, and margin on either side
CLOSE = 46.0  # px between labels; closer ones are left out
LETTER = 6.2  # px, of the labels above the scale


@dataclass(frozen=True, slots=True)
class Mark:
    x: float
    text: str
    anchor: str  # of the text: "start", "middle" or "end"


@dataclass(frozen=True, slots=True)
class Drawing:
    """Positions in px from the left, within ``width``; None for missing parts."""

    value: float
    interval: tuple[float, float] | None
    forbidden: tuple[tuple[float, float], ...]  # left end and width of what lies outside the limits
    limits: tuple[Mark, ...]
    spread: tuple[float, float] | None  # the smallest and the largest value over the images
    ticks: str  # SVG path: one stroke per image
    references: tuple[Mark, ...]  # values that references or reseeded images give among themselves
    ends: tuple[Mark, ...]  # the ends of the scale
    words: str  # all of it as a sentence
    width: float = WIDTH


def drawing(row: Row) -> Drawing | None:
    """Return the drawing, or None for a row without a value, such as "file"."""
    m, (least, most) = row["measurement"], _limits(row)
    if not m or m["value"] is None:
        return None
    own = _own_values(m)
    marks = references(m)
    known = [m["value"], m["low"], m["high"], least, most, *own, *(value for value, _ in marks)]
    place = _Place([value for value in known if value is not None])
    labels = [
        _mark(place, limit, number(limit, (m["value"],))) for limit in (least, most) if limit is not None
    ]
    return Drawing(
        value=place(m["value"]),
        interval=None if m["low"] is None or m["high"] is None else (place(m["low"]), place(m["high"])),
        forbidden=_forbidden(place, least, most),
        limits=tuple(labels),
        spread=(place(min(own)), place(max(own))) if own else None,
        ticks="".join(f"M{place(value):.1f} 0v5" for value in own),
        references=_apart([_mark(place, value, text) for value, text in marks]),
        ends=_ends(place, labels),
        words=_words(m, (least, most), own),
    )


def _limits(row: Row) -> tuple[float | None, float | None]:
    threshold = row["threshold"]
    return (threshold["min"], threshold["max"]) if threshold else (None, None)


def references(m: Measurement) -> list[tuple[float, str]]:
    """Return values to compare with, which arise without a LoRA's effect, named as in the row's note."""
    floor, themselves = m["floor"], m.get("themselves")
    values = [(floor, "floor")] if floor is not None else []
    if not values and themselves is not None and m["stat"] not in SHARES:
        values.append((themselves, m["against"].partition(" ")[0]))
    return values + [(value, m["reseeded_by"]) for value in m.get("reseeded", ())]


def _own_values(m: Measurement) -> list[float]:
    """Return the images' values if they share the scale of the row's value."""
    if m["stat"] == "missing" or m["stat"] in SHARES:
        return []
    return [value for _, value in m["per_image"] if value is not None]


class _Place:
    """A map from values to px."""

    def __init__(self, values: list[float]) -> None:
        self.low, self.high = min(values), max(values)
        if self.low == self.high:
            self.low, self.high = self.low - 0.5, self.high + 0.5
        spare = 0.04 * (self.high - self.low)
        if not 0 <= self.low < spare:  # many scales end at zero
            self.low -= spare
        self.high += spare

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(EDGE + share * (WIDTH - 2 * EDGE), 1)


def _forbidden(place: _Place, least: float | None, most: float | None) -> tuple[tuple[float, float], ...]:
    parts = [(0.0, place(least))] if least is not None else []
    parts += [(place(most), round(WIDTH - place(most), 1))] if most is not None else []
    return tuple(parts)


def _mark(place: _Place, value: float, text: str) -> Mark:
    x = place(value)
    return Mark(x, text, "start" if x < 24 else "end" if x > WIDTH - 24 else "middle")


def _apart(marks: list[Mark]) -> tuple[Mark, ...]:
    """Drop labels that would overlap; their lines remain, and the note has the numbers."""
    placed: list[Mark] = []
    for mark in marks:
        near = any(
            abs(other.x - mark.x) < LETTER * (len(other.text) + len(mark.text)) / 2 + 12
            for other in placed
            if other.text
        )
        placed.append(Mark(mark.x, "", mark.anchor) if near else mark)
    return tuple(placed)


def _ends(place: _Place, labels: list[Mark]) -> tuple[Mark, ...]:
    ends = (Mark(0.0, number(place.low), "start"), Mark(WIDTH, number(place.high), "end"))
    return tuple(end for end in ends if all(abs(end.x - label.x) > CLOSE for label in labels))


def _words(m: Measurement, ends: tuple[float | None, float | None], own: list[float]) -> str:
    parts = [f"value {number(m['value'])}"]
    if m["low"] is not None and m["high"] is not None:
        parts.append(f"interval {number(m['low'])} to {number(m['high'])}")
    parts.append(limits(*ends, m["value"]))
    if own:
        parts.append(f"images {number(min(own))} to {number(max(own))}")
    parts += [f"{text} {number(value)}" for value, text in references(m)]
    return ", ".join(part for part in parts if part)
