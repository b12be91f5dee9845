"""One LoRA of the document as ranking sees it: where it stands in its run, and its rows by check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lora_checks.lora.steps import epoch_of, run_of, step_of

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    name: str
    step: int | None
    epoch: int | None
    scale: float | None  # None where pictures were made elsewhere
    rank: int | None  # the largest, where layers differ
    run: str  # what the checkpoints of one training run have in common
    outcome: str
    stopped_by: tuple[str, ...]  # required checks that did not pass, or have no verdict
    rows: Mapping[str, Row]

    @property
    def passed(self) -> bool:
        return self.outcome == "PASS"

    def along(self, axis: str) -> float | None:
        """Its place on an axis of `curves`: "step", "epoch", "scale" or "rank"."""
        return {"step": self.step, "epoch": self.epoch, "scale": self.scale, "rank": self.rank}[axis]


def entry(lora: Row) -> Entry:
    path, facts = str(lora["path"] or lora["name"]), lora.get("facts") or {}
    step = lora["step"] if lora.get("step") is not None else step_of(path, facts)
    failed = [row["check"] for row in lora["rows"] if row["required"] and row["outcome"] != "PASS"]
    return Entry(
        name=lora["name"],
        step=step,
        epoch=epoch_of(path, facts),
        scale=lora.get("scale"),
        rank=max(lora.get("ranks") or (), default=None),
        run=run_of(path),
        outcome=lora["outcome"],
        stopped_by=(*failed, *lora["missing"]),
        rows={row["check"]: row for row in lora["rows"]},
    )
