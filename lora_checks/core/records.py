"""The package's nouns as frozen records: Lora, Prompt, ImageSpec, ImageSet, Metric, Measurement, Verdict, ...

Records only hold values and compute digests of them. This module imports only the standard library.
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
    """Return the SHA-256 (hex) of a JSON-like value or record, independent of key order."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=_plain).encode()).hexdigest()


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"cannot take a digest of {type(value).__name__}")


@dataclass(frozen=True, slots=True)
class LoraLayer:
    """The change to one weight of the base, or to several weights that the file stores stacked as one."""

    name: str  # as spelt in the file, without the suffixes of its tensors
    component: str  # "unet", "transformer", "text_encoder", "text_encoder_2", "text_encoder_3"
    targets: tuple[str, ...]  # diffusers' module names with "_" for ".", in the order of the output rows
    algorithm: str  # "lora", "dora", "loha", "lokr", ...
    parts: Mapping[str, str]  # "down", "up", "alpha", "hada_w1_a", ... -> name of the tensor in the file
    rank: int | None  # None if the change is not factored
    scaling: float  # alpha / rank as stated in the file (alpha / sqrt(rank) for rsLoRA), else 1
    dead: bool = False  # its own values make it add nothing
    swapped: bool = False  # diffusers stores the two halves of the output rows in the opposite order


@dataclass(frozen=True, slots=True)
class Lora:
    """One inspected LoRA file; ``sha256`` is the digest of the whole file."""

    path: Path
    name: str  # file name without .safetensors; unique within a run
    sha256: str
    kind: str  # naming scheme of its keys: "diffusers" (PEFT keys), "kohya", "XLabs", ...
    ranks: tuple[int, ...]  # distinct ranks, ascending
    alphas: tuple[float, ...]  # distinct alphas, ascending; empty if the file states none
    components: Mapping[str, int]  # "unet", "text_encoder", ... -> number of adapted layers
    tensors: int
    algorithms: tuple[str, ...] = ()  # distinct algorithms of its layers, most frequent first
    families: tuple[str, ...] = ()  # bases that its keys and shapes fit: "SD 1.x", "SDXL", ...
    layers: tuple[LoraLayer, ...] = ()
    tensors_sha256: str = ""  # of all bytes after the header, like sd-scripts' `sshs_model_hash`
    facts: Mapping[str, str] = field(default_factory=dict)  # from the metadata: trigger, base, training
    warnings: tuple[str, ...] = ()  # sentences for people; none of them stops a release
    scale: float = 1.0  # the strength it is gated at


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt of ``prompts.yaml``."""

    id: str
    text: str
    tags: tuple[str, ...] = ()
    source: str = ""  # "prompts.yaml:12", for messages


@dataclass(frozen=True, slots=True)
class Base:
    """The model the LoRA is applied to: a hub id, a local pipeline directory, or a single checkpoint."""

    model: str  # a hub id, or an absolute path; a single file ends in .safetensors
    revision: str | None = None
    config: str | None = None  # pipeline with the settings of a single checkpoint: folder, "id[@rev]"
    vae: str | None = None  # replaces the base's VAE: folder, .safetensors file, or "id[@rev]"


@dataclass(frozen=True, slots=True)
class Sampler:
    """``sampler:`` of ``prompts.yaml``: how images are generated."""

    steps: int
    guidance: float
    width: int  # pixels
    height: int
    negative: str = ""
    scheduler: str | None = None  # diffusers class name; None keeps the base's own
    scheduler_settings: Mapping[str, Any] = field(default_factory=dict)  # override the base's settings
    max_sequence_length: int | None = None  # tokens that T5 reads; None: the pipeline's default
    true_cfg_scale: float | None = None  # guidance against the negative prompt, on a distilled base


@dataclass(frozen=True, slots=True)
class PromptSet:
    """``prompts.yaml``: what is generated."""

    base: Base
    sampler: Sampler
    prompts: tuple[Prompt, ...]
    seeds: tuple[int, ...]
    trigger: str  # "sks person": the words that the LoRA was trained on
    class_words: str  # "person": replaces the trigger for scorers that do not know it
    source: str = ""
    places: Mapping[str, str] = field(default_factory=dict)  # "guidance" -> "prompts.yaml:2: ..."

    def place(self, key: str) -> str:
        """Return the file and line of a key of ``sampler:``, for messages."""
        return self.places.get(key, f"{self.source}: sampler.{key}")


@dataclass(frozen=True, slots=True)
class Calibration:
    """The data that the limits of a row were set on.

    Only ``identity`` is checked: it must be that of the network. The rest is for the record.
    """

    identity: str  # `Measurement.network` of the calibration values
    good: tuple[str, ...]  # names of LoRAs that people rated good; ``bad``: rated bad
    bad: tuple[str, ...] = ()
    margin: float | None = None  # between the worst good and the best bad bound, in the metric's unit
    n: int | None = None  # images per LoRA


@dataclass(frozen=True, slots=True)
class Threshold:
    """One row of ``thresholds.yaml``, which is one check."""

    name: str
    metric: str
    why: str
    min: float | None = None
    max: float | None = None
    stat: Stat = "mean"
    pairing: Pairing | Literal[""] = ""  # "": the metric's default
    against: str = "references"  # folder to compare with, for metrics that compare pictures
    network: str = ""  # slot of `networks:`; "": the metric's default
    texts: tuple[str, ...] = ()  # for metrics that choose among texts: the correct text first
    rule: Rule = "estimate"
    required: bool = True
    max_missing: float = 0.0  # share of images that may have no value (no face found)
    bands: tuple[tuple[str, float], ...] = ()  # ("excellent", 0.15), ...: words printed next to the value
    source: str = ""  # "thresholds.yaml:14"
    at: float | None = None  # for a share: counts images with a value of at least or at most this
    gain: bool = False  # judge the value minus the base's value for the same prompts and seeds
    on: str = ""  # `tagged:`: only images of prompts with this tag; "": of prompts in no arm
    calibrated_on: Calibration | None = None


@dataclass(frozen=True, slots=True)
class Allowance:
    """One entry of ``regression:``, which is one check against the last approved release."""

    row: str  # name of the `Threshold`
    allowed: float  # allowed worsening, 0 or more, in the row's unit
    rule: Rule  # judge the interval's bound, or the measured difference
    source: str = ""  # "thresholds.yaml:40"

    @property
    def check(self) -> str:
        return f"regression-{self.row}"


@dataclass(frozen=True, slots=True)
class Weight:
    """One entry of ``ranking:``: the weight of a row when several LoRAs pass."""

    row: str  # name of the `Threshold`
    weight: float  # above 0
    worst: float  # value that scores 0, as does every worse value
    best: float  # value that scores 1, as does every better value; below ``worst`` if lower is better
    source: str = ""  # "thresholds.yaml:48"


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy directory after reading and checking."""

    prompts: PromptSet
    thresholds: tuple[Threshold, ...]
    networks: Mapping[str, Mapping[str, Any]]  # slot ("clip") -> settings; relative paths already resolved
    folders: Mapping[str, Path]  # "references", "train" -> folder of pictures, or an .npz of statistics
    directory: Path
    unused_tensors: Mapping[str, str] = field(default_factory=dict)  # pattern of tensor names -> why
    regression: tuple[Allowance, ...] = ()  # against the last approved release
    ranking: tuple[Weight, ...] = ()  # of several LoRAs; empty: all required rows count alike

    @property
    def digest(self) -> str:
        """Digest of everything that decides the verdict, but not of file locations and line numbers."""
        return digest(self.deciding)

    @property
    def deciding(self) -> dict[str, str]:
        """The `parts` that decide a verdict: all except `ranking:`, which orders LoRAs that passed."""
        return {name: part for name, part in self.parts.items() if name != "ranking"}

    @property
    def parts(self) -> dict[str, str]:
        """One digest for each part, to tell which parts of two policies differ."""
        prompts = [dataclasses.replace(prompt, source="") for prompt in self.prompts.prompts]
        words = (self.prompts.trigger, self.prompts.class_words)
        return {
            "thresholds": digest([dataclasses.replace(row, source="") for row in self.thresholds]),
            "prompts": digest([prompts, self.prompts.sampler, self.prompts.seeds, *words]),
            "networks": digest({slot: _unplaced(settings) for slot, settings in self.networks.items()}),
            "unused_tensors": digest(sorted(self.unused_tensors)),
            "regression": digest([dataclasses.replace(entry, source="") for entry in self.regression]),
            "ranking": digest([dataclasses.replace(entry, source="") for entry in self.ranking]),
        }


def _unplaced(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Replace absolute paths with their file names; each measurement has the digest of the weights."""
    return {
        name: Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value
        for name, value in settings.items()
    }


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """Everything that decides the pixels of one image; equal digests mean the same image."""

    prompt: Prompt
    seed: int
    sampler: Sampler
    base: str  # digest of the base's weights, or "hub-id@revision"
    lora: str | None  # sha256; None: the base alone
    lora_scale: float
    dtype: str  # "float32", "float16", "bfloat16"
    device: str  # "cpu", "cuda", ...
    versions: tuple[str, ...]  # ("diffusers 0.42.1", "torch 2.14.1")
    companions: tuple[tuple[str, float], ...] = ()  # sha256 and scale of each LoRA from --lora-with
    memory: tuple[str, ...] = ()  # memory savings that change pixels: "vae-tiling", ...

    @property
    def digest(self) -> str:
        pixels = dataclasses.asdict(self) | {"prompt": self.prompt.text}
        return digest(pixels)


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One picture on disk; ``sha256`` is the digest of the file and the key of all its measurements."""

    path: Path
    sha256: str
    name: str  # "green-shirt-glasses/1" (prompt id / seed) or the file name of a reference
    prompt: Prompt | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Pictures that are measured together."""

    name: str  # "candidate", "baseline", "references", "train"
    images: tuple[ImageFile, ...]
    statistics: ImageFile | None = None  # an .npz of (mu, sigma) in place of pictures


@dataclass(frozen=True, slots=True)
class Metric:
    """A named pure function of arrays; see ``lora_checks.metric``."""

    name: str
    fn: Callable[..., Any]
    extractor: str  # network slot; "": none, the function gets pixels; "*": the slot that the row names
    against: Against
    per: Per
    better: Better
    range: tuple[float, float]
    takes: Takes = "features"  # "distances": between pairs of images, from a network such as LPIPS
    version: str = "1"
    text: str = "{}"  # template for the prompt that the text encoder gets
    pairing: Pairing = "nearest"  # if the row names none
    closer: Better | Literal[""] = ""  # which values mean closer to the other picture; "": as `better`
    moments: bool = False  # can compare with a mean and covariance instead of pictures
    unbiased: bool = False  # per set: the expected value does not grow when images are few
    two_valued: bool = False  # every value is one of the two ends of ``range``


@dataclass(frozen=True, slots=True)
class Measurement:
    """The result of measuring one row. ``value`` is never a placeholder: a missing value raises an error."""

    metric: str
    stat: Stat
    value: float
    n: int  # images measured
    missing: int  # images without a value (no face found); ``value`` leaves them out
    better: Better
    network: str  # identity: name, settings and digest of its weights
    label: str  # network name for people: "CLIP ViT-B/32 openai", "the miniature's trunk"
    against: str = ""  # "references (24)"; "" if nothing was compared
    low: float | None = None  # interval at ``confidence`` with prompts as the sampling unit
    high: float | None = None
    confidence: float = 0.95
    prompts: int = 0
    per_image: tuple[tuple[str, float | None], ...] = ()  # image name -> value; None: missing
    by_prompt: tuple[tuple[str, float], ...] = ()  # metrics per set: prompt -> pseudo-value; see `stats`
    worst: tuple[str, float] | None = None  # the prompt with the worst mean
    nearest: tuple[tuple[str, int], ...] = ()  # reference name -> number of images that are nearest to it
    matches: tuple[tuple[str, str], ...] = ()  # image name -> its nearest reference
    extremes: tuple[float, float] | None = None  # smallest and largest value over images
    at: float | None = None
    gain: bool = False
    on: str = ""
    sides: Literal[1, 2] = 2  # 1: each end alone holds at ``confidence``; 2: both ends together
    floor: float | None = None  # best value that the references reach against themselves
    waiting: str = ""  # why these images cannot be judged yet; "" if they can
    themselves: float | None = None  # value of the compared pictures, each against the others
    reseeded: tuple[
        float, ...
    ] = ()  # metrics per set: lowest and highest value of the images against themselves
    reseeded_by: Literal["seeds", "halves", ""] = (
        ""  # "seeds": other seeds of the same prompts; "halves": other prompts
    )
    points: tuple[float, float] | None = None  # the only two values possible; see `Metric.two_valued`


@dataclass(frozen=True, slots=True)
class Proof:
    """The effect of a LoRA on the base, measured by forward passes on fixed inputs with and without it."""

    tensors: int  # in the file; each is in use, or the policy allows it to be unused
    layers: int  # in the file; each is on the base, at the strength that the file states
    unused: tuple[str, ...]  # tensors left out with the policy's permission
    dead: tuple[str, ...]  # layers whose values in the file add nothing
    effect: Mapping[str, float]  # component -> |output with LoRA - output without| / |output without|
    worst_layer_error: float  # largest relative error of a layer's effect against the formula
    device: str
    dtype: str


class Outcome(StrEnum):
    """The outcome of one check."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one check of one LoRA."""

    lora: str  # name
    lora_sha256: str  # "" where the file could not be read
    check: str  # threshold name, or "file" for the check of the file itself
    outcome: Outcome
    reason: str  # one sentence: what was measured, what was required
    required: bool = True
    threshold: Threshold | None = None
    measurement: Measurement | None = None
    images: str = ""  # folder with the images, for people
    details: Mapping[str, Any] = field(default_factory=dict)
    change_of: str = ""  # row whose change since the approved release is judged; "": a value is judged
