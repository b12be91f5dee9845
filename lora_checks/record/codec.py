"""Convert a `Verdict` to JSON and back, and to a row of the document."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any, cast

from lora_checks.core import direction
from lora_checks.core.records import Calibration, Measurement, Outcome, Threshold, Verdict
from lora_checks.core.records.questions import Question
from lora_checks.judge.verdict import band, margin
from lora_checks.record.shapes.rows import Need, Row
from lora_checks.stats import power

Json = dict[str, Any]


def verdict_to_json(verdict: Verdict) -> str:
    """Return the verdict as one line of ASCII, which pytest-xdist and the journal pass on unchanged.

    A number that is not finite becomes null, since JSON has no such number; nothing else is lost.
    """
    return json.dumps(plain(dataclasses.asdict(verdict)), allow_nan=False, sort_keys=True)


def verdict_from_json(text: str) -> Verdict:
    """Return the verdict that `verdict_to_json` wrote, in this version or an earlier one."""
    data = json.loads(text)
    data.setdefault("change_of", _change_of(data))
    threshold, measurement = data.pop("threshold"), data.pop("measurement")
    return Verdict(
        **(data | {"outcome": Outcome(data["outcome"])}),
        threshold=None if threshold is None else _threshold(threshold),
        measurement=None if measurement is None else _measurement(measurement),
    )


def _change_of(data: Mapping[str, Any]) -> str:
    """Return `Verdict.change_of` for a row that was written before the field existed."""
    judges_change = "before" in data["details"] and data["check"].startswith("regression-")
    return str(data["check"]).removeprefix("regression-") if judges_change else ""


def row(verdict: Verdict) -> Row:
    """Return the verdict as reports read it: its fields, and four values derived from them.

    ``band`` is the policy's word for the value, ``direction`` says which way is better, ``margin`` is the
    distance to the nearest limit in the metric's unit (negative outside the limits), and ``power`` holds the
    true values at which the row passes nearly always (`power.need`).
    """
    derived: Json = {"band": "", "direction": "", "margin": None, "power": None}
    if verdict.threshold is not None and verdict.measurement is not None:
        derived = {
            "band": band(verdict.threshold, verdict.measurement),
            "direction": direction.of_row(verdict.threshold, verdict.measurement),
            "margin": margin(verdict.measurement, verdict.threshold),
            "power": _power(verdict.measurement, verdict.threshold),
        }
    return cast(Row, plain(dataclasses.asdict(verdict) | derived))


def _power(measurement: Measurement, threshold: Threshold) -> list[Need] | None:
    needs = {chance: power.need(measurement, threshold, chance) for chance in power.CHANCES}
    known: list[Need] = [
        {"chance": chance, "least": need.least, "most": need.most} for chance, need in needs.items() if need
    ]
    return known or None


def _threshold(data: Mapping[str, Any]) -> Threshold:
    calibrated = data.get("calibrated_on")
    changed: Json = {"bands": _pairs(data["bands"])}
    changed |= {name: tuple(data[name]) for name in ("texts",) if name in data}
    if data.get("question") is not None:
        question = {name: tuple(data["question"][name]) for name in ("options", "good", "controls")}
        changed["question"] = Question(**(dict(data["question"]) | question))
    if calibrated is not None:
        lists = {name: tuple(calibrated[name]) for name in ("good", "bad")}
        changed["calibrated_on"] = Calibration(**(dict(calibrated) | lists))
    return Threshold(**(dict(data) | changed))


def _measurement(data: Mapping[str, Any]) -> Measurement:
    named = ("per_image", "nearest", "matches", "by_prompt")
    pairs = {name: _pairs(data.get(name, [])) for name in named}
    optional = {name: _tuple(data[name]) for name in ("worst", "extremes")}
    optional["reseeded"] = _tuple(data.get("reseeded", []))
    optional["points"] = _tuple(data.get("points"))
    value = math.nan if data["value"] is None else data["value"]
    return Measurement(**(dict(data) | pairs | optional | {"value": value}))


def _pairs(data: list[list[Any]]) -> tuple[tuple[Any, ...], ...]:
    return tuple(tuple(pair) for pair in data)


def _tuple(data: list[Any] | None) -> tuple[Any, ...] | None:
    return None if data is None else tuple(data)


def plain(value: Any) -> Any:
    """Return the value in JSON's types alone; a number that is not finite becomes null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, str):
        return str(value)  # Outcome -> its text
    return value if value is None or isinstance(value, bool | int) else str(value)
