"""What a policy asks for: prompts, base, sampler, rows and their limits."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lora_checks.core.records.digests import digest
from lora_checks.core.records.labels import Labelled
from lora_checks.core.records.questions import Question

Against = Literal["nothing", "prompt", "texts", "baseline", "reference", "siblings"]
Per = Literal["image", "set"]
Better = Literal["higher", "lower"]
Stat = Literal["mean", "min", "max", "median", "missing", "worst_prompt", "share_at_least", "share_at_most"]
Pairing = Literal["nearest", "mean", "named", "sorted"]
Rule = Literal["estimate", "bound"]
Takes = Literal["features", "distances", "faces", "landmarks", "picture", "pair", "answers", "labelled"]


OF_BASE = "base."  # of the keys under `sampler: base:` in `PromptSet.places`
# Settings that decide the way from noise to image: with others, the same noise becomes another picture.
_PATH = ("steps", "scheduler", "scheduler_settings")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt of ``prompts.yaml``."""

    id: str
    text: str
    tags: tuple[str, ...] = ()
    source: str = ""  #: "prompts.yaml:12", for messages


@dataclass(frozen=True, slots=True)
class Quantization:
    """How one network of the base is quantised while it is loaded."""

    library: str
    format: str  #: one of the library's in `lora_checks.policy.quantization.FORMATS`
    skip: tuple[str, ...] = ()  #: names of modules that stay as they are
    place: str = field(default="", compare=False)  #: "prompts.yaml:3: base.quantization.transformer"


@dataclass(frozen=True, slots=True)
class NetworkFile:
    """A .gguf file in place of the weights of one network of the base."""

    file: str  #: an absolute path, or "owner/name[@rev]/file.gguf"
    place: str = field(default="", compare=False)  #: "prompts.yaml:3: base.transformer"


@dataclass(frozen=True, slots=True)
class Base:
    """The model the LoRA is applied to: a hub id, a local pipeline directory, or a single checkpoint."""

    model: str  #: a hub id, or an absolute path; a single file ends in .safetensors
    revision: str | None = None
    config: str | None = None  #: pipeline with the settings of a single checkpoint: folder, "id[@rev]"
    vae: str | None = None  #: replaces the base's VAE: folder, .safetensors file, or "id[@rev]"
    gguf: Mapping[str, NetworkFile] = field(default_factory=dict)  #: by component
    quantization: Mapping[str, Quantization] = field(default_factory=dict)  #: by component


@dataclass(frozen=True, slots=True)
class Sampler:
    """``sampler:`` of ``prompts.yaml``: how images are generated."""

    steps: int
    guidance: float | None  #: None: the default of the pipeline
    width: int  #: pixels
    height: int
    negative: str = ""
    scheduler: str | None = None  #: diffusers class name; None keeps the base's own
    scheduler_settings: Mapping[str, Any] = field(default_factory=dict)  #: override the base's settings
    max_sequence_length: int | None = None  #: tokens that the long reader takes; None: the pipeline's default
    true_cfg_scale: float | None = None  #: guidance against the negative prompt, on a distilled base


# How pictures that were made elsewhere were made, if no prompts.yaml says so
UNKNOWN = Sampler(steps=0, guidance=None, width=0, height=0)
NO_BASE = Base("")


@dataclass(frozen=True, slots=True)
class PromptSet:
    """``prompts.yaml``: what is generated."""

    base: Base
    sampler: Sampler
    prompts: tuple[Prompt, ...]
    seeds: tuple[int, ...]
    trigger: str  #: "sks person": the words that the LoRA was trained on
    class_words: str  #: "person": replaces the trigger for scorers that do not know it
    source: str = ""
    places: Mapping[str, str] = field(default_factory=dict)  #: "guidance" -> "prompts.yaml:2: ..."
    base_sampler: Sampler | None = None  #: of the images without the LoRA; None: as with it
    counted: bool = False  #: `seeds` only number the pictures of a prompt, in the order of their names

    def place(self, key: str) -> str:
        """Return the file and line of a key of ``sampler:``, for messages."""
        return self.places.get(key, f"{self.source}: sampler.{key}")

    @property
    def of_base(self) -> PromptSet:
        """The same prompts as the base's own images are made of them, with the places of their settings."""
        if self.base_sampler is None:
            return self
        own = {
            key.removeprefix(OF_BASE): place for key, place in self.places.items() if key.startswith(OF_BASE)
        }
        return dataclasses.replace(
            self, sampler=self.base_sampler, base_sampler=None, places={**self.places, **own}
        )

    @property
    def arms(self) -> tuple[PromptSet, ...]:
        """The prompts as they are with the LoRA and, where that differs, as they are without it."""
        with_lora = dataclasses.replace(self, base_sampler=None)
        return (with_lora,) if self.base_sampler is None else (with_lora, self.of_base)

    @property
    def unpaired(self) -> str:
        """Why an image and the base's of the same seed do not belong together; "" if they do."""
        base = self.base_sampler or self.sampler
        differing = [key for key in _PATH if getattr(base, key) != getattr(self.sampler, key)]
        return f"the base's images have other {' and '.join(differing)}" if differing else ""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The data that the limits of a row were set on.

    Only ``identity`` is checked: it must be that of the network. The rest is for the record.
    """

    identity: str  #: `Measurement.network` of the calibration values
    good: tuple[str, ...]  #: names of LoRAs that people rated good; ``bad``: rated bad
    bad: tuple[str, ...] = ()
    margin: float | None = None  #: between the worst good and the best bad bound, in the metric's unit
    n: int | None = None  #: images per LoRA


@dataclass(frozen=True, slots=True)
class Threshold:
    """One row of ``thresholds.yaml``, which is one check."""

    name: str
    metric: str
    why: str
    min: float | None = None
    max: float | None = None
    stat: Stat = "mean"
    pairing: Pairing | Literal[""] = ""  #: "": the metric's default
    against: str = "references"  #: folder to compare with, for metrics that compare pictures
    network: str = ""  #: slot of `networks:`; "": the metric's default
    texts: tuple[str, ...] = ()  #: for metrics that choose among texts: the correct text first
    rule: Rule = "estimate"
    required: bool = True
    max_missing: float = 0.0  #: share of images that may have no value (no face found)
    bands: tuple[tuple[str, float], ...] = ()  #: ("excellent", 0.15), ...: words printed next to the value
    source: str = ""  #: "thresholds.yaml:14"
    at: float | None = None  #: for a share: counts images with a value of at least or at most this
    gain: bool = False  #: judge the value minus the base's value for the same prompts and seeds
    on: str = ""  #: `tagged:`: only images of prompts with this tag; "": of prompts in no arm
    calibrated_on: Calibration | None = None
    question: Question | None = None  #: for the metric `judge`


@dataclass(frozen=True, slots=True)
class Allowance:
    """One entry of ``regression:``, which is one check against the last approved release."""

    row: str  #: name of the `Threshold`
    allowed: float  #: allowed worsening, 0 or more, in the row's unit
    rule: Rule  #: judge the interval's bound, or the measured difference
    source: str = ""  #: "thresholds.yaml:40"

    @property
    def check(self) -> str:
        return f"regression-{self.row}"


@dataclass(frozen=True, slots=True)
class Weight:
    """One entry of ``ranking:``: the weight of a row when several LoRAs pass."""

    row: str  #: name of the `Threshold`
    weight: float  #: above 0
    worst: float  #: value that scores 0, as does every worse value
    best: float  #: value that scores 1, as does every better value; below ``worst`` if lower is better
    source: str = ""  #: "thresholds.yaml:48"


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy directory after reading and checking."""

    prompts: PromptSet
    thresholds: tuple[Threshold, ...]
    networks: Mapping[str, Mapping[str, Any]]  #: slot ("clip") -> settings; relative paths already resolved
    folders: Mapping[str, Path]  #: "references", "train" -> folder of pictures, or an .npz of statistics
    directory: Path
    unused_tensors: Mapping[str, str] = field(default_factory=dict)  #: pattern of tensor names -> why
    regression: tuple[Allowance, ...] = ()  #: against the last approved release
    ranking: tuple[Weight, ...] = ()  #: of several LoRAs; empty: all required rows count alike
    questions: Mapping[str, Question] = field(default_factory=dict)  #: that rows and tests may ask, by name
    labels: Mapping[str, tuple[Labelled, ...]] = field(default_factory=dict)  #: of a folder's pictures
    axes: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)  #: key -> pattern, value

    @property
    def digest(self) -> str:
        """Digest of everything that decides the verdict, but not of file locations and line numbers."""
        return digest(self.deciding)

    @property
    def deciding(self) -> dict[str, str]:
        """The entries of `parts` that decide a verdict, which is all except the ranking's weights."""
        return {name: part for name, part in self.parts.items() if name != "ranking"}

    @property
    def parts(self) -> dict[str, str]:
        """One digest for each part, to tell which parts of two policies differ."""
        prompts = [dataclasses.replace(prompt, source="") for prompt in self.prompts.prompts]
        words = (self.prompts.trigger, self.prompts.class_words)
        of_base = [] if self.prompts.base_sampler is None else [self.prompts.base_sampler]
        return {
            "thresholds": digest([_deciding(row) for row in self.thresholds]),
            "prompts": digest([prompts, self.prompts.sampler, self.prompts.seeds, *words, *of_base]),
            "networks": digest({slot: _unplaced(settings) for slot, settings in self.networks.items()}),
            "unused_tensors": digest(sorted(self.unused_tensors)),
            "regression": digest([dataclasses.replace(entry, source="") for entry in self.regression]),
            "ranking": digest([dataclasses.replace(entry, source="") for entry in self.ranking]),
            **({"labels": digest(_unsourced(self.labels))} if self.labels else {}),
        }


def _unsourced(labels: Mapping[str, tuple[Labelled, ...]]) -> dict[str, list[Labelled]]:
    return {name: [dataclasses.replace(line, source="") for line in lines] for name, lines in labels.items()}


def _deciding(row: Threshold) -> dict[str, Any]:
    """Return a row's fields without its place; a row that asks nothing has the digest that it always had."""
    fields = dataclasses.asdict(dataclasses.replace(row, source=""))
    if row.question is None:
        del fields["question"]
    return fields


def _unplaced(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Replace absolute paths with their file names; each measurement has the digest of the weights."""
    return {
        name: Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value
        for name, value in settings.items()
    }
