"""What is to be measured: which metric, on which images, against what, summed up how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lora_checks.core.errors import ConfigError
from lora_checks.core.quantity import BASELINE
from lora_checks.core.records import ImageSet, Metric, Pairing, Stat
from lora_checks.stats import intervals, summary


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to measure: which metric, on which images, against what, summed up how."""

    metric: Metric
    images: ImageSet
    other: ImageSet | None = None  # references or baseline images, where the metric compares with pictures
    stat: Stat = "mean"
    pairing: Pairing | Literal[""] = ""  # "" is the metric's own
    worst_is: str = ""  # "lowest" or "highest"; "" follows the metric's own direction
    texts: tuple[str, ...] = ()  # what a metric against texts chooses among
    at: float | None = None  # of a share
    baseline: ImageSet | None = None  # the same images without the LoRA: the gain over them is measured
    on: str = ""  # the tag by which the images were chosen
    sides: Literal[1, 2] = 2
    confidence: float = intervals.CONFIDENCE  # of each interval; what it amounts to over all looks is 95 %

    @property
    def paired_by(self) -> Pairing:
        if self.against_baseline:
            return "sorted"
        return self.pairing or self.metric.pairing

    @property
    def against_baseline(self) -> bool:
        """Whether each image is compared with its own counterpart without the LoRA."""
        return self.other is not None and self.other.name == BASELINE

    @property
    def ask(self) -> summary.Ask:
        lowest = self.worst_is == "lowest" or (not self.worst_is and self.metric.better == "higher")
        return summary.Ask(self.stat, self.at, lowest, self.sides, self.confidence)

    @property
    def against(self) -> str:
        """What it is compared with, for people: "references (24)"."""
        if self.other is None:
            return ""
        if self.other.statistics:
            return f"{self.other.name} ({self.other.statistics.name})"
        return f"{self.other.name} ({len(self.other.images)})"

    @property
    def groups(self) -> list[str]:
        """Prompts are the sampling unit; a picture without one stands for itself."""
        return [image.prompt.id if image.prompt else image.name for image in self.images.images]

    @property
    def pictures(self) -> ImageSet:
        """What the images are compared with. Raises `ConfigError` where nobody said."""
        if self.other is None:
            raise ConfigError(f"{self.metric.name} compares with pictures; say which")
        return self.other
