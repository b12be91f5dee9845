"""What is known of a published base."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class KnownBase:
    """A base that people train on."""

    title: str
    model: str  # hub id
    steps: int
    guidance: float
    size: int  # pixels, width and height
    more: Mapping[str, float | str] = field(default_factory=dict)  # other keys of `sampler:`
    families: tuple[str, ...] = ()  # names that `lora-checks inspect` gives files for it
    pipeline: str = ""  # diffusers class of its pipeline; "" where another base stands for the class
    gated: bool = False  # the hub asks to accept a licence first
    licence: str = ""  # its name on the model card; "" where it is not known
    parameters: Mapping[str, float] = field(default_factory=dict)  # network -> billions; {}: not counted
    notes: str = ""  # for people: what it ignores, rounds or needs
