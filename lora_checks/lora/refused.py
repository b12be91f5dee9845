"""Errors for algorithms that cannot be applied here and for files that are not LoRAs."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lora_checks.core.errors import LoraFileError
from lora_checks.lora.algorithms import Anatomy
from lora_checks.lora.header import Tensor, shown

# Algorithm -> what it is and why it is not applied.
REFUSED: Mapping[str, str] = {
    "norm": "a difference of a normalisation layer, which is no matrix",
    "oft": "an OFT layer, which rotates the base's weight instead of adding to it",
    "scaled oft": "a scaled OFT layer, which rotates the base's weight instead of adding to it",
    "boft": "a BOFT layer, which rotates the base's weight instead of adding to it",
    "ia3": "an (IA)^3 layer, which scales the base's weight instead of adding to it",
    "glora": "a GLoRA layer, which changes the base's weight and input together",
    "tlora": "a T-LoRA layer, whose rank depends on the time step",
}

# The attentions of FLUX, HunyuanVideo and HunyuanImage under their original names.
_ATTENTION = re.compile(r"double_blocks_\d+_(?:img|txt)_attn_(qkv|proj)$")
_CHECKPOINT = (
    "model.diffusion_model.",
    "first_stage_model.",
    "cond_stage_model.",
    "conditioner.embedders.",
    "conv_in.weight",
    "down_blocks.",
    "double_blocks.",
    "joint_blocks.",
    "transformer_blocks.",
)


def check_algorithm(algorithm: str, layer: str) -> None:
    """Raise `LoraFileError` if the algorithm cannot be applied here."""
    if algorithm in REFUSED:
        raise LoraFileError(
            f"holds {REFUSED[algorithm]} ({shown(layer)}); it cannot be applied here: "
            "train a LoRA, DoRA, LoHa or LoKr"
        )


def check_factors(layer: str, anatomy: Anatomy) -> None:
    """Raise `LoraFileError` for a LoKr whose factors multiply to another shape than the module's name has."""
    match = _ATTENTION.search(layer.replace(".", "_"))
    if match is None or not anatomy.algorithm.endswith("kr"):
        return
    height = 3 if match[1] == "qkv" else 1
    if anatomy.rows != height * anatomy.columns:
        raise LoraFileError(
            f"has LoKr factors that multiply to {anatomy.rows} x {anatomy.columns} in layer {shown(layer)}, "
            f"which has {'three times as many' if height == 3 else 'as many'} rows as columns in all models; "
            "export it again"
        )


def check_peft(layer: str) -> None:
    """Raise `LoraFileError` for a PEFT adapter, whose alpha is in another file."""
    raise LoraFileError(
        f"is a PEFT adapter ({shown(layer)}) whose alpha stands in adapter_config.json and not in the file: "
        "put its adapter_config.json beside it"
    )


def unknown_name(name: str) -> LoraFileError:
    """Return the error for a tensor with an unknown ending in a file that has LoRA layers."""
    return LoraFileError(f"holds tensor {shown(name)}, which is no part of any known kind of LoRA")


def no_lora(tensors: Mapping[str, Tensor]) -> LoraFileError:
    """Return the error for a file without any LoRA layer."""
    sample = shown(next(iter(tensors)))
    if any(name.startswith(_CHECKPOINT) and "lora" not in name.lower() for name in tensors):
        return LoraFileError(f"is a full checkpoint ({len(tensors)} tensors such as {sample}), not a LoRA")
    if any("lora" in name.lower() for name in tensors):
        return LoraFileError(
            f"has LoRA keys of no known kind, such as {sample}; known are diffusers "
            "(unet.*.lora_A.weight) and kohya (lora_unet_*.lora_down.weight)"
        )
    return LoraFileError(f"has no LoRA keys among its {len(tensors)} tensors, such as {sample}")
