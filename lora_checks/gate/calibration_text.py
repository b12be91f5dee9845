"""Calibrated rows -> YAML to paste, with the measurements as comments."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from lora_checks.core.records import Calibration
from lora_checks.core.words import number, printable
from lora_checks.judge.calibration import Calibrated, Labelled
from lora_checks.judge.proposal import chance, span

WIDTH = 110
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_ ./-]*")  # quote the rest: some readers take 1e-4 as a number
_LONG = 60  # characters; longer texts are folded


@dataclass(frozen=True, slots=True)
class CalibratedRow:
    """A row's keys as its author wrote them, its measurements, and the calibration."""

    keys: Mapping[str, Any]
    good: Sequence[Labelled]
    again: Sequence[Labelled]
    bad: Sequence[Labelled]
    outcome: Calibrated


def document(heading: Sequence[str], rows: Sequence[CalibratedRow], ending: Sequence[str]) -> str:
    """Return the ``checks:`` of a thresholds.yaml."""
    parts = [*map(_comment, heading), "checks:"]
    for row in rows:
        parts += [textwrap.indent(_comment(line), "  ") for line in (*_measured(row), *row.outcome.sentences)]
        parts.append(textwrap.indent(dumped({row.outcome.row.name: keys(row)}), "  "))
    return "\n".join([*parts, *map(_comment, ending)])


def keys(row: CalibratedRow) -> dict[str, Any]:
    """Return the row's keys with the new limits, and what those were calibrated on."""
    changed = row.outcome.row
    merged = dict(row.keys)
    if not row.outcome.refused:
        merged |= {side: getattr(changed, side) for side in ("min", "max") if side in merged}
    if changed.calibrated_on is not None:
        merged["calibrated_on"] = _calibration(changed.calibrated_on)
    return merged


def _calibration(calibration: Calibration) -> dict[str, Any]:
    keys: dict[str, Any] = {"identity": calibration.identity, "good": list(calibration.good)}
    if calibration.bad:
        keys["bad"] = list(calibration.bad)
    if calibration.margin is not None:
        keys["margin"] = calibration.margin
    if calibration.n is not None:
        keys["n"] = calibration.n
    return keys


def _measured(row: CalibratedRow) -> list[str]:
    lines = [
        f"{label}: {_value(lora)}"
        for label, loras in (("good", row.good), ("good, other seeds", row.again), ("bad", row.bad))
        for lora in loras
    ]
    if all(lora.measurement is not None for lora in (*row.good, *row.again)):
        moved = chance([lora.seen for lora in row.good], [lora.seen for lora in row.again])
        lines.append(f"the good ones vary by {number(moved)} by chance")
    return lines


def _value(labelled: Labelled) -> str:
    if labelled.measurement is None:
        return f"{labelled.lora.name} has no value ({labelled.error})"
    m = labelled.measurement
    missing = f", {m.missing} of {m.n + m.missing} missing" if m.missing else ""
    return f"{labelled.lora.name} {span(labelled.seen)}{missing}"


def _comment(text: str) -> str:
    return textwrap.fill(
        printable(text), WIDTH - 4, initial_indent="# ", subsequent_indent="#   ", break_long_words=False
    )


class _Dumper(yaml.SafeDumper):
    """Write YAML that `lora_checks.policy.strict_yaml` reads back as the same values."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  # PyYAML's signature
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if _PLAIN.fullmatch(text) else '"'
    if len(text) > _LONG and " " in text and "\n" not in text:
        style = ">"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def dumped(value: Mapping[str, Any]) -> str:
    """Return YAML in block style, keys in their given order, without a final line end."""
    text = yaml.dump(dict(value), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=WIDTH - 10)
    return text.rstrip("\n")
