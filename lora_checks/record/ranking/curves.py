"""Draw each row's value over the training step, or over whatever else varies between the LoRAs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import get_args

from lora_checks.record.ranking.entry import Entry
from lora_checks.record.ranking.roles import role
from lora_checks.record.ranking.values import better, limits_of, whole
from lora_checks.record.rows import label
from lora_checks.record.shapes import Row
from lora_checks.record.shapes.ranking import About, Axis, Curve, Point, Series

AXES: tuple[Axis, ...] = get_args(Axis)


def axis_of(entries: Sequence[Entry]) -> Axis | None:
    """Return the first of steps, epochs, strengths and ranks that the LoRAs differ in."""
    for axis in AXES:
        if len({entry.along(axis) for entry in entries} - {None}) > 1:
            return axis
    return None


def series_names(entries: Sequence[Entry], axis: Axis | None) -> dict[str, str]:
    """Return the line that each LoRA belongs to: its run, strength and rank, if there are several.

    All names are "" where there is only one line.
    """
    runs = _short([entry.run for entry in entries if axis and entry.along(axis) is not None])
    parts: dict[str, list[str]] = {entry.name: [] for entry in entries}
    for entry in entries:
        trained = len(runs) > 1 and axis in ("step", "epoch")
        parts[entry.name] += [runs.get(entry.run, "")] if trained else []
    others: tuple[tuple[Axis, str], ...] = (("scale", "strength"), ("rank", "rank"))
    for other, word in others:
        places = {entry.name: entry.along(other) for entry in entries}
        known = {
            place for entry in entries if (place := places[entry.name]) is not None or _has_values(entry)
        }
        if other != axis and len(known) > 1:
            for name, place in places.items():
                parts[name] += [] if place is None else [f"{word} {place:g}"]
    if axis == "scale":
        for entry in entries:
            parts[entry.name].insert(0, entry.name.rpartition(":")[0] or entry.name)
    names = {name: ", ".join(filter(None, words)) for name, words in parts.items()}
    lines = {names[entry.name] for entry in entries if axis and entry.along(axis) is not None}
    return names if len(lines) > 1 else dict.fromkeys(names, "")


def _has_values(entry: Entry) -> bool:
    """Tell whether any row has a value; a refused file has neither rank nor values, and no line."""
    return any(whole(row) is not None for row in entry.rows.values())


def _short(runs: Sequence[str]) -> dict[str, str]:
    """Name each run by the last part of its path, or by the whole path if two runs would share a name."""
    names = {run: PurePath(run).name for run in runs}
    return names if len(set(names.values())) == len(names) else {run: run for run in names}


def curves(entries: Sequence[Entry], axis: Axis | None, names: dict[str, str]) -> list[Curve]:
    """Return a curve for each row that has a value for any LoRA; see `lora_checks.record.ranking`."""
    checks = dict.fromkeys(check for entry in entries for check in entry.rows)
    drawn = [_curve(check, entries, axis, names) for check in checks] if axis else []
    return [curve for curve in drawn if curve is not None]


def _curve(check: str, entries: Sequence[Entry], axis: Axis, names: dict[str, str]) -> Curve | None:
    lines: dict[str, list[Point]] = {}
    shared: About | None = None
    for entry in sorted(entries, key=lambda entry: entry.along(axis) or 0):
        row, x = entry.rows.get(check), entry.along(axis)
        value = whole(row)
        if row is None or value is None or x is None:
            continue
        shared = shared or about(row)
        point: Point = {
            "lora": entry.name,
            "x": x,
            "value": value.value,
            "low": value.low,
            "high": value.high,
            "outcome": row["outcome"],
        }
        lines.setdefault(names[entry.name], []).append(point)
    series: list[Series] = [{"name": name, "points": points} for name, points in lines.items()]
    return {"check": check, **shared, "series": series} if shared else None


def about(row: Row) -> About:
    """Return what is the same for every LoRA of a row."""
    m, (low, high) = row["measurement"], limits_of(row)
    return {
        "label": label(m) if m else "",
        "better": better(row),
        "required": row["required"],
        "min": low,
        "max": high,
        "role": role(row),
    }
