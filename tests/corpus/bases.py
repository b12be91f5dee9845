"""LoRAs without a fault of their own that do not fit the base they are given: here the miniature."""

# ruff: noqa: E501  # a table: one row for each file
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from .entry import Entry, Make, Tensors, kohya, layer

MINIATURE = Path(__file__).parent.parent.parent / "examples" / "miniature"
NONE_MATCH = "a.safetensors: 0 of {} layers match the base, such as '…'; its unet, text_encoder have modules such as '…'{}"
NO_PLACE = "a.safetensors: {} have no place on the base, {}"
MISFIT = "a.safetensors: unet layer '…' does not fit the base: LoRA {}, base {}{}"
BLOCK = "down_blocks.1.attentions.0.transformer_blocks.0"


def good() -> Tensors:
    """The miniature's own: 106 layers of its UNet."""
    return load_file(MINIATURE / "loras" / "good.safetensors")


def changed(change: Callable[[Tensors], Tensors]) -> Make:
    return lambda path: save_file(change(good()), path)


def renamed(old: str, new: str, tensors: Tensors) -> Tensors:
    return {name.replace(old, new): value for name, value in tensors.items()}


def half(tensors: Tensors) -> Tensors:
    """Every second layer is called by a name that the base has not."""
    layers = sorted({name.rsplit(".lora_", 1)[0] for name in tensors})
    odd = set(layers[::2])
    return {
        name.replace("_blocks.", "_stages.") if name.rsplit(".lora_", 1)[0] in odd else name: value
        for name, value in tensors.items()
    }


def linear(rows: int, columns: int, kernel: tuple[int, ...] = (), rank: int = 4) -> Tensors:
    """One layer of the shape wanted, on a linear layer of the miniature."""
    name = f"unet.{BLOCK}.attn2.to_k"
    return {
        f"{name}.lora_A.weight": np.full((rank, columns, *kernel), 0.01, np.float32),
        f"{name}.lora_B.weight": np.full((rows, rank, *(1 for _ in kernel)), 0.01, np.float32),
    }


def filled(value: float) -> Tensors:
    return {name: np.full_like(old, value) for name, old in linear(96, 128).items()}


ENTRIES = tuple(
    Entry(name, content, says, needs_base=True)
    for name, content, says in (
        ("no key matches", changed(lambda t: renamed("unet.", "unet.model.", t)), NONE_MATCH.format(106, "")),
        ("half of the keys match", changed(half), NO_PLACE.format("… of 106 unet layers", "such as '…'")),
        ("transformer keys on a UNet", changed(lambda t: renamed("unet.", "transformer.", t)), NONE_MATCH.format(106, "…")),
        ("UNet keys and a second text encoder", changed(lambda t: t | layer("text_encoder_2.text_model.encoder.layers.0.self_attn.q_proj")), NO_PLACE.format("1 of 1 text_encoder_2 layers", "it has no text_encoder_2…")),
        ("UNet keys and a third text encoder", changed(lambda t: t | kohya("lora_te3_encoder_block_0_layer_0_SelfAttention_q")), NO_PLACE.format("1 of 1 text_encoder_3 layers", "it has no text_encoder_3…")),
        ("one layer too deep", changed(lambda t: t | layer("text_encoder.text_model.encoder.layers.9.self_attn.q_proj")), NO_PLACE.format("1 of 1 text_encoder layers", "such as '…'…")),
        ("Cross-attention of SDXL", lambda path: save_file(linear(1280, 2048), path), MISFIT.format("1280x2048", "96x128", "…")),
        ("Cross-attention of SD 1.x", lambda path: save_file(linear(320, 768), path), MISFIT.format("320x768", "96x128", "…")),
        ("kohya LoRA of SDXL", lambda path: save_file(kohya("lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q") | kohya("lora_te2_text_model_encoder_layers_0_mlp_fc1"), path), "a.safetensors: …"),
        ("LoRA of no known model", lambda path: save_file(layer("encoder.7.query"), path), NONE_MATCH.format(1, "")),
        ("FLUX.1", lambda path: save_file(layer("transformer.single_transformer_blocks.0.attn.to_q"), path), NONE_MATCH.format(1, "…")),
        ("one output less", lambda path: save_file(linear(95, 128), path), MISFIT.format("95x128", "96x128", "")),
        ("inputs and outputs exchanged", lambda path: save_file(linear(128, 96), path), MISFIT.format("128x96", "96x128", "")),
        ("kernel on a linear layer", lambda path: save_file(linear(96, 128, (3, 3)), path), MISFIT.format("96x128x3x3", "96x128", "")),
        ("three axes", lambda path: save_file(linear(96, 128, (3,)), path), MISFIT.format("96x128x3", "96x128", "")),
        ("five axes", lambda path: save_file(linear(96, 128, (3, 3, 3)), path), MISFIT.format("96x128x3x3x3", "96x128", "")),
        ("a folded kernel that is none", lambda path: save_file(linear(96, 64, (2,)), path), MISFIT.format("96x64x2", "96x128", "")),
        ("weights of 3e38", lambda path: save_file(filled(3e38), path), "a.safetensors: layer '…' on unet … gives numbers that are not finite (NaN)"),
        ("weights of 1e-30", lambda path: save_file(filled(1e-30), path), "a.safetensors: layer '…' on unet … adds nothing, though the file's numbers for it are not zero"),
    )
)  # fmt: skip
