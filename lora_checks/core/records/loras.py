"""A LoRA file, and the proof that it is applied to the base."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LoraLayer:
    """The change to one weight of the base, or to several weights that the file stores stacked as one."""

    name: str  #: as spelt in the file, without the suffixes of its tensors
    component: str  #: "unet", "transformer", "text_encoder", ...; "denoiser" where only the base can tell
    targets: tuple[str, ...]  #: module names with "_" for ".", in row order, as far as the file alone tells
    algorithm: str  #: "lora", "dora", "loha", "lokr", ...
    parts: Mapping[str, str]  #: "down", "up", "alpha", "hada_w1_a", ... -> name of the tensor in the file
    rank: int | None  #: None if the change is not factored
    scaling: float  #: alpha / rank as stated in the file (alpha / sqrt(rank) for rsLoRA), else 1
    dead: bool = False  #: its own values make it add nothing
    swapped: bool = False  #: diffusers stores the two halves of the output rows in the opposite order


@dataclass(frozen=True, slots=True)
class Lora:
    """One inspected LoRA; ``sha256`` is the digest of its file, or of all its files one after the other."""

    path: Path
    name: str  #: file name without .safetensors; unique within a run
    sha256: str
    kind: str  #: naming scheme of its keys: "diffusers" (PEFT keys), "kohya", "XLabs", ...
    ranks: tuple[int, ...]  #: distinct ranks, ascending
    alphas: tuple[float, ...]  #: distinct alphas, ascending; empty if the file states none
    components: Mapping[str, int]  #: "unet", "text_encoder", ... -> number of adapted layers
    tensors: int
    algorithms: tuple[str, ...] = ()  #: distinct algorithms of its layers, most frequent first
    families: tuple[str, ...] = ()  #: bases that its keys and shapes fit: "SD 1.x", "SDXL", ...
    layers: tuple[LoraLayer, ...] = ()
    tensors_sha256: str = ""  #: of all bytes after the header, like sd-scripts' `sshs_model_hash`
    facts: Mapping[str, str] = field(default_factory=dict)  #: from the metadata: trigger, base, training
    warnings: tuple[str, ...] = ()  #: sentences for people; none of them stops a release
    scale: float = 1.0  #: the strength it is gated at
    second: Path | None = None  #: the other half of a pair, whose layers are of another denoiser
    config: Path | None = None  #: PEFT's adapter_config.json, which states its strength
    numbered: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  #: component -> classes


@dataclass(frozen=True, slots=True)
class Proof:
    """The effect of a LoRA on the base, measured by forward passes on fixed inputs with and without it."""

    tensors: int  #: in the file; each is in use, or the policy allows it to be unused
    layers: int  #: in the file; each is applied to the base at the strength that the file states
    unused: tuple[str, ...]  #: tensors left out with the policy's permission
    dead: tuple[str, ...]  #: layers whose values in the file add nothing
    effect: Mapping[str, float]  #: component -> |output with LoRA - output without| / |output without|
    worst_layer_error: float  #: largest relative error of a layer's effect against the formula
    device: str
    dtype: str
