"""The nouns, as frozen records: Lora, Prompt, ImageSpec, ImageSet, Metric, Measurement, Threshold, Verdict.

Nothing here imports more than the standard library, and nothing here does more than hold values and
name them by a digest.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

Against = Literal["nothing", "prompt", "texts", "baseline", "reference", "siblings"]
Per = Literal["image", "set"]
Better = Literal["higher", "lower"]
Stat = Literal["mean", "min", "max", "median", "missing", "worst_prompt", "share_at_least", "share_at_most"]
Pairing = Literal["nearest", "mean", "named", "sorted"]
Rule = Literal["estimate", "bound"]
Takes = Literal["features", "distances", "faces", "picture", "pair"]


def digest(value: object) -> str:
    """SHA-256 (hex) of any JSON-like value or record, independent of key order."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=_plain).encode()).hexdigest()


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"cannot take a digest of {type(value).__name__}")


@dataclass(frozen=True, slots=True)
class LoraLayer:
    """What a file adds to one weight of the base, or to a row of weights that the base keeps apart."""

    name: str  # as the file spells it, without the endings of its tensors
    component: str  # "unet", "transformer", "text_encoder", "text_encoder_2", "text_encoder_3"
    targets: tuple[str, ...]  # diffusers' module names with "_" for ".", in the order of the output rows
    algorithm: str  # "lora", "dora", "loha", "lokr", ...
    parts: Mapping[str, str]  # "down", "up", "alpha", "hada_w1_a", ... -> name of the tensor in the file
    rank: int | None  # None where the file factors nothing
    scaling: float  # alpha / rank as the file states it (alpha / sqrt(rank) for rsLoRA), 1 where it does not
    dead: bool = False  # by its own numbers it adds nothing
    swapped: bool = False  # the halves of the output rows stand in the other order in diffusers


@dataclass(frozen=True, slots=True)
class Lora:
    """One LoRA file as its header describes it; ``sha256`` is of the whole file."""

    path: Path
    name: str  # file name without .safetensors; unique within a run
    sha256: str
    kind: str  # how its keys are spelt: "diffusers" (PEFT keys), "kohya", "XLabs", ...
    ranks: tuple[int, ...]  # distinct ranks, ascending
    alphas: tuple[float, ...]  # distinct alphas, ascending; empty where the file states none
    components: Mapping[str, int]  # "unet", "text_encoder", ... -> number of adapted layers
    tensors: int
    algorithms: tuple[str, ...] = ()  # distinct algorithms of its layers, most frequent first
    families: tuple[str, ...] = ()  # bases that its keys and shapes fit: "SD 1.x", "SDXL", ...
    layers: tuple[LoraLayer, ...] = ()
    tensors_sha256: str = ""  # of the bytes behind the header, as sd-scripts' `sshs_model_hash`
    facts: Mapping[str, str] = field(default_factory=dict)  # from the metadata: trigger, base, training
    warnings: tuple[str, ...] = ()  # sentences for people; nothing that would be an error
    scale: float = 1.0  # the strength it is gated at


@dataclass(frozen=True, slots=True)
class Prompt:
    id: str
    text: str
    tags: tuple[str, ...] = ()
    source: str = ""  # "prompts.yaml:12", for messages


@dataclass(frozen=True, slots=True)
class Base:
    """The model the LoRA is applied to: a hub id, a local pipeline directory, or a single checkpoint."""

    model: str  # an absolute path where it is local; a file ends in .safetensors
    revision: str | None = None
    config: str | None = None  # pipeline that a single checkpoint takes its settings from: folder, "id[@rev]"
    vae: str | None = None  # in place of the base's own: folder, .safetensors file, or "id[@rev]"


@dataclass(frozen=True, slots=True)
class Sampler:
    steps: int
    guidance: float
    width: int  # pixels
    height: int
    negative: str = ""
    scheduler: str | None = None  # diffusers class name; None keeps the base's own
    scheduler_settings: Mapping[str, Any] = field(default_factory=dict)  # over the base's own
    max_sequence_length: int | None = None  # tokens that T5 reads; None is the pipeline's own number
    true_cfg_scale: float | None = None  # guidance away from the negative prompt, on a distilled base


@dataclass(frozen=True, slots=True)
class PromptSet:
    """``prompts.yaml``: what is generated."""

    base: Base
    sampler: Sampler
    prompts: tuple[Prompt, ...]
    seeds: tuple[int, ...]
    trigger: str  # "sks person": what the LoRA was taught
    class_words: str  # "person": what scorers that never heard the trigger are told instead
    source: str = ""
    places: Mapping[str, str] = field(default_factory=dict)  # "guidance" -> "prompts.yaml:2: ..."

    def place(self, key: str) -> str:
        """Where a key of ``sampler:`` was written, for messages."""
        return self.places.get(key, f"{self.source}: sampler.{key}")


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the limits of a row were set on; a record, but for ``identity``, which must be the network's."""

    identity: str  # `Measurement.network` of the values that were looked at
    good: tuple[str, ...]  # LoRAs that people call good, and bad
    bad: tuple[str, ...] = ()
    margin: float | None = None  # between the worst good and the best bad bound, in the metric's unit
    n: int | None = None  # images of each


@dataclass(frozen=True, slots=True)
class Threshold:
    """One row of ``thresholds.yaml`` = one check."""

    name: str
    metric: str
    why: str
    min: float | None = None
    max: float | None = None
    stat: Stat = "mean"
    pairing: Pairing | Literal[""] = ""  # "" is the metric's own
    against: str = "references"  # which folder of pictures, for metrics that compare with pictures
    network: str = ""  # slot of `networks:`; "" is the metric's own
    texts: tuple[str, ...] = ()  # for metrics that choose among texts: the right one first
    rule: Rule = "estimate"
    required: bool = True
    max_missing: float = 0.0  # share of images that may have no value (no face found)
    bands: tuple[tuple[str, float], ...] = ()  # ("excellent", 0.15), ...: words printed beside the value
    source: str = ""  # "thresholds.yaml:14"
    at: float | None = None  # for a share: of the images whose value is at least or at most this
    gain: bool = False  # the value minus that of the same prompts and seeds without the LoRA
    on: str = ""  # `tagged:`, only images of prompts with this tag; "" are the prompts of no arm
    calibrated_on: Calibration | None = None


@dataclass(frozen=True, slots=True)
class Allowance:
    """One entry of ``regression:`` = one check against the last approved release."""

    row: str  # name of the `Threshold`
    allowed: float  # worsening, in the row's own unit, 0 or more
    rule: Rule  # "bound": surely no worse than that; "estimate": by the difference found
    source: str = ""  # "thresholds.yaml:40"

    @property
    def check(self) -> str:
        return f"regression-{self.row}"


@dataclass(frozen=True, slots=True)
class Weight:
    """One entry of ``ranking:``: what a row is worth where several LoRAs pass."""

    row: str  # name of the `Threshold`
    weight: float  # above 0
    worst: float  # the value that is worth 0, and less is worth no less
    best: float  # the value that is worth 1, and more is worth no more; below ``worst`` where less is better
    source: str = ""  # "thresholds.yaml:48"


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy directory, read and checked."""

    prompts: PromptSet
    thresholds: tuple[Threshold, ...]
    networks: Mapping[str, Mapping[str, Any]]  # slot ("clip") -> settings; relative paths already resolved
    folders: Mapping[str, Path]  # "references", "train" -> folder of pictures, or an .npz of statistics
    directory: Path
    unused_tensors: Mapping[str, str] = field(default_factory=dict)  # pattern of tensor names -> why
    regression: tuple[Allowance, ...] = ()  # against the last approved release
    ranking: tuple[Weight, ...] = ()  # of several LoRAs; empty: each required row alike

    @property
    def digest(self) -> str:
        """Of what decides the verdict; not of where the files lie, nor in which line a row stands."""
        return digest(self.deciding)

    @property
    def deciding(self) -> dict[str, str]:
        """The `parts` that decide a verdict: all but `ranking:`, which orders LoRAs that passed."""
        return {name: part for name, part in self.parts.items() if name != "ranking"}

    @property
    def parts(self) -> dict[str, str]:
        """Digests part by part, so that a reader can say which part differs."""
        said = self.prompts
        prompts = [dataclasses.replace(prompt, source="") for prompt in said.prompts]
        return {
            "thresholds": digest([dataclasses.replace(row, source="") for row in self.thresholds]),
            "prompts": digest([prompts, said.sampler, said.seeds, said.trigger, said.class_words]),
            "networks": digest({slot: _unplaced(settings) for slot, settings in self.networks.items()}),
            "unused_tensors": digest(sorted(self.unused_tensors)),
            "regression": digest([dataclasses.replace(one, source="") for one in self.regression]),
            "ranking": digest([dataclasses.replace(one, source="") for one in self.ranking]),
        }


def _unplaced(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Absolute paths as bare names; each measurement carries the digest of the weights themselves."""
    return {
        name: Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value
        for name, value in settings.items()
    }


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """Everything that decides one image's pixels; equal digests mean the same picture."""

    prompt: Prompt
    seed: int
    sampler: Sampler
    base: str  # digest of the base's weights, or "hub-id@revision"
    lora: str | None  # sha256; None is the base alone
    lora_scale: float
    dtype: str  # "float32", "float16", "bfloat16"
    device: str  # "cpu", "cuda", ...
    versions: tuple[str, ...]  # ("diffusers 0.42.1", "torch 2.14.1")
    companions: tuple[tuple[str, float], ...] = ()  # sha256 and scale of LoRAs it is stacked on
    memory: tuple[str, ...] = ()  # what saves memory at the price of other pixels: "vae-tiling", ...

    @property
    def digest(self) -> str:
        pixels = dataclasses.asdict(self) | {"prompt": self.prompt.text}
        return digest(pixels)


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One picture on disk; ``sha256`` is of the file's bytes and keys everything measured on it."""

    path: Path
    sha256: str
    name: str  # "green-shirt-glasses/1" (prompt id / seed) or the file name of a reference
    prompt: Prompt | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class ImageSet:
    name: str  # "candidate", "baseline", "references", "train"
    images: tuple[ImageFile, ...]
    statistics: ImageFile | None = None  # an .npz of (mu, sigma) in place of pictures


@dataclass(frozen=True, slots=True)
class Metric:
    """A named pure function of arrays; see ``lora_checks.metric``."""

    name: str
    fn: Callable[..., Any]
    extractor: str  # network slot, "" for none (the function gets pixels), "*" for the one the row names
    against: Against
    per: Per
    better: Better
    range: tuple[float, float]
    takes: Takes = "features"  # "distances": of pairs of images, from a network of pairs (LPIPS)
    version: str = "1"
    text: str = "{}"  # template of the prompt given to the text tower
    pairing: Pairing = "nearest"  # where the row names none
    closer: Better | Literal[""] = ""  # which values mean nearer to the other picture; "" follows `better`
    moments: bool = False  # can compare with mean and covariance in place of pictures
    unbiased: bool = False  # per set: few independent images give no larger value than many
    two_valued: bool = False  # each value is one of the two ends of ``range``


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was found. ``value`` is never a stand-in: where there is none, an error is raised instead."""

    metric: str
    stat: Stat
    value: float
    n: int  # images measured
    missing: int  # images without a value (no face found), not part of ``value``
    better: Better
    network: str  # identity: name, settings and digest of the weights
    label: str  # the network for people: "CLIP ViT-B/32 openai", "the miniature's trunk"
    against: str = ""  # "references (24)", "" where nothing was compared
    low: float | None = None  # interval at ``confidence`` with prompts as the sampling unit
    high: float | None = None
    confidence: float = 0.95
    prompts: int = 0
    per_image: tuple[tuple[str, float | None], ...] = ()  # image name -> value; None is missing
    by_prompt: tuple[tuple[str, float], ...] = ()  # of a set: prompt -> pseudo-value; see `stats`
    worst: tuple[str, float] | None = None  # the prompt with the worst mean
    nearest: tuple[tuple[str, int], ...] = ()  # reference name -> images it is nearest to
    matches: tuple[tuple[str, str], ...] = ()  # image name -> the reference it is nearest to
    extremes: tuple[float, float] | None = None  # smallest and largest value over images
    at: float | None = None
    gain: bool = False
    on: str = ""
    sides: Literal[1, 2] = 2  # 1: each end holds at ``confidence`` by itself; 2: both together do
    floor: float | None = None  # what the references measure against themselves, at best
    waiting: str = ""  # why these images may not be judged; "" where they may
    themselves: float | None = None  # what the pictures it was compared with give, each against the others
    reseeded: tuple[float, ...] = ()  # of a set: what the images give against themselves, lowest and highest
    reseeded_by: Literal["seeds", "halves", ""] = ""  # other seeds of the same prompts, or other prompts
    points: tuple[float, float] | None = None  # the two numbers that each value is one of; see `two_valued`


@dataclass(frozen=True, slots=True)
class Proof:
    """What a LoRA was measured to do on the base, by forwards on fixed inputs with and without it."""

    tensors: int  # of the file, each of them in use or allowed to be unused by the policy
    layers: int  # of the file, each of them on the base, with the strength that the file states
    unused: tuple[str, ...]  # tensors that the policy allows to be left out
    dead: tuple[str, ...]  # layers that add nothing, by the file's own numbers
    effect: Mapping[str, float]  # component -> |output with - output without| / |output without|
    worst_layer_error: float  # largest relative distance of a layer's effect from the file's own formula
    device: str
    dtype: str


class Outcome(StrEnum):
    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One LoRA, one check, one outcome."""

    lora: str  # name
    lora_sha256: str  # "" where the file could not be read
    check: str  # threshold name, or "file" for the checks of the file itself
    outcome: Outcome
    reason: str  # one sentence: what was measured, what was required
    required: bool = True
    threshold: Threshold | None = None
    measurement: Measurement | None = None
    images: str = ""  # folder where a person can look
    details: Mapping[str, Any] = field(default_factory=dict)
    change_of: str = ""  # the row whose change since the last approved release is judged; "" for its value
