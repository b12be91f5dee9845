"""Read a LoRA of the document for ranking: its place in the training run, and its rows by check."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lora_checks.judge.verdict import RunOutcome
from lora_checks.lora.steps import PICTURES_OF, epoch_of, run_of, step_of
from lora_checks.record.shapes import Lora, Row


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
    keys: Mapping[str, str] = field(default_factory=dict)  # what names or the policy say of it
    facts: Mapping[str, str] = field(default_factory=dict)  # what its metadata says

    @property
    def passed(self) -> bool:
        """Whether every required check passed."""
        return self.outcome == "PASS"

    def along(self, axis: str) -> float | None:
        """Return the LoRA's step, epoch, scale or rank."""
        return {"step": self.step, "epoch": self.epoch, "scale": self.scale, "rank": self.rank}[axis]

    def text(self, key: str) -> str:
        """Return what names, the policy or else the metadata say under a key; "" if nothing."""
        return self.keys.get(key) or self.facts.get(key, "")


def entry(lora: Lora) -> Entry:
    """Return a LoRA of the document as an entry of the ranking."""
    path, facts = str(lora["path"] or lora["name"]), lora.get("facts") or {}
    keys, step = lora.get("keys") or {}, lora.get("step")
    if step is None:
        step = step_of(path, facts)
    failed = [row["check"] for row in lora["rows"] if row["required"] and row["outcome"] != "PASS"]
    return Entry(
        name=lora["name"],
        step=_whole(keys, "step") if step is None else step,
        epoch=epoch_of(path, facts) or _whole(keys, "epoch"),
        scale=lora.get("scale", _number(keys, "scale")),
        rank=max(lora.get("ranks") or (), default=_whole(keys, "rank")),
        run=facts.get(PICTURES_OF) or run_of(path),
        outcome=lora["outcome"],
        stopped_by=(*failed, *lora["missing"]),
        rows={row["check"]: row for row in lora["rows"]},
        keys=keys,
        facts=facts,
    )


def _whole(keys: Mapping[str, str], key: str) -> int | None:
    """Return the whole number of a key, as of ``rank: r16``; None if it has none."""
    match = re.fullmatch(r"[A-Za-z]*0*([0-9]{1,12})", keys.get(key, "").strip())
    return int(match[1]) if match else None


def _number(keys: Mapping[str, str], key: str) -> float | None:
    match = re.fullmatch(r"[A-Za-z]*([0-9]{1,6}(?:\.[0-9]{1,6})?)", keys.get(key, "").strip())
    return float(match[1]) if match else None
