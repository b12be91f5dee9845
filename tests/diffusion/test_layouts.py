"""The names of layers in tests/layouts.py, held against diffusers' own conversion of checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import layouts
import pytest
import torch
from diffusers.loaders.single_file_utils import (
    convert_chroma_transformer_checkpoint_to_diffusers,
    convert_flux2_transformer_checkpoint_to_diffusers,
    convert_flux_transformer_checkpoint_to_diffusers,
    convert_krea2_transformer_checkpoint_to_diffusers,
    convert_ldm_unet_checkpoint,
    convert_lumina2_to_diffusers,
    convert_sd3_transformer_checkpoint_to_diffusers,
    convert_z_image_transformer_checkpoint_to_diffusers,
)
from families import FAMILIES, load

FolderOf = Callable[[str], Path]


def numbered(pipe: Any, spot: layouts.Spot, first: int, width: int | None) -> torch.Tensor:
    """A weight of the checkpoint whose rows are all different, as many as its modules have."""
    modules = [getattr(pipe, spot.component).get_submodule(path) for path in spot.paths]
    rows = width or sum(module.weight.shape[0] for module in modules)
    shape = [rows] + [1] * (modules[0].weight.ndim - 1)
    return first + torch.arange(rows, dtype=torch.float64).reshape(shape)


def expected(names: layouts.Names, made: dict[str, torch.Tensor], rows: Any) -> dict[str, torch.Tensor]:
    """diffusers' weights as tests/layouts.py says."""
    found = {}
    for name, spot in names.items():
        weight = made[name]
        if spot.swapped:
            weight = torch.cat(weight.chunk(2)[::-1])
        for path, part in zip(spot.paths, weight.split(rows(spot, weight)), strict=True):
            found[f"{path}.weight"] = part
    return found


def compare(got: dict[str, torch.Tensor], want: dict[str, torch.Tensor], least: int = 30) -> None:
    assert set(want) <= set(got)
    assert len(want) > least
    for key, weight in want.items():
        assert torch.equal(got[key].reshape(weight.shape), weight), key


@pytest.mark.parametrize("family", ["SD 1.x", "SD 2.x", "SDXL"])
def test_names_of_the_ldm_unet(family_folder: FolderOf, family: str) -> None:
    pipe = load(family_folder(family))
    names = layouts.original(pipe)
    made = {name: numbered(pipe, spot, 1000 * n, None) for n, (name, spot) in enumerate(names.items())}
    checkpoint = {f"model.diffusion_model.{name}.weight": weight for name, weight in made.items()}
    # the converter also asks for biases and norms that LoRAs do not have
    checkpoint |= {name.replace(".weight", ".bias"): weight for name, weight in checkpoint.items()}
    config = dict(pipe.unet.config) | {"num_class_embeds": None}
    got = convert_ldm_unet_checkpoint(checkpoint, config)
    compare(got, expected(names, made, lambda _spot, weight: [len(weight)]))


def test_names_of_the_flux_transformer(family_folder: FolderOf) -> None:
    """The converter knows only the real width, 3072; the checkpoint has that many rows and one column."""
    pipe = load(family_folder("FLUX"))
    names = layouts.bfl(pipe)
    rows = {"to_q": 3072, "to_k": 3072, "to_v": 3072, "proj_mlp": 4 * 3072}
    sizes = {1: 32, 3: 3 * 3072, 4: 7 * 3072}
    made = {
        name: numbered(pipe, spot, 30_000 * n, sizes[len(spot.paths)])
        for n, (name, spot) in enumerate(names.items())
    }
    checkpoint = {f"{name}.{end}": weight for name, weight in made.items() for end in ("weight", "bias")}
    for block in range(2):
        ends = ("img_attn.norm.query_norm", "img_attn.norm.key_norm")
        ends += tuple(end.replace("img", "txt") for end in ends)
        checkpoint |= {f"double_blocks.{block}.{end}.scale": torch.ones(1) for end in ends}
        checkpoint |= {f"single_blocks.{block}.norm.{n}_norm.scale": torch.ones(1) for n in ("query", "key")}

    def split(spot: layouts.Spot, weight: torch.Tensor) -> list[int]:
        if len(spot.paths) == 1:
            return [len(weight)]
        return [rows.get(path.rsplit(".", 1)[1], 3072) for path in spot.paths]

    got = convert_flux_transformer_checkpoint_to_diffusers(checkpoint)
    compare(got, expected(names, made, split))


def test_names_of_the_sd3_transformer(family_folder: FolderOf) -> None:
    pipe = load(family_folder("SD3"))
    names = layouts.mmdit(pipe)
    made = {name: numbered(pipe, spot, 1000 * n, None) for n, (name, spot) in enumerate(names.items())}
    checkpoint = {f"{name}.{end}": weight for name, weight in made.items() for end in ("weight", "bias")}
    checkpoint["pos_embed"] = torch.zeros(1)
    for block, attention in ((0, "attn"), (0, "attn2"), (1, "attn")):
        for stream in ("x_block", "context_block"):
            for norm in ("ln_q", "ln_k"):
                checkpoint[f"joint_blocks.{block}.{stream}.{attention}.{norm}.weight"] = torch.ones(1)
    got = convert_sd3_transformer_checkpoint_to_diffusers(checkpoint)
    compare(
        got, expected(names, made, lambda spot, weight: [len(weight) // len(spot.paths)] * len(spot.paths))
    )


def test_names_of_the_chroma_transformer(family_folder: FolderOf) -> None:
    """The converter knows only the real width, 3072, and asks for every bias and norm."""
    pipe = load(family_folder("Chroma"))
    names = layouts.original(pipe)
    rows = {1: 32, 3: 3 * 3072, 4: 7 * 3072}
    made = {
        name: numbered(pipe, spot, 30_000 * n, rows[len(spot.paths)])
        for n, (name, spot) in enumerate(names.items())
    }
    checkpoint = {f"{name}.{end}": weight for name, weight in made.items() for end in ("weight", "bias")}
    checkpoint["distilled_guidance_layer.norms.0.scale"] = torch.ones(1)
    for block in range(2):
        for stream in ("img", "txt"):
            for norm in ("query", "key"):
                checkpoint[f"double_blocks.{block}.{stream}_attn.norm.{norm}_norm.scale"] = torch.ones(1)
        checkpoint |= {f"single_blocks.{block}.norm.{n}_norm.scale": torch.ones(1) for n in ("query", "key")}

    def split(spot: layouts.Spot, weight: torch.Tensor) -> list[int]:
        return [3072, 3072, 3072, 4 * 3072][: len(spot.paths)] if len(spot.paths) > 1 else [len(weight)]

    got = convert_chroma_transformer_checkpoint_to_diffusers(checkpoint)
    compare(got, expected(names, made, split), least=25)


# The converter, and the rows of q, k and v where it knows the published sizes alone.
NATIVE = {
    "FLUX.2 dev": (convert_flux2_transformer_checkpoint_to_diffusers, None),
    "FLUX.2 klein": (convert_flux2_transformer_checkpoint_to_diffusers, None),
    "Z-Image": (convert_z_image_transformer_checkpoint_to_diffusers, None),
    "Krea 2": (convert_krea2_transformer_checkpoint_to_diffusers, None),
    "Lumina2": (convert_lumina2_to_diffusers, [2304, 768, 768]),
}


@pytest.mark.parametrize("family", NATIVE)
def test_native_names_of_todays_transformers(family_folder: FolderOf, family: str) -> None:
    convert, fused = NATIVE[family]
    pipe = load(family_folder(family))
    names = layouts.original(pipe)
    made = {
        name: numbered(pipe, spot, 10_000 * n, sum(fused) if fused and len(spot.paths) > 1 else None)
        for n, (name, spot) in enumerate(names.items())
    }

    def split(spot: layouts.Spot, weight: torch.Tensor) -> list[int]:
        if len(spot.paths) > 1 and fused:
            return fused
        return [len(weight) // len(spot.paths)] * len(spot.paths)

    got = convert({f"{name}.weight": weight for name, weight in made.items()})
    compare(got, expected(names, made, split))


@pytest.mark.parametrize("family", [*FAMILIES, *NATIVE, "Chroma", "Qwen-Image", "HiDream"])
def test_every_layer_has_a_name_in_every_layout(family_folder: FolderOf, family: str) -> None:
    """Only norms of queries and keys, which no trainer adapts, have none; no two layers share a name."""
    pipe = load(family_folder(family))
    everything = {
        (component, path)
        for component, part in layouts.parts(pipe).items()
        for path in layouts.paths_of(part)
    }
    for layout in (layouts.diffusers, layouts.kohya, layouts.onetrainer):
        spots = list(layout(pipe).values())
        assert {(spot.component, path) for spot in spots for path in spot.paths} == everything
    names = layouts.original(pipe)
    assert len({spot.paths for spot in names.values()}) == len(names)


def test_the_names_that_trainers_write(family_folder: FolderOf) -> None:
    """One of each kind, as they stand in published files."""
    names = {
        family: layouts.every(load(family_folder(family))) for family in ("SD 1.x", "SDXL", "SD3", "FLUX")
    }

    def at(family: str, name: str) -> tuple[str, ...]:
        return names[family][name].paths

    block = "down_blocks.1.attentions.0.transformer_blocks.0"
    assert at("SDXL", "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q") == (
        f"{block}.attn1.to_q",
    )
    assert at("SDXL", "lora_unet_output_blocks_2_2_conv") == ("up_blocks.0.upsamplers.0.conv",)
    assert at("SDXL", "lora_te2_text_model_encoder_layers_0_mlp_fc1") == (
        "text_model.encoder.layers.0.mlp.fc1",
    )
    single = "single_transformer_blocks.1"
    assert at("FLUX", "lora_unet_single_blocks_1_linear1") == (
        *(f"{single}.attn.{part}" for part in ("to_q", "to_k", "to_v")),
        f"{single}.proj_mlp",
    )
    assert names["FLUX"]["lora_te3_encoder_block_0_layer_0_SelfAttention_q"].component == "text_encoder_2"
    assert names["SD3"]["lora_te3_encoder_block_0_layer_0_SelfAttention_q"].component == "text_encoder_3"
    assert names["SD3"]["lora_unet_joint_blocks_1_context_block_adaLN_modulation_1"].swapped
    assert at("FLUX", "double_blocks.0.processor.proj_lora2") == ("transformer_blocks.0.attn.to_add_out",)
    assert (
        "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_out_lora" in names["SD 1.x"]
    )
