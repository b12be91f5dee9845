"""Put the ``baseline`` of a document into words, shared by all renderers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import PurePath

from lora_checks.core import direction
from lora_checks.core.words import count, number
from lora_checks.record.shapes.comparison import Baseline, Change

HEADINGS = ("row", "before", "now", "difference", "95 % interval", "allowed", "worsened most")
NAMED = 2  # prompts in a table's cell
MOST = 4  # rows that a sentence names


def lines(section: Baseline | None) -> list[str]:
    """Return sentences: what the run was compared with, how the policies differ, what was not compared."""
    if not section:
        return []
    sentences = [f"{heading(section)}: {section['note']}" if section["note"] else heading(section)]
    if not section["path"]:
        sentences = [section["note"]]
    if section["policy_differences"]:
        sentences.append(
            f"the policy differs from the baseline's: {'; '.join(section['policy_differences'])}"
        )
    sentences += [f"not the same: {note}" for note in section["notes"]]
    return [*sentences, *obstacles(section["rows"]), *_unlimited(section["rows"])]


def heading(section: Baseline) -> str:
    """Return "compared with good 0518e9 of 2026-11-02 (approved.json)"."""
    name = " ".join(part for part in (section["lora"], section["lora_sha256"][:6]) if part)
    day = f" of {section['finished'][:10]}" if section["finished"] else ""
    return f"compared with {name}{day} ({PurePath(section['path']).name})"


def obstacles(rows: Sequence[Change]) -> list[str]:
    """Return each reason why rows were not compared, once; rows with a verdict state their own reason."""
    checks_by_reason: dict[str, list[str]] = {}
    for row in rows:
        if row["not_compared"] and not row["outcome"]:
            checks_by_reason.setdefault(row["not_compared"], []).append(row["check"])
    return [
        f"not compared: {_some(list(dict.fromkeys(checks)))}: {why}"
        for why, checks in checks_by_reason.items()
    ]


def _unlimited(rows: Sequence[Change]) -> list[str]:
    """Name rows that became significantly worse but have no limit in the policy."""
    worse = [row for row in rows if row["allowed"] is None and surely(row) == "worse"]
    return [
        f"worse than the baseline, which no limit forbids: {_some([*_named(of_lora, rows)])}"
        for _, of_lora in groupby(worse, key=lambda row: row["lora"])
    ]


def _named(worse: Iterable[Change], rows: Sequence[Change]) -> Iterable[str]:
    several = len({row["lora"] for row in rows}) > 1
    for row in worse:
        where = f"{row['lora']}: " if several else ""
        yield f"{where}{row['check']} {number(row['before'])} -> {number(row['value'])}, {difference(row)}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return ", ".join(names[:MOST]) + more


def surely(row: Change) -> str:
    """Return "better" or "worse" if the interval excludes zero, else ""."""
    if row["low"] is None or row["high"] is None or row["low"] <= 0 <= row["high"]:
        return ""
    return direction.word(row["low"], row["better"])


def difference(row: Change) -> str:
    """Return "-0.031 [-0.045, -0.018]"."""
    return " ".join(part for part in (number(row["difference"]), interval(row)) if part)


def interval(row: Change) -> str:
    """Return the interval; for the rule "bound", each end holds at 95 %, not both together."""
    if row["low"] is None or row["high"] is None:
        return ""
    return f"[{number(row['low'])}, {number(row['high'])}]"


def columns(row: Change) -> tuple[str, ...]:
    """Return the cells under `HEADINGS`; the last gives the reason if the row was not compared."""
    allowed = "" if row["allowed"] is None else number(row["allowed"])
    if row["not_compared"]:
        return (row["check"], "", "", "", "", allowed, f"not compared: {row['not_compared']}")
    values = (number(row["before"]), number(row["value"]), number(row["difference"]))
    return (row["check"], *values, interval(row), allowed, note(row))


def note(row: Change) -> str:
    """Name the prompts that worsened most, and count the images that were left out."""
    worst = [
        f"{prompt} {number(moved)}"
        for prompt, _, _, moved in row["prompts"]
        if moved and direction.word(moved, row["better"]) == "worse"
    ]
    parts = [surely(row), ", ".join(worst[:NAMED])]
    unpaired = (
        (row["lost"], "lost their value"),
        (row["found"], "had none before"),
        (row["absent"], "of one run"),
    )
    parts += [f"{count(n, 'image')} {words}" for n, words in unpaired if n]
    parts.append(_KINDS.get(row["kind"], "") if row["low"] is None else "")
    return "; ".join(part for part in parts if part)


_KINDS = {
    "set": "one value of all images, without an interval",
    "value": "no interval for this stat",
    "images": "too few prompts for an interval",
}
