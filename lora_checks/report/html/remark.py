"""Say in words what stands beside a row's value: what single images and the references score."""

from __future__ import annotations

from lora_checks.core.quantity import SHARES, missing_word
from lora_checks.core.words import count, number
from lora_checks.record import rows
from lora_checks.record.shapes import Row
from lora_checks.record.shapes.rows import Measurement
from lora_checks.report.vocabulary import OTHERS, folder

AMONG = {"halves": "halves of the images against each other", "seeds": "other seeds of the same prompts"}


def remarks(row: Row) -> list[str]:
    """Return the remarks beside a row; what its reason states already is left out."""
    m, threshold, before = row["measurement"], row["threshold"], row["details"].get("before")
    if m is None:
        return [rows.reason(row)] if row["outcome"] == "PASS" else []
    parts = [f"the policy calls this {row['band']}"] if row["band"] else []
    if before is not None:
        parts.append(f"{number(before)} before, {number(row['details']['value'], (before,))} now")
    elif m["extremes"] and row["outcome"] == "PASS":
        parts.append(f"single images {number(m['extremes'][0])} to {number(m['extremes'][1])}")
    if m["missing"] and m["stat"] != "missing":
        parts.append(f"{missing_word(m['metric'])} in {count(m['missing'], 'image')}")
    parts += _yardsticks(m)
    parts.append(m.get("note", ""))
    parts.append(rows.calibration(threshold["calibrated_on"] if threshold else None))
    return [part for part in parts if part]


def _yardsticks(m: Measurement) -> list[str]:
    """Return what the metric gives where nothing differs."""
    parts = []
    themselves = m["floor"] if m["floor"] is not None else m.get("themselves")
    if themselves is not None and m["stat"] not in SHARES:
        pictures = OTHERS.get(folder(m), folder(m) or "the references")
        parts.append(f"{pictures} against each other {number(themselves)}")
    again = [number(value) for value in m.get("reseeded") or ()]
    if again:
        among = m.get("reseeded_by", "")
        parts.append(f"{AMONG.get(among, among)} {' to '.join(again)}")
    return parts


def needs(row: Row) -> str:
    """Say which true values pass nearly always; "" if no bound judges the row."""
    at = rows.power(row)
    if len(at) != 2:
        return ""
    return f"A LoRA whose true value is {at[0]} passes this row in 90 % of runs, one with {at[1]} in 99 %."
