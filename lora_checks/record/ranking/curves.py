"""Draw each row's value over the training step, or over whatever else varies between the LoRAs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from lora_checks.record.ranking.axes import Axis, axis_by, keys_of
from lora_checks.record.ranking.entry import Entry
from lora_checks.record.ranking.roles import role
from lora_checks.record.ranking.values import better, limits_of, whole
from lora_checks.record.rows import label
from lora_checks.record.shapes import Row
from lora_checks.record.shapes.ranking import About, Curve, Point, Series


def series_names(entries: Sequence[Entry], axis: Axis | None) -> dict[str, str]:
    """Return the line that each LoRA belongs to: its run, strength, rank and keys, if there are several.

    All names are "" where there is only one line.
    """
    runs = _short([entry.run for entry in entries if axis and axis.of(entry) is not None])
    parts: dict[str, list[str]] = {entry.name: [] for entry in entries}
    for entry in entries:
        trained = len(runs) > 1 and axis is not None and axis.of_training
        parts[entry.name] += [runs.get(entry.run, "")] if trained else []
    others = (("scale", "strength"), ("rank", "rank"))
    for other, word in others:
        places = {entry.name: entry.along(other) for entry in entries}
        known = {
            place for entry in entries if (place := places[entry.name]) is not None or _has_values(entry)
        }
        if axis and other != axis.name and len(known) > 1:
            for name, place in places.items():
                parts[name] += [] if place is None else [f"{word} {place:g}"]
    for key in _separating(entries, axis):
        for entry in entries:
            parts[entry.name] += [f"{key} {text}"] if (text := _said(entry, key)) else []
    if axis and axis.name == "scale":
        for entry in entries:
            parts[entry.name].insert(0, entry.name.rpartition(":")[0] or entry.name)
    names = {name: ", ".join(filter(None, words)) for name, words in parts.items()}
    lines = {names[entry.name] for entry in entries if axis and axis.of(entry) is not None}
    return names if len(lines) > 1 else dict.fromkeys(names, "")


def _separating(entries: Sequence[Entry], axis: Axis | None) -> list[str]:
    """Return the keys in which LoRAs at one place of the axis differ; checkpoints differ by their run."""
    if axis is None:
        return []
    steps = () if axis.of_training else ("step", "epoch")
    keys = [key for key in (*steps, *keys_of(entries)) if key != axis.name]
    return [key for key in keys if _differ_at_one_place(entries, axis, key)]


def _differ_at_one_place(entries: Sequence[Entry], axis: Axis, key: str) -> bool:
    places = axis_by(key, entries)
    seen: dict[tuple[float, str], set[float]] = {}
    for entry in entries:
        x, place = axis.of(entry), places.of(entry)
        if x is not None and place is not None:
            seen.setdefault((x, entry.run if axis.of_training else ""), set()).add(place)
    return any(len(found) > 1 for found in seen.values())


def _said(entry: Entry, key: str) -> str:
    place = {"step": entry.step, "epoch": entry.epoch}.get(key)
    return entry.text(key) if place is None else str(place)


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
    for entry in sorted(entries, key=lambda entry: axis.of(entry) or 0):
        row, x = entry.rows.get(check), axis.of(entry)
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
