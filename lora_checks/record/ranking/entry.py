"""Read a LoRA of the document for ranking: its place in the training run, and its rows by check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lora_checks.judge.verdict import RunOutcome
from lora_checks.lora.steps import PICTURES_OF, epoch_of, run_of, step_of
from lora_checks.record.shapes import Lora, Row
from lora_checks.record.shapes.ranking import Axis


@dataclass(frozen=True, slots=True)
class Entry:
    """A LoRA in a ranking."""

    name: str
    step: int | None
    epoch: int | None
    scale: float | None  # None for pictures that were made elsewhere
    rank: int | None  # the largest of its layers' ranks
    run: str  # the same for all checkpoints of one training run
    outcome: RunOutcome
    stopped_by: tuple[str, ...]  # the required checks that did not pass or have no verdict
    rows: Mapping[str, Row]

    @property
    def passed(self) -> bool:
        """Whether every required check passed."""
        return self.outcome == "PASS"

    def along(self, axis: Axis) -> float | None:
        """Return the LoRA's place on an axis of `curves`."""
        return {"step": self.step, "epoch": self.epoch, "scale": self.scale, "rank": self.rank}[axis]


def entry(lora: Lora) -> Entry:
    """Return a LoRA of the document as an entry of the ranking."""
    path, facts = str(lora["path"] or lora["name"]), lora.get("facts") or {}
    step = lora.get("step")
    failed = [row["check"] for row in lora["rows"] if row["required"] and row["outcome"] != "PASS"]
    return Entry(
        name=lora["name"],
        step=step_of(path, facts) if step is None else step,
        epoch=epoch_of(path, facts),
        scale=lora.get("scale"),
        rank=max(lora.get("ranks") or (), default=None),
        run=facts.get(PICTURES_OF) or run_of(path),
        outcome=lora["outcome"],
        stopped_by=(*failed, *lora["missing"]),
        rows={row["check"]: row for row in lora["rows"]},
    )
