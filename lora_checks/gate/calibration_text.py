"""Calibrated rows -> YAML to paste, with what was measured as comments."""

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
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_ ./-]*")  # the rest is quoted: 1e-4 is a number to some readers
_LONG = 60  # characters from which on a text is folded


@dataclass(frozen=True, slots=True)
class Found:
    """A row's own keys as its author wrote them, what was measured, and what came of it."""

    keys: Mapping[str, Any]
    good: Sequence[Labelled]
    again: Sequence[Labelled]
    bad: Sequence[Labelled]
    outcome: Calibrated


def document(heading: Sequence[str], rows: Sequence[Found], ending: Sequence[str]) -> str:
    """The ``checks:`` of a thresholds.yaml."""
    parts = [*map(_comment, heading), "checks:"]
    for row in rows:
        parts += [textwrap.indent(_comment(line), "  ") for line in (*_measured(row), *row.outcome.sentences)]
        parts.append(textwrap.indent(dumped({row.outcome.row.name: keys(row)}), "  "))
    return "\n".join([*parts, *map(_comment, ending)])


def keys(row: Found) -> dict[str, Any]:
    """Every key that the row has, with the new limits, and what they were taken from."""
    changed = row.outcome.row
    merged = dict(row.keys)
    if not row.outcome.refused:
        merged |= {side: getattr(changed, side) for side in ("min", "max") if side in merged}
    if changed.calibrated_on is not None:
        merged["calibrated_on"] = _calibration(changed.calibrated_on)
    return merged


def _calibration(said: Calibration) -> dict[str, Any]:
    found: dict[str, Any] = {"identity": said.identity, "good": list(said.good)}
    if said.bad:
        found["bad"] = list(said.bad)
    if said.margin is not None:
        found["margin"] = said.margin
    if said.n is not None:
        found["n"] = said.n
    return found


def _measured(row: Found) -> list[str]:
    lines = [
        f"{label}: {_one(one)}"
        for label, found in (("good", row.good), ("good, other seeds", row.again), ("bad", row.bad))
        for one in found
    ]
    if all(one.measurement is not None for one in (*row.good, *row.again)):
        moved = chance([one.seen for one in row.good], [one.seen for one in row.again])
        lines.append(f"by chance the good move by {number(moved)}")
    return lines


def _one(one: Labelled) -> str:
    if one.measurement is None:
        return f"{one.lora.name} without a value ({one.error})"
    m = one.measurement
    missing = f", {m.missing} of {m.n + m.missing} missing" if m.missing else ""
    return f"{one.lora.name} {span(one.seen)}{missing}"


def _comment(text: str) -> str:
    return textwrap.fill(
        printable(text), WIDTH - 4, initial_indent="# ", subsequent_indent="#   ", break_long_words=False
    )


class _Dumper(yaml.SafeDumper):
    """Writes what `lora_checks.policy.strict_yaml` reads back as the same."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  # PyYAML's signature
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if _PLAIN.fullmatch(text) else '"'
    if len(text) > _LONG and " " in text and "\n" not in text:
        style = ">"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def dumped(value: Mapping[str, Any]) -> str:
    """Block style, keys in the order given, no line end at the end."""
    text = yaml.dump(dict(value), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=WIDTH - 10)
    return text.rstrip("\n")
