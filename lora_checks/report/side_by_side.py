"""Show the rows of several reports in one table: values, intervals and verdicts, each on its own prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lora_checks.core.words import number, printable
from lora_checks.record.regression.approved import Judged
from lora_checks.record.shapes import Row
from lora_checks.record.shapes.comparison import Compared, SideBySide, Value, Values
from lora_checks.report.tables import Line, as_csv

COLUMNS = (
    *("check", "report", "lora", "outcome", "value", "low", "high", "images"),
    *("difference", "difference_low", "difference_high", "not_compared"),
)


def values(reports: Sequence[Judged]) -> list[Values]:
    """Return each row that any of the reports has, in the order of the first that has it."""
    sides = [{row["check"]: row for row in judged.lora["rows"] if row["threshold"]} for judged in reports]
    checks = dict.fromkeys(check for side in sides for check in side)
    return [{"check": check, "of": [_value(side.get(check)) for side in sides]} for check in checks]


def _value(row: Row | None) -> Value | None:
    if row is None:
        return None
    m = row["measurement"]
    return {
        "value": m["value"] if m else None,
        "low": m["low"] if m else None,
        "high": m["high"] if m else None,
        "images": m["n"] if m else None,
        "outcome": row["outcome"],
    }


def table(document: SideBySide) -> list[list[str]]:
    """Return headings, the verdicts, and a line for each row: "0.612 [0.580, 0.644] PASS" of each report."""
    reports = document["reports"]
    heads = ["row", *(f"{i} {_label(report)}" for i, report in enumerate(reports, start=1))]
    verdicts = ["verdict", *(report["outcome"] for report in reports)]
    return [heads, verdicts, *([row["check"], *map(_cell, row["of"])] for row in document["values"])]


def page(document: SideBySide) -> dict[str, Any]:
    """Return the table for the page: the reports, and a line of cells for each row."""
    return {
        "reports": [
            {
                "label": printable(f"{i} {_label(report)}"),
                "path": printable(report["path"]),
                "outcome": report["outcome"],
            }
            for i, report in enumerate(document["reports"], start=1)
        ],
        "values": [
            {"check": printable(row["check"]), "cells": [value and _shown(value) for value in row["of"]]}
            for row in document["values"]
        ],
    }


def _shown(value: Value) -> dict[str, str]:
    return {"value": _number(value), "interval": _interval(value), "outcome": value["outcome"]}


def _label(report: Compared) -> str:
    scale = report["scale"]
    return report["lora"] if scale in (None, 1.0) else f"{report['lora']} at {scale:g}"


def _cell(value: Value | None) -> str:
    if value is None:
        return "-"
    return " ".join(filter(None, (_number(value), _interval(value), value["outcome"])))


def _number(value: Value) -> str:
    return "" if value["value"] is None else number(value["value"])


def _interval(value: Value) -> str:
    return "" if value["low"] is None else f"[{number(value['low'])}, {number(value['high'])}]"


def csv(document: SideBySide) -> str:
    """Render a line for each row and report, with the difference from the first report."""
    return as_csv(COLUMNS, _lines(document))


def _lines(document: SideBySide) -> Iterator[Line]:
    changes = {
        (pair["now"], change["check"]): change for pair in document["comparisons"] for change in pair["rows"]
    }
    for row in document["values"]:
        for i, (report, value) in enumerate(zip(document["reports"], row["of"], strict=True)):
            change = changes.get((i, row["check"]))
            yield {
                "check": row["check"],
                "report": report["path"],
                "lora": report["lora"],
                **(value or dict.fromkeys(("outcome", "value", "low", "high", "images"))),
                "difference": change["difference"] if change else None,
                "difference_low": change["low"] if change else None,
                "difference_high": change["high"] if change else None,
                "not_compared": change["not_compared"] if change else "",
            }
