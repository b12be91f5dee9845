"""The names of layers in every spelling lead to the modules of diffusers' own models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import layouts
import pytest
from families import FAMILIES, load

from lora_checks.core.errors import LoraFileError
from lora_checks.lora.header import Tensor
from lora_checks.lora.layers import Layer, layers_of

FolderOf = Callable[[str], Path]
RANK = 2
SPELLINGS = {
    "diffusers": layouts.diffusers,
    "kohya": layouts.kohya,
    "original": layouts.original,
    "LyCORIS": layouts.own_wrapper,
    "OneTrainer": layouts.onetrainer,
    "ComfyUI": layouts.comfyui,
    "XLabs": layouts.xlabs,
    "processors": layouts.processors,
}


def header(name: str, rows: int, columns: int) -> dict[str, Tensor]:
    """What a header says of one layer of rank 2; nothing is read from a file here."""
    down, up = (".down.weight", ".up.weight") if name[-5:-1] == "lora" or name.endswith("_lora") else (
        ".lora_down.weight", ".lora_up.weight",
    )  # fmt: skip
    shapes = {name + down: (RANK, columns), name + up: (rows, RANK)}
    return {key: Tensor(key, "F16", shape, 0, 0) for key, shape in shapes.items()}


def read(pipe: Any, name: str, spot: layouts.Spot) -> Layer:
    modules = [getattr(pipe, spot.component).get_submodule(path) for path in spot.paths]
    rows = sum(module.weight.shape[0] for module in modules)
    columns = modules[0].weight[0].numel()
    (layer,) = layers_of(header(name, rows, columns), flux=layouts.is_family(pipe, "Flux"))
    return layer


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_layer_of_every_spelling_is_found(family_folder: FolderOf, family: str, spelling: str) -> None:
    pipe = load(family_folder(family))
    if spelling == "XLabs" and not layouts.is_family(pipe, "Flux"):
        pytest.skip("XLabs trained FLUX only")
    if spelling == "processors" and not hasattr(pipe, "unet"):
        pytest.skip("diffusers' old attention processors were of UNets only")
    names = SPELLINGS[spelling](pipe)
    assert len(names) >= 8
    for name, spot in names.items():
        layer = read(pipe, name, spot)
        text = spot.component.startswith("text")
        flat = tuple(path.replace(".", "_") for path in spot.paths)
        flat = tuple(path.removeprefix("text_model_") for path in flat) if text else flat
        assert (layer.place.component, layer.place.targets) == (spot.component, flat), name
        assert layer.swapped == spot.swapped, name


@pytest.mark.parametrize("family", FAMILIES)
def test_an_adapter_of_peft_alone_is_refused(family_folder: FolderOf, family: str) -> None:
    """Its alpha is in adapter_config.json, so the file does not say how strongly it is applied."""
    pipe = load(family_folder(family))
    name, spot = next(iter(layouts.peft_adapter(pipe).items()))
    with pytest.raises(
        LoraFileError, match=r"is a PEFT adapter .* whose alpha stands in adapter_config\.json"
    ):
        read(pipe, name, spot)


def test_fal_prefixes_names_of_bfl_as_peft_does() -> None:
    """diffusers, loaders/lora_conversion_utils.py, _convert_fal_kontext_lora_to_diffusers."""
    (layer,) = layers_of(header("base_model.model.double_blocks.3.img_attn.proj", 8, 4))
    assert (layer.kind, layer.place.targets) == ("fal", ("transformer_blocks_3_attn_to_out_0",))


@pytest.mark.parametrize(
    ("others", "component"),
    [
        ("lora_unet_double_blocks_0_img_attn_proj", "text_encoder_2"),
        ("lora_unet_joint_blocks_0_x_block_attn_proj", "text_encoder_3"),
    ],
)
def test_the_t5_is_numbered_by_the_family(others: str, component: str) -> None:
    """sd-scripts, networks/lora_flux.py, lora_sd3.py: LORA_PREFIX_TEXT_ENCODER_T5 is "lora_te3"."""
    name = "lora_te3_encoder_block_0_layer_0_SelfAttention_q"
    layers = layers_of(header(others, 8, 4) | header(name, 8, 4))
    assert {layer.name: layer.place.component for layer in layers} == {others: "transformer", name: component}


@pytest.mark.parametrize(
    "name", ["mid.to_q", "lycoris_blocks_0_q", "diffusion_model.blocks.0.q", "lycoris_text_model_encoder_q"]
)
def test_a_name_that_tells_no_component_is_refused(name: str) -> None:
    with pytest.raises(LoraFileError, match="nothing tells which part of the base they are of"):
        layers_of(header(name, 8, 4))
