"""Group the LoRAs of a report into runs of a tracker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from lora_checks.core.words import printable
from lora_checks.lora.steps import run_of
from lora_checks.publish.trackers.contents import outcome
from lora_checks.record.shapes import Document, Lora


@dataclass(frozen=True, slots=True)
class Series:
    """The checkpoints of one training run in the order of their steps, or a single LoRA."""

    name: str
    loras: tuple[Lora, ...]

    @property
    def stepped(self) -> bool:
        return len(self.loras) > 1

    @property
    def outcome(self) -> str:
        return outcome(self.loras)

    def step(self, lora: Lora) -> int:
        """Return the LoRA's training step for the x axis, 0 if unknown."""
        return int(lora.get("step") or 0)


def series(document: Document) -> list[Series]:
    """Group checkpoints of the same training run and strength, in the order of the report."""
    groups: dict[tuple[str, float], list[Lora]] = {}
    for lora in document["loras"]:
        groups.setdefault(_run(lora), []).append(lora)
    runs: list[Series] = []
    for (run, scale), loras in groups.items():
        known = sorted(
            (lora for lora in loras if lora["step"] is not None), key=lambda lora: lora["step"] or 0
        )
        if len(known) > 1 and len({lora["step"] for lora in known}) == len(known):
            strength = "" if scale == 1.0 else f":{scale:g}"
            runs.append(Series(printable(PurePath(run).name + strength), tuple(known)))
            loras = [lora for lora in loras if lora.get("step") is None]
        runs += [Series(printable(lora["name"]), (lora,)) for lora in loras]
    return runs


def _run(lora: Lora) -> tuple[str, float]:
    return run_of(lora.get("path") or lora["name"]), float(lora.get("scale", 1.0))
