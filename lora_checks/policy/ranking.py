"""Read ``ranking:`` of ``thresholds.yaml``: how to order several LoRAs that pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lora_checks.core.records import Threshold, Weight
from lora_checks.policy.strict_yaml import Value, suggestion
from lora_checks.policy.thresholds_keys import WEIGHT


def weights(value: Value, rows: Sequence[Threshold]) -> tuple[Weight, ...]:
    """Read entries such as ``row: {weight: 2, from: 0.2, to: 0.8}``.

    A value at ``from`` scores 0 and at ``to`` 1, in the row's unit. ``weight`` is 1 by default. Rows that are
    not listed do not count.
    """
    by_name = {row.name: row for row in rows}
    entries = tuple(_weight(entry, name, by_name) for name, entry in value.mapping().items())
    if not entries:
        raise value.error("names no row; remove the key, or name the rows that the ranking counts")
    return entries


def _weight(value: Value, name: str, rows: Mapping[str, Threshold]) -> Weight:
    if name not in rows:
        raise value.error(f"no row of 'checks:' has this name; {suggestion(name, list(rows))}")
    fields = value.table(WEIGHT)
    worst, best = fields["from"].number(), fields["to"].number()
    weight = fields["weight"].number() if "weight" in fields else 1.0
    if weight <= 0:
        raise fields["weight"].error(
            f"must be above 0, not {weight:g}; leave out a row that should not count"
        )
    if worst == best:
        raise fields["to"].error(f"is the same as 'from', {worst:g}; every value would be worth the same")
    _refuse_against_the_limit(rows[name], fields, worst, best)
    return Weight(name, weight, worst, best, value.where)


def _refuse_against_the_limit(row: Threshold, fields: Mapping[str, Value], worst: float, best: float) -> None:
    """Check ``from`` and ``to`` against the direction that the row's only limit implies."""
    if row.min is not None and row.max is None and best < worst:
        raise fields["to"].error(
            f"{best:g} is below 'from', {worst:g}, but more is better: the row has 'min'; exchange the two"
        )
    if row.max is not None and row.min is None and best > worst:
        raise fields["to"].error(
            f"{best:g} is above 'from', {worst:g}, but less is better: the row has 'max'; exchange the two"
        )
