"""What the tensor names and shapes of a LoRA file mean: pairs of matrices, by layer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

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


@dataclass(frozen=True)  # no slots: cached_property needs a dict
class _Kind:
    name: str
    components: Mapping[str, str]  # how a key starts -> component
    parts: Mapping[str, str]  # how a key ends -> DOWN, UP or ALPHA

    @cached_property
    def key(self) -> re.Pattern[str]:
        starts, ends = ("|".join(map(re.escape, names)) for names in (self.components, self.parts))
        return re.compile(f"(({starts}).+?)({ends})")


DOWN, UP, ALPHA = "lora_A (down)", "lora_B (up)", "alpha"
_DIFFUSERS = ("unet", "transformer", "text_encoder", "text_encoder_2", "text_encoder_3")
_KINDS = (
    _Kind(
        "diffusers",
        {f"{name}.": name for name in _DIFFUSERS},
        # PEFT's own spelling, the two of diffusers' convert_state_dict_to_diffusers (UNet, text encoders) and
        # that of the old attention processors: diffusers applies all of them alike.
        {
            ".lora_A.weight": DOWN,
            ".lora_B.weight": UP,
            ".lora.down.weight": DOWN,
            ".lora.up.weight": UP,
            ".lora_linear_layer.down.weight": DOWN,
            ".lora_linear_layer.up.weight": UP,
            "_lora.down.weight": DOWN,
            "_lora.up.weight": UP,
            ".alpha": ALPHA,
        },
    ),
    _Kind(
        "kohya",
        {
            "lora_unet_": "unet",
            "lora_te_": "text_encoder",
            "lora_te1_": "text_encoder",
            "lora_te2_": "text_encoder_2",
            "lora_te3_": "text_encoder_3",
        },
        {".lora_down.weight": DOWN, ".lora_up.weight": UP, ".alpha": ALPHA},
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
        layer, component, end = match.groups()
        part = kind.parts[end]
        if part in parts.setdefault(layer, {}):
            raise LoraFileError(f"has two {part} for layer {shown(layer)}, in two spellings")
        parts[layer][part] = tensor
        components[layer] = kind.components[component]
    return kind.name, tuple(_layer(name, components[name], parts[name]) for name in parts)


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


def _layer(name: str, component: str, parts: Mapping[str, Tensor]) -> Layer:
    for part in (DOWN, UP):
        if part not in parts:
            have = " and ".join(parts)
            raise LoraFileError(f"is incomplete: layer {shown(name)} has {have} but no {part}")
    down, up = parts[DOWN], parts[UP]
    _check_matrix(down)
    _check_matrix(up)
    if down.shape[0] != up.shape[1]:
        ranks = f"{down.shape[0]} in {DOWN}, {up.shape[1]} in {UP}"
        raise LoraFileError(f"has two ranks in layer {shown(name)}: {ranks}")
    return Layer(name, component, down, up, parts.get(ALPHA))


def _check_matrix(tensor: Tensor) -> None:
    if tensor.dtype not in FLOATS:
        read = ", ".join(FLOATS)
        raise LoraFileError(f"has tensor {shown(tensor.name)} of dtype {tensor.dtype}; read are {read}")
    if len(tensor.shape) < 2 or 0 in tensor.shape:
        shape = list(tensor.shape)
        raise LoraFileError(f"has tensor {shown(tensor.name)} of shape {shape}, which is no matrix")
