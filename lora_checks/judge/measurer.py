"""Measure the rows of a policy, with each network built once and each folder of pictures read once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Literal, cast

from lora_checks import metrics, networks
from lora_checks.core.errors import ConfigError, LoraChecksError, MeasureError
from lora_checks.core.quantity import BASELINE
from lora_checks.core.records import ImageSet, Measurement, Metric, Pairing, Policy, Stat, Threshold
from lora_checks.core.records.questions import Question
from lora_checks.core.store import Progress, Store
from lora_checks.images.sets import image_set
from lora_checks.judge import cost, labels, large, overlap, row_fit, wanted
from lora_checks.judge.controls import Controls
from lora_checks.judge.measure import measure
from lora_checks.judge.task import Task, task_of
from lora_checks.judge.wanted import Elsewhere
from lora_checks.networks import Extractor, ImageExtractor, self_test
from lora_checks.networks.features import image_features
from lora_checks.networks.vlm.model import VisionModel
from lora_checks.policy import arms
from lora_checks.stats import intervals


@dataclass
class Measurer:
    """Measure images with the policy's networks, against its references and the base's images."""

    policy: Policy
    store: Store
    device: str
    progress: Callable[[str], Progress]
    counterparts: Callable[[ImageSet], ImageSet]  # the same images without the LoRA
    elsewhere: Elsewhere | None = None  # what computes for this process, if anything does
    _controls: Controls = field(init=False)
    _networks: dict[str, Extractor] = field(default_factory=dict)  # by slot
    _pictures: dict[str, ImageSet] = field(default_factory=dict)  # by the policy's name of the folder
    _begun: ImageSet | None = None  # about which all rows have asked elsewhere

    def __post_init__(self) -> None:
        self._controls = Controls(self.policy, self.store, self.pictures, self.counterparts)

    def preflight(self) -> None:
        """Raise `ConfigError` for a row, network or folder that cannot be measured with."""
        for row in self.policy.thresholds:
            try:
                metric = metrics.of_row(row)
                self.network(metric, row.network)
                row_fit.refuse(row, metric, self.pictures)
                images = arms.number_of(self.policy.prompts, row.on)
                large.refuse(row, metric, self.pictures, images, self.store.say)
                if metric.takes == "labelled":
                    labels.refuse(row, self.policy, self.pictures(row.against))
                unpaired = self.policy.prompts.unpaired
                row_fit.refuse_unpaired(metric, row.stat, row.gain, row.against, unpaired)
            except ConfigError as error:
                raise ConfigError(f"{row.source}: {row.name}: {error}") from None
        if "references" in self.policy.folders:
            overlap.refuse_twice(self.pictures("references"))
        if {"train", "references"} <= self.policy.folders.keys():
            overlap.refuse_shared(self.pictures("train"), self.pictures("references"), self.store)

    def test_networks(self) -> None:
        """Test each network of the policy's rows, once for each version of it, and then the limits.

        Raises:
            SelfTestError: A network gives other numbers than it should.
            ConfigError: A limit cannot be met even by the references, or they are no scale for a row.
        """
        for row in self.policy.thresholds:
            self.network(metrics.of_row(row), row.network)
        for slot, network in self._networks.items():
            if not isinstance(network, VisionModel):  # tested by the questions that it is asked
                device = networks.device_of(network)  # the policy may name another than the run's
                self_test.check(slot, self.policy.networks[slot], network, self.store, device)
        for row in self.policy.thresholds:
            metric = metrics.of_row(row)
            model = self.network(metric, row.network)
            if isinstance(model, VisionModel) and row.question is not None:
                self._controls.before_images(model, row.question)
            if row_fit.has_floor(row, metric):
                network = cast(ImageExtractor, self.network(metric, row.network))
                pictures = self.pictures(row.against).images
                features = image_features(pictures, network, self.store) if pictures else None
                row_fit.refuse_unreachable(row, metric, features, self.policy.prompts)
            if row_fit.has_scale(row, metric):
                self._refuse_no_scale(row, metric)

    def _refuse_no_scale(self, row: Threshold, metric: Metric) -> None:
        """Raise `ConfigError` if the pictures that are a row's scale give none, before an image is made."""
        network = cast(ImageExtractor, self.network(metric, row.network))
        landmarks = image_features(self.pictures(row.against).images, network, self.store, part=metric.takes)
        try:
            metric.fn(landmarks, landmarks)
        except MeasureError as error:
            raise ConfigError(f"{row.source}: {row.name}: {error}") from None

    def network(self, metric: Metric, slot: str = "") -> Extractor | None:
        """Return the metric's network, or that of another ``slot``; None for a metric of pixels."""
        slot = networks.slot_of(metric, slot, self.policy.networks)
        return self._network_of(slot) if slot else None

    def _network_of(self, slot: str) -> Extractor:
        if slot not in self._networks:
            if slot not in self.policy.networks:
                raise ConfigError(f"no network '{slot}' under networks: in the policy")
            self._networks[slot] = networks.build(
                slot, self.policy.networks[slot], self.device, cache=self.store.root / "models"
            )
        network = self._networks[slot]
        if isinstance(network, VisionModel):
            network.account(self.store)  # begins to count
        return network

    def _question(self, name: str) -> Question:
        if name not in self.policy.questions:
            known = ", ".join(sorted(self.policy.questions))
            raise ConfigError(f"the policy has no question '{name}' (it has {known})")
        return self.policy.questions[name]

    def _finder(self, slot: str) -> ImageExtractor:
        """Return the network of a slot that finds the nearest reference."""
        network = self._network_of(slot)
        if not isinstance(network, ImageExtractor):
            raise ConfigError(f"networks: {slot}: does not compare pictures; name another with 'by'")
        return network

    @property
    def licences(self) -> dict[str, str]:
        """Return the licence of each network that the rows have asked for so far, where it is known."""
        known = {slot: networks.licence_of(network) for slot, network in self._networks.items()}
        return {slot: licence for slot, licence in known.items() if licence}

    def vision_models(self) -> dict[str, VisionModel]:
        """Return the vision models of the policy's rows, by slot."""
        for row in self.policy.thresholds:
            self.network(metrics.of_row(row), row.network)
        found = self._networks.items()
        return {slot: network for slot, network in found if isinstance(network, VisionModel)}

    def expected(self, slot: str, model: VisionModel, loras: int) -> cost.Expected:
        """Return what a vision model will be asked at most about so many LoRAs."""
        rows = [
            row
            for row in self.policy.thresholds
            if row.question is not None
            and networks.slot_of(metrics.of_row(row), row.network, self.policy.networks) == slot
        ]
        folder = self.policy.folders.get("references")
        references = 0 if folder is None else len(self.pictures("references").images)
        return cost.expected(rows, model, self.policy.prompts, references, loras, self.store)

    def pictures(self, name: str) -> ImageSet:
        """Return the pictures of a folder of the policy: "references" or "train"."""
        if name not in self._pictures:
            if name not in self.policy.folders:
                known = ", ".join(sorted(self.policy.folders)) or "none"
                raise ConfigError(f"the policy has no folder '{name}' under folders: (it has {known})")
            self._pictures[name] = image_set(name, self.policy.folders[name], self.store.known_digests.folder)
        return self._pictures[name]

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
        question: str = "",
    ) -> Measurement:
        """Measure one metric on one set of images; see `lora_checks.judge.measure`."""
        asked = self._question(question) if question else None
        declared = metrics.asking(metrics.get(metric), asked)
        row_fit.refuse_unpaired(declared, stat, gain, against, self.policy.prompts.unpaired)
        task = Task(declared, on, self._other(declared, on, against), stat, pairing, texts=texts, at=at)
        task = replace(task, question=asked)
        return self._measure(replace(task, baseline=self.counterparts(on) if gain else None), network)

    def measure_row(
        self, row: Threshold, on: ImageSet, confidence: float = intervals.CONFIDENCE, waiting: str = ""
    ) -> Measurement:
        """Measure what the row asks for, on the images it is about.

        Args:
            row: The row of thresholds.yaml.
            on: All images of the LoRA.
            confidence: Level of this interval, above 95 % if it belongs to one of several interim analyses.
            waiting: Why these images may not be judged; "" if they may.
        """
        self._begin(on)
        task = replace(self._task(row, on), confidence=confidence)
        return replace(self._measure(task, row.network), waiting=waiting)

    def _task(self, row: Threshold, on: ImageSet) -> Task:
        metric, images = metrics.of_row(row), arms.chosen(on, row.on)
        other = self._other(metric, images, row.against)
        return task_of(row, metric, images, other, self.counterparts(images) if row.gain else None)

    def _begin(self, on: ImageSet) -> None:
        """Ask elsewhere for what all rows need of these images: no row then waits for the one before it."""
        if self.elsewhere is None or self._begun == on:
            return
        self._begun = on
        for row in self.policy.thresholds:
            with suppress(LoraChecksError):  # which the row itself will raise
                task = self._task(row, on)
                if (network := self.network(task.metric, row.network)) is not None:
                    self.elsewhere.begin(
                        wanted.of_task(task, self._slot(task, row.network), network), network
                    )

    def _slot(self, task: Task, asked: str) -> str:
        return networks.slot_of(task.metric, asked, self.policy.networks)

    def _measure(self, task: Task, slot: str) -> Measurement:
        progress = self.progress(f"measuring {task.metric.name}")
        network = self.network(task.metric, slot)
        if task.question is not None and task.question.by:
            task = replace(task, finder=self._finder(task.question.by))
        note = ""
        if isinstance(network, VisionModel) and task.question is not None:
            note = self._controls.of_images(network, task.question, task.images)
        if task.metric.takes == "labelled" and task.other is not None:
            task = replace(task, labels=labels.listed(self.policy, task.other.name))
        if self.elsewhere is not None and network is not None:
            self.elsewhere.finish(wanted.of_task(task, self._slot(task, slot), network), network)
        measurement = measure(task, network, self.policy.prompts, self.store, progress)
        if task.other is not None and task.other.name == "train":
            self._refuse_overlap(task, network)
        notes = [part for part in (measurement.note, note) if part]
        return replace(measurement, note="; ".join(notes))

    def _refuse_overlap(self, task: Task, network: Extractor | None) -> None:
        """Refuse training pictures among the references, as seen by the network that measures copies."""
        # A face network may take two photos of one day for the same picture.
        if network is None or task.metric.takes != "features" or networks.sees_faces(task.metric.extractor):
            return
        if "references" in self.policy.folders and self.pictures("references").images:
            sets = self.pictures("train"), self.pictures("references")
            x, y = (image_features(s.images, cast(ImageExtractor, network), self.store) for s in sets)
            overlap.refuse_alike(*sets, x, y, network.label)

    def _other(self, metric: Metric, on: ImageSet, against: str) -> ImageSet | None:
        if metric.against == BASELINE or (metric.against == "reference" and against == BASELINE):
            return self.counterparts(on)
        return self.pictures(against) if metric.against == "reference" else None
