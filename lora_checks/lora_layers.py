"""What the tensor names and shapes of a LoRA file mean: pairs of matrices, by layer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lora_checks.errors import LoraFileError
from lora_checks.lora_header import Tensor, shown

FLOATS = ("F16", "BF16", "F32")


@dataclass(frozen=True, slots=True)
class Layer:
    """``up @ down * alpha / rank`` is added to one weight of the base."""

    name: str
    component: str  # "unet", "text_encoder", ...
    down: Tensor  # lora_A: (rank, in, ...)
    up: Tensor  # lora_B: (out, rank, ...)
    alpha: Tensor | None

    @property
    def rank(self) -> int:
        return self.down.shape[0]


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    key: re.Pattern[str]  # groups: layer, component, part
    parts: tuple[str, str]  # how it calls down and up
    components: Mapping[str, str]


_DIFFUSERS = ("unet", "transformer", "text_encoder", "text_encoder_2", "text_encoder_3")
_KINDS = (
    _Kind(
        "diffusers",
        re.compile(rf"(({'|'.join(_DIFFUSERS)})\..+)\.(lora_A\.weight|lora_B\.weight|alpha)"),
        ("lora_A.weight", "lora_B.weight"),
        {name: name for name in _DIFFUSERS},
    ),
    _Kind(
        "kohya",
        re.compile(r"((lora_unet|lora_te[123]?)_.+)\.(lora_down\.weight|lora_up\.weight|alpha)"),
        ("lora_down.weight", "lora_up.weight"),
        {
            "lora_unet": "unet",
            "lora_te": "text_encoder",
            "lora_te1": "text_encoder",
            "lora_te2": "text_encoder_2",
            "lora_te3": "text_encoder_3",
        },
    ),
)

# Kinds that are recognised in order to be refused by name: loaded as a plain LoRA they lose a part.
_REFUSED = {
    ".hada_": "a LoHa (LyCORIS)",
    ".lokr_": "a LoKr (LyCORIS)",
    ".dora_scale": "a DoRA",
    "lora_magnitude_vector": "a DoRA",
    ".oft_": "an OFT",
    ".lora_mid.": "a LoCon with Tucker decomposition",
    ".diff_b": "a LyCORIS file with full weight differences",
    "lora.down.weight": "a LoRA with diffusers' old attention-processor keys",
    "lora_linear_layer.": "a LoRA with diffusers' old attention-processor keys",
    "base_model.model.": "a PEFT adapter without diffusers' component prefixes",
    "emb_params": "a textual inversion",
}
_CHECKPOINT = (
    "model.diffusion_model.",
    "first_stage_model.",
    "cond_stage_model.",
    "conv_in.",
    "down_blocks.",
)


def layers_of(tensors: Mapping[str, Tensor]) -> tuple[str, tuple[Layer, ...]]:
    """The kind of the file and its layers; `LoraFileError` unless every tensor has its place."""
    if not tensors:
        raise LoraFileError("holds no tensors")
    kind = _kind(tensors)
    parts: dict[str, dict[str, Tensor]] = {}
    components: dict[str, str] = {}
    for name, tensor in tensors.items():
        match = kind.key.fullmatch(name)
        if match is None:
            raise LoraFileError(f"holds tensor {shown(name)}, which is no part of a {kind.name} LoRA")
        layer, component, part = match.groups()
        parts.setdefault(layer, {})[part] = tensor
        components[layer] = kind.components[component]
    return kind.name, tuple(_layer(kind, name, components[name], parts[name]) for name in parts)


def _kind(tensors: Mapping[str, Tensor]) -> _Kind:
    for name in tensors:
        for sign, what in _REFUSED.items():
            if sign in name:
                raise LoraFileError(f"is {what} ({shown(name)}); only a plain LoRA is applied in full")
    for kind in _KINDS:
        if any(kind.key.fullmatch(name) and not name.endswith(".alpha") for name in tensors):
            return kind
    sample = shown(next(iter(tensors)))
    if any(name.startswith(_CHECKPOINT) for name in tensors):
        raise LoraFileError(f"is a full checkpoint ({len(tensors)} tensors such as {sample}), not a LoRA")
    if any("lora" in name.lower() for name in tensors):
        raise LoraFileError(
            f"has LoRA keys of no known kind, such as {sample}; known are diffusers "
            "(unet.*.lora_A.weight) and kohya (lora_unet_*.lora_down.weight)"
        )
    raise LoraFileError(f"has no LoRA keys among its {len(tensors)} tensors, such as {sample}")


def _layer(kind: _Kind, name: str, component: str, parts: Mapping[str, Tensor]) -> Layer:
    for part, other in (kind.parts, kind.parts[::-1]):
        if part not in parts:
            have = f"has {other}" if other in parts else "has only alpha"
            raise LoraFileError(f"is incomplete: layer {shown(name)} {have} but no {part}")
    down, up = (parts[part] for part in kind.parts)
    for tensor in (down, up):
        if tensor.dtype not in FLOATS:
            raise LoraFileError(
                f"has tensor {shown(tensor.name)} of dtype {tensor.dtype}; read are {', '.join(FLOATS)}"
            )
        if len(tensor.shape) < 2 or 0 in tensor.shape:
            raise LoraFileError(
                f"has tensor {shown(tensor.name)} of shape {list(tensor.shape)}, which is no matrix"
            )
    if down.shape[0] != up.shape[1]:
        raise LoraFileError(
            f"has two ranks in layer {shown(name)}: "
            f"{down.shape[0]} in {kind.parts[0]}, {up.shape[1]} in {kind.parts[1]}"
        )
    return Layer(name, component, down, up, parts.get("alpha"))
