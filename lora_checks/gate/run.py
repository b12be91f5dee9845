"""Run the gate in one process: measure the policy's rows on the images of each LoRA.

Nothing here is shared between processes: the workers of pytest-xdist meet only in the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from lora_checks import metrics
from lora_checks.core.device import choose_device, choose_dtype
from lora_checks.core.errors import LoraFileError
from lora_checks.core.quantity import BASELINE
from lora_checks.core.records import ImageSet, Lora, Measurement, Policy, PromptSet, Threshold
from lora_checks.core.remote.place import Place, open_store
from lora_checks.core.store import Progress, Store
from lora_checks.diffusion.base.family import has, index_of
from lora_checks.diffusion.base.memory import choose_memory
from lora_checks.diffusion.cluster import Asked, Cluster
from lora_checks.diffusion.generated import GeneratedImages
from lora_checks.gate.spread import Spread
from lora_checks.gate.workers import GateWorker
from lora_checks.images import made, plan
from lora_checks.images.source import ImageSource
from lora_checks.judge import cost, reach, until_decided
from lora_checks.judge.measurer import Measurer
from lora_checks.lora.candidates import Candidate


@dataclass
class GateRun:
    """Join a source of images with a measurer."""

    policy: Policy
    store: Store
    source: ImageSource
    measurer: Measurer
    device: str
    most: int | None = None  # images of a LoRA, with --lora-until-decided
    warnings: tuple[str, ...] = ()  # of the preflight, for people
    cluster: Cluster | None = None  # of --lora-cluster
    _decided: dict[str, until_decided.Decided] = field(default_factory=dict)  # by the LoRA's name
    _journal: int = 0  # bytes of `made.FILE` when the run began

    def __post_init__(self) -> None:
        self._journal = made.size(self.store)

    def preflight(self) -> None:
        """Raise `ConfigError` for anything wrong that can be found before the first image."""
        self.measurer.preflight()
        if self.most is not None:
            _ = self.interim
        self.warnings = tuple(self.source.preflight())

    def refuse_out_of_reach(self) -> None:
        """Raise `ConfigError` for a row that no LoRA could pass with the policy's prompts.

        Pictures made elsewhere are not refused: their number cannot be changed.
        """
        if not self.source.generates:
            return
        for row in self.policy.thresholds:
            due = None if self.most is None else self.interim.due[row.name]
            reach.refuse(row, metrics.of_row(row), self.policy.prompts, due)

    @cached_property
    def interim(self) -> until_decided.Plan:
        """Plan the interim analyses of ``--lora-until-decided``."""
        rows = [(row, metrics.of_row(row)) for row in self.policy.thresholds]
        planned = until_decided.plan(self.policy.prompts, rows, self.most or 0)
        self.source.interim([plan.names(prompts) for prompts in planned.looks])
        return planned

    def announce(self, candidates: Sequence[Candidate]) -> None:
        """Tell the source of images which LoRAs this process will judge."""
        self.source.ahead(
            partial(_readable, candidates), any(needs_base(row) for row in self.policy.thresholds)
        )

    def candidate(self, lora: Lora, prompts: PromptSet | None = None) -> ImageSet:
        """Return the LoRA's images for the policy's prompts and seeds, or for others."""
        return self.source.candidate(lora, prompts or self.policy.prompts)

    def images_of(self, lora: Lora) -> ImageSet:
        """Return the images on which the LoRA is judged."""
        return self.candidate(lora) if self.most is None else self.decided(lora).images

    def decided(self, lora: Lora) -> until_decided.Decided:
        """Measure every row of the LoRA on the images that decide it; generate up to ``most`` images."""
        if lora.name not in self._decided:
            self._decided[lora.name] = until_decided.decide(
                self.interim,
                self.policy.thresholds,
                lora,
                lambda prompts: self.candidate(lora, prompts),
                self.measurer.measure_row,
            )
        return self._decided[lora.name]

    def measurement(self, row: Threshold, lora: Lora, images: ImageSet) -> Measurement:
        """Measure what the row asks for, on this LoRA's images."""
        return self.measurer.measure_row(row, images) if self.most is None else self.decided(lora).of(row)

    def will_ask(self, loras: int) -> dict[str, dict[str, Any]]:
        """Foresee what each vision model will be asked about so many LoRAs, by its name in the policy."""
        models = self.measurer.vision_models().items()
        return {slot: cost.facts(model, self.measurer.expected(slot, model, loras)) for slot, model in models}

    def asked(self) -> dict[str, dict[str, Any]]:
        """Count what each vision model was asked in this run, in all of its processes."""
        models = self.measurer.vision_models().items()
        return {slot: cost.counted(model, self.store) for slot, model in models}

    def made(self) -> dict[str, Any]:
        """Count what this run generated into the store, in all of its processes."""
        return made.summary(self.store, self._journal)


def _readable(candidates: Sequence[Candidate]) -> Iterator[Lora]:
    for candidate in candidates:
        with suppress(LoraFileError):  # a verdict of its own
            yield candidate.read()


def open_generating(
    policy: Policy,
    store: Path | Place,
    device: str,
    dtype: str,
    batch_size: int | None,
    progress: Callable[[str], Progress],
    *,
    companions: tuple[Lora, ...] = (),
    most: int | None = None,
    offload: str = "none",
    save_memory: str | None = None,
    compiled: bool = False,
    loras: Sequence[Candidate] = (),
    say: Callable[[str], None] = lambda _: None,
    cluster: Asked | None = None,
    offline: Path | None = None,
) -> GateRun:
    """Open a run that generates its images. Raises `ConfigError` and `PrerequisiteError`."""
    device = choose_device(device)
    opened = open_store(store, device, say)
    source = GeneratedImages(
        policy,
        opened,
        device,
        dtype,
        batch_size or (8 if device == "cpu" else 4),
        progress,
        companions=companions,
        memory=choose_memory(offload, save_memory, device),
        compiled=compiled,
        to_gate=partial(_readable, loras),
        say=say,
    )
    source.dtype = choose_dtype(dtype, device, lambda: has(index_of(source.base.folder), "transformer"))
    run = join(policy, opened, source, device, progress, most)
    if cluster is not None:
        run.cluster = Cluster(cluster, source, offline, GateWorker)
        run.measurer.elsewhere = Spread(run.cluster, opened, progress, say)
    return run


def join(
    policy: Policy,
    store: Store,
    source: ImageSource,
    device: str,
    progress: Callable[[str], Progress],
    most: int | None = None,
) -> GateRun:
    """Join a source of images with a measurer of the same policy and store."""
    measurer = Measurer(policy, store, device, progress, source.counterparts)
    return GateRun(policy, store, source, measurer, device, most)


def needs_base(row: Threshold) -> bool:
    """Return whether a row needs the images without the LoRA."""
    return row.gain or row.against == BASELINE or metrics.of_row(row).against == BASELINE
