"""The tables of native names against diffusers' own converters of checkpoints.

A checkpoint whose weights are their row numbers goes through the converter; the rows of each table entry must
come out where the entry says, in its order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from diffusers.loaders import single_file_utils as files
from diffusers.loaders.lora_conversion_utils import (
    _convert_non_diffusers_anima_lora_to_diffusers,
    _convert_non_diffusers_ideogram4_lora_to_diffusers,
)

from lora_checks.lora.native_names import TABLES, Native
from lora_checks.lora.native_names.table import Table

Weights = dict[str, torch.Tensor]
Convert = Callable[[Weights], Mapping[str, torch.Tensor]]
FLUX_ROWS = {"linear1": 7 * 3072}  # the converter splits it by the real model's widths
NEXT_BLOCK = {"joint_blocks.1.x_block.attn.qkv.weight": torch.zeros(12, 1)}  # the last one is another kind
LUMINA_ROWS = {"qkv": 2304 + 2 * 768}


class Checkpoint(dict[str, torch.Tensor]):
    """Gives zeros for the biases and norms that a converter wants and no table has."""

    def pop(self, name: str, *_default: Any) -> torch.Tensor:  # type: ignore[override]
        return super().pop(name) if name in self else self[name]

    def __missing__(self, name: str) -> torch.Tensor:
        return torch.zeros(FLUX_ROWS["linear1"] if name.endswith("linear1.bias") else 12)


def ideogram(checkpoint: Weights) -> Mapping[str, torch.Tensor]:
    """The rows of `lora_B`, which the converter splits as the weight would be."""
    lora: Weights = {}
    for name, weight in checkpoint.items():
        lora[name.replace(".weight", ".lora_A.weight")] = torch.ones(1, 1)
        lora[name.replace(".weight", ".lora_B.weight")] = weight
    found = _convert_non_diffusers_ideogram4_lora_to_diffusers(lora)
    return {
        name.removeprefix("transformer.").replace(".lora_B", ""): weight
        for name, weight in found.items()
        if "lora_B" in name
    }


def anima(checkpoint: Weights) -> Mapping[str, torch.Tensor]:
    prefixed = {f"diffusion_model.{name}": weight for name, weight in checkpoint.items()}
    found = _convert_non_diffusers_anima_lora_to_diffusers(prefixed)
    return {name.removeprefix("transformer."): weight for name, weight in found.items()}


def of(convert: Callable[..., Any], prepare: Callable[[Weights], Any] = dict) -> Convert:
    return lambda checkpoint: convert(prepare(checkpoint))


# Class, its converter, rows where the converter knows but the real model's, and names that it does not read.
CONVERTERS: dict[str, tuple[Convert, dict[str, int], str]] = {
    "AuraFlowTransformer2DModel": (
        of(files.convert_auraflow_transformer_checkpoint_to_diffusers, Checkpoint), {}, "",
    ),
    "ChromaTransformer2DModel": (
        of(files.convert_chroma_transformer_checkpoint_to_diffusers, Checkpoint),
        FLUX_ROWS,
        r".*processor|.*mod|(time|vector|guidance)_in|final_layer\.ada",  # XLabs, and what Chroma has not
    ),
    "FluxTransformer2DModel": (
        of(files.convert_flux_transformer_checkpoint_to_diffusers, Checkpoint), FLUX_ROWS, ".*processor",
    ),
    "SD3Transformer2DModel": (
        of(files.convert_sd3_transformer_checkpoint_to_diffusers, lambda c: Checkpoint(c | NEXT_BLOCK)),
        {},
        "",
    ),
    "SanaTransformer2DModel": (of(files.convert_sana_transformer_to_diffusers, Checkpoint), {}, ""),
    "CosmosTransformer3DModel": (anima, {}, ""),
    "Flux2Transformer2DModel": (of(files.convert_flux2_transformer_checkpoint_to_diffusers), {}, ""),
    "HunyuanVideoTransformer3DModel": (
        of(files.convert_hunyuan_video_transformer_to_diffusers),
        FLUX_ROWS,
        r".*(_mlp|blocks\.0\.mlp)\.[02]$|.*mod(ulation)?\.lin$",  # ComfyUI's
    ),
    "Ideogram4Transformer2DModel": (ideogram, {}, ""),
    "Krea2Transformer2DModel": (of(files.convert_krea2_transformer_checkpoint_to_diffusers), {}, ""),
    "LTX2VideoTransformer3DModel": (
        of(files.convert_ltx2_transformer_to_diffusers), {}, "(audio_)?prompt_adaln_single",
    ),
    "LTXVideoTransformer3DModel": (of(files.convert_ltx_transformer_checkpoint_to_diffusers), {}, ""),
    "Lumina2Transformer2DModel": (of(files.convert_lumina2_to_diffusers), LUMINA_ROWS, ""),
    "QwenImage21Transformer2DModel": (
        of(files.convert_qwen_image21_transformer_checkpoint_to_diffusers), {}, "",
    ),
    "WanTransformer3DModel": (of(files.convert_wan_transformer_to_diffusers), {}, ""),
    "ZImageTransformer2DModel": (of(files.convert_z_image_transformer_checkpoint_to_diffusers), {}, ""),
}  # fmt: skip


def rows_of(name: str, native: Native, special: Mapping[str, int]) -> int:
    wanted = (rows for ending, rows in special.items() if name.endswith(ending))
    return next(wanted, 12 * len(native.targets))


@pytest.mark.parametrize("kind", CONVERTERS)
def test_rows_come_where_diffusers_converter_puts_them(kind: str) -> None:
    convert, special, unread = CONVERTERS[kind]
    table = TABLES[kind]
    assert isinstance(table, Table)
    natives = {
        name.replace("{}", "0"): native
        for name, native in table.rows.items()
        if not (unread and re.match(unread, name))
    }
    checkpoint = {
        f"{name}.weight": torch.arange(rows_of(name, native, special), dtype=torch.float32).reshape(-1, 1)
        for name, native in natives.items()
    }
    converted = convert(dict(checkpoint))
    for name, native in natives.items():
        rows = checkpoint[f"{name}.weight"]
        paths = [f"{target.replace('{}', '0')}.weight" for target in native.targets]
        assert set(paths) <= converted.keys(), (name, paths)
        found = torch.cat([converted[path] for path in paths])
        expected = torch.cat(rows.chunk(2)[::-1]) if native.swapped else rows
        assert torch.equal(found, expected), name
    assert len(natives) >= 2 or kind.startswith("Qwen")
