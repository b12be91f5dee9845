"""``regression:`` of ``thresholds.yaml``: how much worse than the last approved release a row may become."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from lora_checks.core.quantity import STATS_WITH_INTERVAL
from lora_checks.core.records import Allowance, Rule, Threshold
from lora_checks.policy.strict_yaml import Value, suggestion


def allowances(value: Value, rows: Sequence[Threshold]) -> tuple[Allowance, ...]:
    """``row: 0.02``, or ``row: {allowed: 0.02, rule: bound}``; a metric's name serves where one row has it.

    The number is in the row's own unit, 0 or more. Judged by the row's own rule where none is named.
    """
    found: dict[str, Allowance] = {}
    for name, entry in value.mapping().items():
        row = _row(entry, name, rows)
        if row.name in found:
            raise entry.error(f"is the row '{row.name}', which {found[row.name].source} limits already")
        found[row.name] = _allowance(entry, row)
        if any(other.name == found[row.name].check for other in rows):
            raise entry.error(
                f"the name of its check, '{found[row.name].check}', is a row of 'checks:' already"
            )
    if not found:
        raise value.error("names no row; remove the key, or say how much worse a row may become")
    return tuple(found.values())


def _row(entry: Value, name: str, rows: Sequence[Threshold]) -> Threshold:
    by_name = [row for row in rows if row.name == name]
    found = by_name or [row for row in rows if row.metric == name]
    if not found:
        raise entry.error(f"no row of 'checks:' is called so; {suggestion(name, [row.name for row in rows])}")
    if len(found) > 1:
        raise entry.error(
            f"{len(found)} rows measure {name}; say which: {', '.join(row.name for row in found)}"
        )
    return found[0]


def _allowance(entry: Value, row: Threshold) -> Allowance:
    if not isinstance(entry.data, dict):
        return Allowance(row.name, entry.number(0), row.rule, entry.where)
    fields = entry.table(required=["allowed"], optional=["rule"])
    rule = fields["rule"].choice(get_args(Rule)) if "rule" in fields else row.rule
    if rule == "bound" and row.stat not in STATS_WITH_INTERVAL:
        raise fields["rule"].error(
            f"'bound' needs an interval, and stat '{row.stat}' has none; use 'estimate'"
        )
    return Allowance(row.name, fields["allowed"].number(0), rule, entry.where)
