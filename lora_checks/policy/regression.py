"""Read ``regression:`` of ``thresholds.yaml``: how much worse than the approved release a row may become."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from lora_checks.core.quantity import STATS_WITH_INTERVAL
from lora_checks.core.records import Allowance, Rule, Threshold
from lora_checks.policy.strict_yaml import Value, suggestion
from lora_checks.policy.thresholds_keys import ALLOWANCE


def allowances(value: Value, rows: Sequence[Threshold]) -> tuple[Allowance, ...]:
    """Read entries such as ``row: 0.02`` or ``row: {allowed: 0.02, rule: bound}``.

    The number is 0 or more, in the row's unit. The default rule is the row's. A metric's name may stand for
    the row if only one row measures it.
    """
    by_row: dict[str, Allowance] = {}
    for name, entry in value.mapping().items():
        row = _row(entry, name, rows)
        if row.name in by_row:
            raise entry.error(f"is the row '{row.name}', which {by_row[row.name].source} limits already")
        allowance = by_row[row.name] = _allowance(entry, row)
        if any(other.name == allowance.check for other in rows):
            raise entry.error(f"the name of its check, '{allowance.check}', is a row of 'checks:' already")
    if not by_row:
        raise value.error("names no row; remove the key, or say how much worse a row may become")
    return tuple(by_row.values())


def _row(entry: Value, name: str, rows: Sequence[Threshold]) -> Threshold:
    by_name = [row for row in rows if row.name == name]
    matches = by_name or [row for row in rows if row.metric == name]
    if not matches:
        raise entry.error(
            f"no row of 'checks:' has this name; {suggestion(name, [row.name for row in rows])}"
        )
    if len(matches) > 1:
        raise entry.error(
            f"{len(matches)} rows measure {name}; say which: {', '.join(row.name for row in matches)}"
        )
    return matches[0]


def _allowance(entry: Value, row: Threshold) -> Allowance:
    if not isinstance(entry.data, dict):
        return Allowance(row.name, entry.number(0), row.rule, entry.where)
    fields = entry.table(ALLOWANCE)
    rule = fields["rule"].choice(get_args(Rule)) if "rule" in fields else row.rule
    if rule == "bound" and row.stat not in STATS_WITH_INTERVAL:
        raise fields["rule"].error(
            f"'bound' needs an interval, and stat '{row.stat}' has none; use 'estimate'"
        )
    return Allowance(row.name, fields["allowed"].number(0), rule, entry.where)
