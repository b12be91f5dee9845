"""Reduce two judged LoRAs to the prompts that both of their runs have."""

from __future__ import annotations

from dataclasses import replace

from lora_checks.core import quantity
from lora_checks.core.records import Measurement
from lora_checks.record.regression import comparable
from lora_checks.record.regression.approved import Judged
from lora_checks.record.shapes import Lora, Row, Run

OF_ALL = "it is one value of all of its prompts, and the two runs have others"


def on_shared(before: Judged, now: Judged) -> tuple[Judged, Judged, list[str]]:
    """Return both on the prompts that they share, and a note; unchanged if these are all or none."""
    shared = comparable.shared_prompts(before.run, now.run)
    if not shared:
        return before, now, []
    sizes = [len(judged.run.get("prompts") or ()) for judged in (before, now)]
    note = f"prompts: compared on {len(shared)} that both have, of {sizes[0]} before and {sizes[1]} now"
    return _only(before, shared), _only(now, shared), [note]


def needs_all(measurement: Measurement) -> bool:
    """Tell whether a value cannot be computed anew from the images of some of its prompts."""
    return not measurement.per_image or measurement.stat not in quantity.STATS_WITH_INTERVAL


def _only(judged: Judged, prompts: frozenset[str]) -> Judged:
    run: Run = {**judged.run, "prompts": [p for p in judged.run["prompts"] if p["id"] in prompts]}
    lora: Lora = {**judged.lora, "rows": [_row(row, prompts) for row in judged.lora["rows"]]}
    return replace(judged, run=run, lora=lora)


def _row(row: Row, prompts: frozenset[str]) -> Row:
    measured = row["measurement"]
    if measured is None:
        return row
    kept = [pair for pair in measured["per_image"] if quantity.prompt_of(pair[0]) in prompts]
    return {**row, "measurement": {**measured, "per_image": kept}}
