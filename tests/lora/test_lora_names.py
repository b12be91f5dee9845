"""The names of layers in every spelling lead to the modules of diffusers' own models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import layouts
import pytest
from families import FAMILIES, load

from lora_checks.core.errors import GenerationError
from lora_checks.diffusion.apply.networks import base_of
from lora_checks.lora.header import Tensor
from lora_checks.lora.layers import Layer, layers_of
from lora_checks.lora.names import Base, Network

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
    base = base_of(pipe)
    for name, spot in names.items():
        layer = read(pipe, name, spot)
        found = base.find(layer.name)
        assert found, name
        assert (found.component, found.native.targets) == (spot.component, spot.paths), name
        pair = found.native.swapped_if_pair and layer.anatomy.rows == 2 * layer.anatomy.columns
        assert (found.native.swapped or pair) == spot.swapped, name
        if layer.place.component != "denoiser":  # what the file alone tells is not another network
            assert layer.place.component == spot.component, name


def test_what_a_files_original_names_tell_is_what_the_base_says(family_folder: FolderOf) -> None:
    """Before the base is known: the layers of a whole file, by their originals' names."""
    for family in ("SDXL", "SD3", "FLUX"):
        pipe = load(family_folder(family))
        names = layouts.kohya(pipe)
        tensors = {key: tensor for name in names for key, tensor in header(name, 8, 4).items()}
        for layer in layers_of(tensors):
            spot = names[layer.name]
            flat = tuple(path.replace(".", "_").removeprefix("text_model_") for path in spot.paths)
            assert (layer.place.component, layer.place.targets) == (spot.component, flat), layer.name


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
def test_a_file_alone_numbers_its_t5_by_the_other_layers(others: str, component: str) -> None:
    """sd-scripts, networks/lora_flux.py, lora_sd3.py: LORA_PREFIX_TEXT_ENCODER_T5 is "lora_te3"."""
    name = "lora_te3_encoder_block_0_layer_0_SelfAttention_q"
    layers = layers_of(header(others, 8, 4) | header(name, 8, 4))
    assert {layer.name: layer.place.component for layer in layers} == {others: "transformer", name: component}


@pytest.mark.parametrize(
    "name",
    ["mid.to_q", "lycoris_blocks_0_q", "diffusion_model.blocks.0.q", "lora_unet_blocks_0_q", "img_in.proj"],
)
def test_a_name_that_tells_no_component_is_of_the_denoiser(name: str) -> None:
    (layer,) = layers_of(header(name, 8, 4))
    assert layer.place.component == "denoiser"
    (path,) = layer.place.targets
    for component in ("unet", "transformer", "painter"):
        network = Network.of(component, ["Painter"], ["mid.to_q", "blocks.0.q", "img_in.proj"])
        found = Base([network], [component]).find(name)
        assert found
        assert found.component == component
        assert [target.replace(".", "_") for target in found.native.targets] == [path]


def test_a_layer_that_tells_the_denoiser_tells_it_for_all() -> None:
    tensors = header("lora_unet_transformer_blocks_0_attn_to_q", 8, 4) | header("lora_unet_img_in", 8, 4)
    assert {layer.place.component for layer in layers_of(tensors)} == {"transformer"}


def base(*denoisers: str, classes: str = "Painter", paths: tuple[str, ...] = ("blocks.0.q",)) -> Base:
    networks = [Network.of(name, [classes], paths) for name in denoisers]
    encoders = [
        Network.of("text_encoder", ["CLIPTextModel"], ["text_model.encoder.layers.0.self_attn.q_proj"]),
        Network.of("text_encoder_2", ["UMT5EncoderModel"], ["encoder.block.0.layer.0.SelfAttention.q"]),
        Network.of("text_encoder_4", ["LlamaForCausalLM"], ["model.layers.0.self_attn.q_proj"]),
    ]
    return Base([*networks, *encoders], denoisers)


def place(found_by: Base, name: str) -> tuple[str, tuple[str, ...]] | None:
    found = found_by.find(name)
    return found and (found.component, found.native.targets)


def test_an_exact_name_goes_before_the_tables_and_the_rules() -> None:
    """FLUX.2's `to_out` is one layer; FLUX.1's table knows another `img_in`."""
    whole = base("transformer", classes="FluxTransformer2DModel", paths=("a.to_out", "img_in", "x_embedder"))
    assert place(whole, "transformer.a.to_out") == ("transformer", ("a.to_out",))
    assert place(whole, "lora_unet_img_in") == ("transformer", ("img_in",))
    split = base("transformer", classes="FluxTransformer2DModel", paths=("a.to_out.0", "x_embedder"))
    assert place(split, "transformer.a.to_out") == ("transformer", ("a.to_out.0",))
    assert place(split, "lora_unet_img_in") == ("transformer", ("x_embedder",))
    assert place(split, "transformer.a.processor.to_out") == ("transformer", ("a.to_out.0",))


def test_a_table_is_of_a_class_and_of_those_that_derive_from_it() -> None:
    paths = ("single_transformer_blocks.0.attn.to_qkv_mlp_proj",)
    name = "diffusion_model.single_blocks.0.linear1"
    assert place(base("transformer", classes="FluxTransformer2DModel", paths=paths), name) is None
    assert place(base("transformer", classes="Flux2Transformer2DModel", paths=paths), name) == (
        "transformer",
        paths,
    )
    derived = Base(
        [Network.of("transformer", ["MyFlux2", "Flux2Transformer2DModel"], paths)], ["transformer"]
    )
    assert place(derived, name) == ("transformer", paths)


def test_a_flattened_name_of_two_modules_is_no_guess() -> None:
    both = base("transformer", paths=("a.b_c", "a_b.c"))
    with pytest.raises(GenerationError, match=r"means several modules of the base's transformer: a\.b_c and"):
        place(both, "lora_unet_a_b_c")
    assert place(both, "transformer.a_b.c") == ("transformer", ("a_b.c",))


def test_one_of_two_denoisers_is_named() -> None:
    two = base("transformer", "transformer_2")
    name = "diffusion_model.blocks.0.q"
    with pytest.raises(GenerationError, match="which of the base's transformer and transformer_2 it is for"):
        place(two, name)
    assert place(two, "transformer.blocks.0.q") == ("transformer", ("blocks.0.q",))
    assert place(two, "transformer_2.blocks.0.q") == ("transformer_2", ("blocks.0.q",))
    assert place(base("transformer"), "transformer_2.blocks.0.q") is None


def test_a_prefix_may_be_any_component_of_the_base() -> None:
    one = base("connectors")
    assert place(one, "connectors.blocks.0.q") == ("connectors", ("blocks.0.q",))


def test_a_unets_file_is_no_transformers() -> None:
    unet = base("unet", classes="UNet2DConditionModel")
    assert place(unet, "transformer.blocks.0.q") is None
    assert place(unet, "unet.blocks.0.q") == ("unet", ("blocks.0.q",))
    transformer = Base(
        [Network.of("transformer", ["PRXTransformer2DModel"], ["blocks.0.q"])], ["transformer"], ["unet"]
    )
    assert place(transformer, "unet.blocks.0.q") == ("transformer", ("blocks.0.q",))  # diffusers names it so


CLIP_Q = "text_model.encoder.layers.0.self_attn.q_proj"
T5_Q = "encoder.block.0.layer.0.SelfAttention.q"
LLAMA_Q = "model.layers.0.self_attn.q_proj"


@pytest.mark.parametrize(
    ("name", "component", "path"),
    [
        ("lora_te1_text_model_encoder_layers_0_self_attn_q_proj", "text_encoder", CLIP_Q),
        ("text_encoder.encoder.layers.0.self_attn.to_q", "text_encoder", CLIP_Q),
        ("lora_te3_encoder_block_0_layer_0_SelfAttention_q", "text_encoder_2", T5_Q),
        (f"text_encoders.t5xxl.transformer.{T5_Q}", "text_encoder_2", T5_Q),
        ("text_encoder_4.layers.0.self_attn.q_proj", "text_encoder_4", LLAMA_Q),
        ("lora_te4_model_layers_0_self_attn_q_proj", "text_encoder_4", LLAMA_Q),
        (f"text_encoders.llama.transformer.{LLAMA_Q}", "text_encoder_4", LLAMA_Q),
    ],
)
def test_text_encoders_are_numbered_by_the_base(name: str, component: str, path: str) -> None:
    assert place(base("transformer"), name) == (component, (path,))


@pytest.mark.parametrize(
    ("first", "second", "clip_l", "clip_g"),
    [
        ("LlamaModel", "CLIPTextModel", "text_encoder_2", None),  # HunyuanVideo
        ("CLIPTextModel", "CLIPTextModelWithProjection", "text_encoder", "text_encoder_2"),  # SDXL
        ("CLIPTextModel", "T5EncoderModel", "text_encoder", None),  # FLUX
        ("Qwen3Model", "T5EncoderModel", None, None),
    ],
)
def test_comfyuis_clips_are_found_by_their_class(
    first: str, second: str, clip_l: str | None, clip_g: str | None
) -> None:
    networks = [
        Network.of(name, [kind], [CLIP_Q, LLAMA_Q])
        for name, kind in (("text_encoder", first), ("text_encoder_2", second))
    ]
    denoiser = Network.of("transformer", ["SomeTransformer2DModel"], ["blocks.0.q"])
    one = Base([denoiser, *networks], ["transformer"])
    for clip, component in (("clip_l", clip_l), ("clip_g", clip_g)):
        found = place(one, f"text_encoders.{clip}.transformer.{CLIP_Q}")
        assert found == (component and (component, (CLIP_Q,)))
