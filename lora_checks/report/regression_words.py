"""Put the ``baseline`` of a document into words, shared by all renderers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import PurePath
from typing import Any

from lora_checks.core import direction
from lora_checks.core.words import count, number

Row = Mapping[str, Any]
HEADINGS = ("row", "before", "now", "difference", "95 % interval", "allowed", "worsened most")
NAMED = 2  # prompts in a table's cell
MOST = 4  # rows that a sentence names


def lines(section: Row | None) -> list[str]:
    """Return sentences: what the run was compared with, how the policies differ, what was not compared."""
    if not section:
        return []
    found = [f"{heading(section)}: {section['note']}" if section["note"] else heading(section)]
    if not section["path"]:
        found = [section["note"]]
    if section["policy_differences"]:
        found.append(f"the policy differs from the baseline's: {'; '.join(section['policy_differences'])}")
    found += [f"not the same: {note}" for note in section["notes"]]
    return [*found, *obstacles(section["rows"]), *_unlimited(section["rows"])]


def heading(section: Row) -> str:
    """Return "compared with good 0518e9 of 2026-11-02 (approved.json)"."""
    name = " ".join(part for part in (section["lora"], section["lora_sha256"][:6]) if part)
    day = f" of {section['finished'][:10]}" if section["finished"] else ""
    return f"compared with {name}{day} ({PurePath(section['path']).name})"


def obstacles(rows: Sequence[Row]) -> list[str]:
    """Return each reason why rows were not compared, once; rows with a verdict state their own reason."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row["not_compared"] and not row["outcome"]:
            found.setdefault(row["not_compared"], []).append(row["check"])
    return [f"not compared: {_some(list(dict.fromkeys(checks)))}: {why}" for why, checks in found.items()]


def _unlimited(rows: Sequence[Row]) -> list[str]:
    """Name rows that became significantly worse but have no limit in the policy."""
    worse = [row for row in rows if row["allowed"] is None and surely(row) == "worse"]
    return [
        f"worse than the baseline, which no limit forbids: {_some([*_named(found, rows)])}"
        for _, found in groupby(worse, key=lambda row: row["lora"])
    ]


def _named(worse: Iterable[Row], rows: Sequence[Row]) -> Iterable[str]:
    several = len({row["lora"] for row in rows}) > 1
    for row in worse:
        where = f"{row['lora']}: " if several else ""
        yield f"{where}{row['check']} {number(row['before'])} -> {number(row['value'])}, {difference(row)}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return ", ".join(names[:MOST]) + more


def surely(row: Row) -> str:
    """Return "better" or "worse" if the interval excludes zero, else ""."""
    if row["low"] is None or row["high"] is None or row["low"] <= 0 <= row["high"]:
        return ""
    return direction.word(row["low"], row["better"])


def difference(row: Row) -> str:
    """Return "-0.031 [-0.045, -0.018]"."""
    return " ".join(part for part in (number(row["difference"]), interval(row)) if part)


def interval(row: Row) -> str:
    """Return the interval; for the rule "bound", each end holds at 95 %, not both together."""
    if row["low"] is None or row["high"] is None:
        return ""
    return f"[{number(row['low'])}, {number(row['high'])}]"


def columns(row: Row) -> tuple[str, ...]:
    """Return the cells under `HEADINGS`; the last gives the reason if the row was not compared."""
    allowed = "" if row["allowed"] is None else number(row["allowed"])
    if row["not_compared"]:
        return (row["check"], "", "", "", "", allowed, f"not compared: {row['not_compared']}")
    values = (number(row["before"]), number(row["value"]), number(row["difference"]))
    return (row["check"], *values, interval(row), allowed, note(row))


def note(row: Row) -> str:
    """Name the prompts that worsened most, and count the images that were left out."""
    worst = [
        f"{prompt} {number(moved)}"
        for prompt, _, _, moved in row["prompts"]
        if direction.worsening(moved, row["better"]) > 0
    ]
    parts = [surely(row), ", ".join(worst[:NAMED])]
    for key, words in (("lost", "lost their value"), ("found", "had none before"), ("absent", "of one run")):
        parts.append(f"{count(row[key], 'image')} {words}" if row[key] else "")
    parts.append(_KINDS.get(row["kind"], "") if row["low"] is None else "")
    return "; ".join(part for part in parts if part)


_KINDS = {
    "set": "one value of all images, without an interval",
    "value": "no interval for this stat",
    "images": "too few prompts for an interval",
}
