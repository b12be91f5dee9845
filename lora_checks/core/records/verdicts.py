"""What is measured, and how it is judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from lora_checks.core.records.policies import Against, Better, Pairing, Per, Stat, Takes, Threshold


@dataclass(frozen=True, slots=True)
class Metric:
    """A named pure function of arrays; see ``lora_checks.metric``."""

    name: str
    fn: Callable[..., Any]
    extractor: str  #: network slot; "": none, the function gets pixels; "*": the slot that the row names
    against: Against
    per: Per
    better: Better
    range: tuple[float, float]
    takes: Takes = "features"  #: "distances": between pairs of images, from a network such as LPIPS
    version: str = "1"
    text: str = "{}"  #: template for the prompt that the text encoder gets
    pairing: Pairing = "nearest"  #: if the row names none
    closer: Better | Literal[""] = ""  #: which values mean closer to the other picture; "": as `better`
    moments: bool = False  #: can compare with a mean and covariance instead of pictures
    unbiased: bool = False  #: per set: the expected value does not grow when images are few
    two_valued: bool = False  #: every value is one of the two ends of ``range``
    interval: Callable[..., tuple[float, float] | None] | None = None  #: in place of the jackknife by prompt


@dataclass(frozen=True, slots=True)
class Measurement:
    """The result of measuring one row. ``value`` is never a placeholder: a missing value raises an error."""

    metric: str
    stat: Stat
    value: float
    n: int  #: images measured
    missing: int  #: images without a value (no face found); ``value`` leaves them out
    better: Better
    network: str  #: identity: name, settings and digest of its weights
    label: str  #: network name for people: "CLIP ViT-B/32 openai", "the miniature's trunk"
    against: str = ""  #: "references (24)"; "" if nothing was compared
    low: float | None = None  #: interval at ``confidence`` with prompts as the sampling unit
    high: float | None = None
    confidence: float = 0.95
    prompts: int = 0
    per_image: tuple[tuple[str, float | None], ...] = ()  #: image name -> value; None: missing
    by_prompt: tuple[tuple[str, float], ...] = ()  #: metrics per set: prompt -> pseudo-value; see `stats`
    worst: tuple[str, float] | None = None  #: the prompt with the worst mean
    nearest: tuple[tuple[str, int], ...] = ()  #: reference name -> number of images that are nearest to it
    matches: tuple[tuple[str, str], ...] = ()  #: image name -> its nearest reference
    extremes: tuple[float, float] | None = None  #: smallest and largest value over images
    at: float | None = None
    gain: bool = False
    on: str = ""
    sides: Literal[1, 2] = 2  #: 1: each end alone holds at ``confidence``; 2: both ends together
    floor: float | None = None  #: best value that the references reach against themselves
    waiting: str = ""  #: why these images cannot be judged yet; "" if they can
    themselves: float | None = None  #: value of the compared pictures, each against the others
    reseeded: tuple[
        float, ...
    ] = ()  # metrics per set: lowest and highest value of the images against themselves
    reseeded_by: Literal["seeds", "halves", ""] = (
        ""  # "seeds": other seeds of the same prompts; "halves": other prompts
    )
    noise: float | None = None  #: of a vision model: standard deviation of its answers to one question
    note: str = ""  #: what the controls of a vision model leave open
    points: tuple[float, float] | None = None  #: the only two values possible; see `Metric.two_valued`


class Outcome(StrEnum):
    """The outcome of one check."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one check of one LoRA."""

    lora: str  #: name
    lora_sha256: str  #: "" where the file could not be read
    check: str  #: threshold name, or "file" for the check of the file itself
    outcome: Outcome
    reason: str  #: one sentence: what was measured, what was required
    required: bool = True
    threshold: Threshold | None = None
    measurement: Measurement | None = None
    images: str = ""  #: folder with the images, for people
    details: Mapping[str, Any] = field(default_factory=dict)
    change_of: str = ""  #: row whose change since the approved release is judged; "": a value is judged
