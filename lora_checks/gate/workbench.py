"""What one process needs to gate LoRAs: policy, store, networks, pipeline. Made once, shared by fixtures.

Nothing here is kept for another process: xdist workers meet in the store only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from lora_checks import metrics, networks
from lora_checks.core.device import choose_device, choose_dtype, library_versions
from lora_checks.core.errors import ConfigError, GenerationError, LoraChecksError, StoreError
from lora_checks.core.quantity import BASELINE
from lora_checks.core.records import (
    ImageSet,
    ImageSpec,
    Lora,
    Measurement,
    Metric,
    Pairing,
    Policy,
    PromptSet,
    Proof,
    Stat,
    Threshold,
    digest,
)
from lora_checks.core.store import Progress, Store
from lora_checks.diffusion import base, generate, painted
from lora_checks.diffusion.base.family import has, index_of
from lora_checks.diffusion.base.memory import Memory, choose_memory
from lora_checks.diffusion.base.pipeline import preflight
from lora_checks.diffusion.proof import kept as proofs
from lora_checks.images import decoding as images
from lora_checks.images import gallery, made, plan, png
from lora_checks.judge import overlap, reach, row_fit, until_decided
from lora_checks.judge.measure import measure
from lora_checks.judge.task import Task, task_of
from lora_checks.networks import Extractor, ImageExtractor, self_test
from lora_checks.networks.features import image_features
from lora_checks.policy import arms
from lora_checks.stats import intervals

NO_EFFECT = 2  # grey levels; batches of another size move a pixel by one


@dataclass
class Workbench:
    policy: Policy
    store: Store
    device: str
    dtype: str
    batch_size: int
    progress: Callable[[str], Progress]
    companions: tuple[Lora, ...] = ()
    memory: Memory = field(default_factory=Memory)
    say: Callable[[str], None] = lambda _: None
    most: int | None = None  # images of a LoRA where it is looked at until it is decided
    warnings: tuple[str, ...] = ()  # of the preflight, for people
    _networks: dict[str, Extractor] = field(default_factory=dict)
    _pictures: dict[str, ImageSet] = field(default_factory=dict)
    _decided: dict[str, until_decided.Decided] = field(default_factory=dict)
    _refused: dict[Path, LoraChecksError] = field(default_factory=dict)
    _shown: dict[Path, ImageSet] = field(default_factory=dict)  # by folder
    _journal: int = 0  # bytes of `made.FILE` when this bench was opened

    def __post_init__(self) -> None:
        self._journal = made.size(self.store)

    @cached_property
    def base(self) -> base.ResolvedBase:
        return base.resolve(self.policy.prompts.base)

    @cached_property
    def machine(self) -> plan.Machine:
        return plan.Machine(
            self.base.identity,
            self.device,
            self.dtype,
            (*library_versions(), plan.OWN_CODE),
            companions=self.companions,
            memory=self.memory.pixels,
        )

    @cached_property
    def studio(self) -> generate.Studio:
        return generate.Studio(
            self.base,
            self.policy.prompts,
            self.device,
            self.dtype,
            memory=self.memory,
            companions=self.companions,
            unused_tensors=tuple(self.policy.unused_tensors),
            say=self.say,
        )

    def preflight(self) -> None:
        """Everything that can be known to be wrong before the first image, in milliseconds."""
        for row in self.policy.thresholds:
            try:
                metric = metrics.get(row.metric)
                self.network(metric, row.network)
                row_fit.refuse(row, metric, self.pictures)
            except ConfigError as error:
                raise ConfigError(f"{row.source}: {row.name}: {error}") from None
        if "references" in self.policy.folders:
            overlap.refuse_twice(self.pictures("references"))
        if {"train", "references"} <= self.policy.folders.keys():
            overlap.refuse_shared(self.pictures("train"), self.pictures("references"), self.store)
        if self.most is not None:
            _ = self.looks
        self.warnings = self._suits_base()

    def refuse_out_of_reach(self) -> None:
        """Raise `ConfigError` for a row that no LoRA could pass with the policy's prompts."""
        for row in self.policy.thresholds:
            due = None if self.most is None else self.looks.due[row.name]
            reach.refuse(row, metrics.get(row.metric), self.policy.prompts, due)

    def test_networks(self) -> None:
        """Whether each network of the policy's rows sees what it should; loads it once for each version. Then
        whether each limit can be met, as the references measure themselves.

        Raises `SelfTestError` and `ConfigError`.
        """
        for row in self.policy.thresholds:
            self.network(metrics.get(row.metric), row.network)
        for slot, network in self._networks.items():
            self_test.check(slot, self.policy.networks[slot], network, self.store, self.device)
        for row in self.policy.thresholds:
            metric = metrics.get(row.metric)
            if row_fit.has_floor(row, metric):
                eyes = cast(ImageExtractor, self.network(metric, row.network))
                y = self.pictures(row.against).images
                row_fit.refuse_unreachable(
                    row, metric, image_features(y, eyes, self.store) if y else None, self.policy.prompts
                )

    def _suits_base(self) -> tuple[str, ...]:
        """Whether base and prompts suit each other, asked once: the answer is kept in the store."""
        said = self.policy.prompts
        texts = [(prompt.id, prompt.text, prompt.source) for prompt in said.prompts]
        decisive = [self.base.identity, said.sampler, sorted(said.places.items()), texts, self.memory]
        path = self.store.root / "preflight" / f"{digest([*decisive, library_versions()])}.json"

        def ask() -> dict[str, Any]:
            return {"warnings": list(preflight(self.base, said, self.memory)), "versions": library_versions()}

        return tuple(self.store.record(path, ask)["warnings"])

    def network(self, metric: Metric, slot: str = "") -> Extractor | None:
        """The metric's network, or that of another ``slot``, built once; None for a metric of pixels."""
        slot = networks.slot_of(metric, slot, self.policy.networks)
        if slot and slot not in self._networks:
            self._networks[slot] = networks.build(
                slot, self.policy.networks[slot], self.device, cache=self.store.root / "models"
            )
        return self._networks[slot] if slot else None

    def pictures(self, name: str) -> ImageSet:
        """A folder of the policy, "references" or "train", read once."""
        if name not in self._pictures:
            if name not in self.policy.folders:
                known = ", ".join(sorted(self.policy.folders)) or "none"
                raise ConfigError(f"the policy has no folder '{name}' under folders: (it has {known})")
            self._pictures[name] = images.image_set(name, self.policy.folders[name])
        return self._pictures[name]

    def prove(self, lora: Lora) -> Proof:
        """That the LoRA is on the base as its file says; measured once and kept in the store.

        Raises `GenerationError` or `LoraFileError`, naming the layer or tensor, if it is not.
        """
        for companion in self.companions:
            if companion.sha256 == lora.sha256:
                raise ConfigError(f"--lora-with: {companion.path} is the LoRA under test itself")
            self._prove(companion, replace(self.machine, companions=()))
        return self._prove(lora, self.machine)

    def _prove(self, lora: Lora, machine: plan.Machine) -> Proof:
        path = proofs.place(self.store, machine, lora, tuple(self.policy.unused_tensors))
        if path in self._refused:  # each row says so; it is tried once
            raise self._refused[path]
        prove = partial(self.studio.prove, lora, machine.companions)
        try:
            return proofs.kept(self.store, path, lora, machine, prove)
        except StoreError:
            raise
        except LoraChecksError as error:
            self._refused[path] = error
            raise

    def candidate(self, lora: Lora, said: PromptSet | None = None) -> ImageSet:
        """The images with the LoRA, proven to be applied, made where the store lacks them.

        ``said`` asks for other prompts or seeds than all of the policy's.
        """
        self.prove(lora)
        said = said or self.policy.prompts
        specs = plan.candidate(said, self.machine, lora)
        made = self._images("candidate", specs, plan.names(said), lora, lora.name)
        refuse_no_effect(lora, made, self.without(ImageSet("first", made.images[:1])))
        self._show(self.folder(lora), made, specs)
        return made

    def decided(self, lora: Lora) -> until_decided.Decided:
        """Every row of the LoRA, each by the images that decided it; generates up to ``most`` images."""
        if lora.name not in self._decided:
            self._decided[lora.name] = until_decided.decide(
                self.looks,
                self.policy.thresholds,
                lora,
                lambda said: self.candidate(lora, said),
                self.measure_row,
            )
        return self._decided[lora.name]

    @cached_property
    def looks(self) -> until_decided.Plan:
        rows = [(row, metrics.get(row.metric)) for row in self.policy.thresholds]
        return until_decided.plan(self.policy.prompts, rows, self.most or 0)

    def images_of(self, lora: Lora) -> ImageSet:
        """What the LoRA is judged by."""
        return self.candidate(lora) if self.most is None else self.decided(lora).images

    def found(self, row: Threshold, lora: Lora, on: ImageSet) -> Measurement:
        """What the row asks for, of this LoRA and its images."""
        return self.measure_row(row, on) if self.most is None else self.decided(lora).of(row)

    def baseline(self) -> ImageSet:
        """The same prompts and noise without the LoRA, kept for every later LoRA of this base."""
        specs = plan.baseline(self.policy.prompts, self.machine)
        made = self._images(BASELINE, specs, plan.names(self.policy.prompts), None, "base")
        self._show(self.store.root / gallery.folder_name("base", specs[0].digest), made, specs)
        return made

    def made(self) -> dict[str, Any]:
        """What this run generated into the store, in whichever of its processes: images and how."""
        return made.summary(self.store, self._journal)

    def folder(self, lora: Lora) -> Path:
        return self.store.root / gallery.folder_name(lora.name, lora.sha256)

    def _images(
        self, name: str, specs: Sequence[ImageSpec], names: Sequence[str], lora: Lora | None, what: str
    ) -> ImageSet:
        looks = [plan.names(look) for look in self.looks.looks] if self.most is not None else []
        together = painted.blocks(names, self.batch_size, looks)
        progress = self.progress(f"generating {what}")
        images = painted.painted(self.store, self.studio, specs, names, lora, together, progress)
        self.studio.rest()
        return ImageSet(name, images)

    def _show(self, folder: Path, images: ImageSet, specs: Sequence[ImageSpec]) -> None:
        if self._shown.get(folder) == images:  # each row asks
            return
        record = {
            image.name: png.recipe(spec) | {"sha256": image.sha256, "original": str(image.path)}
            for image, spec in zip(images.images, specs, strict=True)
        }
        gallery.show(folder, images, record)
        self._shown[folder] = images

    def measure(
        self,
        metric: str,
        on: ImageSet,
        *,
        stat: Stat = "mean",
        pairing: Pairing | Literal[""] = "",
        against: str = "references",
        network: str = "",
        texts: tuple[str, ...] = (),
        at: float | None = None,
        gain: bool = False,
    ) -> Measurement:
        """One metric on one set of images; see `lora_checks.judge.measure`."""
        found = metrics.get(metric)
        task = Task(found, on, self._other(found, on, against), stat, pairing, texts=texts, at=at)
        return self._measure(replace(task, baseline=self.without(on) if gain else None), network)

    def measure_row(
        self, row: Threshold, on: ImageSet, confidence: float = intervals.CONFIDENCE, waiting: str = ""
    ) -> Measurement:
        """What the row asks for, on those of the images that it is about.

        ``confidence`` is the interval's own level, above 95 % where it is one of several looks; ``waiting``
        is why nothing may be judged by these images.
        """
        metric, images = metrics.get(row.metric), arms.chosen(on, row.on)
        other = self._other(metric, images, row.against)
        task = task_of(row, metric, images, other, self.without(images) if row.gain else None)
        task = replace(task, confidence=confidence)
        return replace(self._measure(task, row.network), waiting=waiting)

    def _measure(self, task: Task, network: str) -> Measurement:
        progress = self.progress(f"measuring {task.metric.name}")
        eyes = self.network(task.metric, network)
        found = measure(task, eyes, self.policy.prompts, self.store, progress)
        if task.other is not None and task.other.name == "train":
            self._refuse_overlap(task, eyes)
        return found

    def _refuse_overlap(self, task: Task, eyes: Extractor | None) -> None:
        """Training pictures among the references, as the network sees them that looks for copies."""
        # To a recogniser of faces two photos of one day may be the same.
        if eyes is None or task.metric.takes != "features" or task.metric.extractor == "arcface":
            return
        if "references" in self.policy.folders and self.pictures("references").images:
            sets = self.pictures("train"), self.pictures("references")
            x, y = (image_features(one.images, cast(ImageExtractor, eyes), self.store) for one in sets)
            overlap.refuse_alike(*sets, x, y, eyes.label)

    def _other(self, metric: Metric, on: ImageSet, against: str) -> ImageSet | None:
        if metric.against == BASELINE or (metric.against == "reference" and against == BASELINE):
            return self.without(on)
        return self.pictures(against) if metric.against == "reference" else None

    def without(self, on: ImageSet) -> ImageSet:
        """Each image's counterpart: the same prompt and noise without the LoRA."""
        names = [image.name for image in on.images]
        specs = plan.counterparts(self.policy.prompts, self.machine, names)
        return self._images(BASELINE, specs, names, None, "base")


def refuse_no_effect(lora: Lora, candidate: ImageSet, baseline: ImageSet) -> None:
    """The base must never be measured in the LoRA's name: the first image has to differ from the base's."""
    with_lora, without = (images.pixels_of(made.images[0]).astype(np.int16) for made in (candidate, baseline))
    if int(np.abs(with_lora - without).max()) <= NO_EFFECT:
        raise GenerationError(
            f"{lora.path.name} had no effect: with and without it, '{candidate.images[0].name}' is the same "
            "image"
        )


def open_workbench(
    policy: Policy,
    store: Path,
    device: str,
    dtype: str,
    batch_size: int | None,
    progress: Callable[[str], Progress],
    *,
    companions: tuple[Lora, ...] = (),
    most: int | None = None,
    offload: str = "none",
    save_memory: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Workbench:
    device = choose_device(device)
    bench = Workbench(
        policy=policy,
        store=Store(store, say),
        device=device,
        dtype=dtype,
        batch_size=batch_size or (8 if device == "cpu" else 4),
        progress=progress,
        companions=companions,
        most=most,
        memory=choose_memory(offload, save_memory, device),
        say=say,
    )
    bench.dtype = choose_dtype(dtype, device, lambda: has(index_of(bench.base.folder), "transformer"))
    return bench
