"""Say how the policy differs from the one that approved the last release.

Values can still be compared, because no limit affects them; but whoever approves must see a moved limit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from lora_checks.core.records import Threshold
from lora_checks.core.words import number

WORDS = frozenset({"name", "source", "why"})  # fields that decide nothing


def differences(
    before: Mapping[str, Threshold],
    now: Mapping[str, Threshold],
    parts_before: Mapping[str, str],
    parts: Mapping[str, str],
    regression: Collection[str] = (),
) -> list[str]:
    """Return a sentence for each limit that changed and one for each other part that changed.

    A limit that lets more pass than before is called "looser". A part of the policy may change only in its
    wording, such as a reason.

    Args:
        before: the rows of the earlier policy by name, the checks of ``regression:`` among them.
        now: the rows of this run's policy.
        parts_before: the digests of the earlier policy's parts.
        parts: the digests of this policy's parts.
        regression: the names of the rows that are checks of ``regression:``.
    """
    names = list({**before, **now})
    limits = [(check, text) for check in names for text in _of_row(before.get(check), now.get(check))]
    named = {"regression" if check in regression else "thresholds" for check, _ in limits}
    changed = [part for part in {**parts_before, **parts} if parts_before.get(part) != parts.get(part)]
    sentences = [f"{check}: {text}" for check, text in limits]
    return sentences + [f"{part} changed" for part in changed if part not in named]


def _of_row(before: Threshold | None, now: Threshold | None) -> list[str]:
    if before is None:
        return ["new row"]
    if now is None:
        return ["no such row any more, looser"]
    fields = [field.name for field in dataclasses.fields(Threshold) if field.name not in WORDS]
    return [
        f"{field} {_word(was, value)} -> {_word(value, was)}{', looser' * _looser(field, before, now)}"
        for field, was, value in ((field, getattr(before, field), getattr(now, field)) for field in fields)
        if was != value
    ]


def _looser(field: str, before: Threshold, now: Threshold) -> bool:
    """Tell whether this field alone lets something pass that could not pass before."""
    if field == "min":
        return before.min is not None and (now.min is None or now.min < before.min)
    if field == "max":
        return before.max is not None and (now.max is None or now.max > before.max)
    if field == "max_missing":
        return now.max_missing > before.max_missing
    return (field == "required" and before.required) or (field == "rule" and before.rule == "bound")


def _word(value: Any, unlike: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return number(value, (unlike,) if isinstance(unlike, float) else ())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return "another"
    if isinstance(value, tuple):
        return f"[{', '.join(_word(item, None) for item in value)}]"
    return "none" if value is None or value == "" else str(value)
