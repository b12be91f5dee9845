"""Each row's value over the training step, or over what else the LoRAs of the run differ in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, Literal

from lora_checks.core import quantity
from lora_checks.record.ranking.entry import Entry
from lora_checks.record.ranking.roles import role
from lora_checks.record.ranking.values import better, whole

Axis = Literal["step", "epoch", "scale", "rank"]
AXES: tuple[Axis, ...] = ("step", "epoch", "scale", "rank")


def axis_of(entries: Sequence[Entry]) -> Axis | None:
    """The first of steps, epochs, strengths and ranks that the LoRAs differ in."""
    for axis in AXES:
        if len({one.along(axis) for one in entries} - {None}) > 1:
            return axis
    return None


def series_names(entries: Sequence[Entry], axis: Axis | None) -> dict[str, str]:
    """LoRA -> of which line it is a point: its run, strength and rank, as far as several are on one axis."""
    runs = _short([one.run for one in entries if axis and one.along(axis) is not None])
    parts: dict[str, list[str]] = {one.name: [] for one in entries}
    for one in entries:
        parts[one.name] += [runs.get(one.run, "")] if len(runs) > 1 and axis in ("step", "epoch") else []
    for other, word in (("scale", "strength"), ("rank", "rank")):
        found = {one.name: one.along(other) for one in entries}
        told = {found[one.name] for one in entries if found[one.name] is not None or _has_values(one)}
        if other != axis and len(told) > 1:
            for name, this in found.items():
                parts[name] += [] if this is None else [f"{word} {this:g}"]
    if axis == "scale":
        for one in entries:
            parts[one.name].insert(0, one.name.rpartition(":")[0] or one.name)
    names = {name: ", ".join(filter(None, said)) for name, said in parts.items()}
    placed = {names[one.name] for one in entries if axis and one.along(axis) is not None}
    return names if len(placed) > 1 else dict.fromkeys(names, "")


def _has_values(one: Entry) -> bool:
    """Of a file that was refused, neither rank nor values are known: it is in no line."""
    return any(whole(row) is not None for row in one.rows.values())


def _short(runs: Sequence[str]) -> dict[str, str]:
    """Each run by the last part of its path, or by all of it where two would be the same."""
    names = {run: PurePath(run).name for run in runs}
    return names if len(set(names.values())) == len(names) else {run: run for run in names}


def curves(entries: Sequence[Entry], axis: Axis | None, names: dict[str, str]) -> list[dict[str, Any]]:
    """See `lora_checks.record.ranking`; a row without a value anywhere has none."""
    checks = dict.fromkeys(check for one in entries for check in one.rows)
    found = [_curve(check, entries, axis, names) for check in checks] if axis else []
    return [curve for curve in found if curve["series"]]


def _curve(check: str, entries: Sequence[Entry], axis: Axis, names: dict[str, str]) -> dict[str, Any]:
    lines: dict[str, list[dict[str, Any]]] = {}
    told: dict[str, Any] = {}
    for one in sorted(entries, key=lambda one: one.along(axis) or 0):
        row, x = one.rows.get(check), one.along(axis)
        found = whole(row)
        if row is None or found is None or x is None:
            continue
        told = told or about(row)
        point = {"lora": one.name, "x": x, "value": found.value, "low": found.low, "high": found.high}
        lines.setdefault(names[one.name], []).append(point | {"outcome": row["outcome"]})
    series = [{"name": name, "points": points} for name, points in lines.items()]
    return {"check": check, **told, "series": series}


def about(row: Any) -> dict[str, Any]:
    """What is the same for every LoRA of a row."""
    m, limits = row["measurement"], row.get("threshold") or {}
    return {
        "label": quantity.label(*(m[key] for key in ("metric", "stat", "at", "gain", "on"))),
        "better": better(row),
        "required": row["required"],
        "min": limits.get("min"),
        "max": limits.get("max"),
        "role": role(row),
    }
