"""`lora_adapter_metadata`: every strength that it states is applied, or told as belonging to nothing."""

# ruff: noqa: E501  # tables: one row for each case
from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from lora_tensors import Q, Tensors, named, parts, read
from peft import LoraConfig

from lora_checks.core.errors import LoraFileError
from lora_checks.core.records import Lora
from lora_checks.diffusion import apply
from lora_checks.lora.file import inspect

TO_Q = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
TO_K = TO_Q.replace("to_q", "to_k")
TEXT = "text_encoder.text_model.encoder.layers.0.self_attn.q_proj"


def layers(*names: str, rank: int = 4) -> Tensors:
    tensors: Tensors = {}
    for name in names:
        tensors[f"{name}.lora_A.weight"] = np.full((rank, 6), 0.5, np.float32)
        tensors[f"{name}.lora_B.weight"] = np.full((8, rank), 0.25, np.float32)
    return tensors


def stated(folder: Path, tensors: Tensors, settings: Mapping[str, Any]) -> Lora:
    return read(folder, tensors, {"lora_adapter_metadata": json.dumps(settings)})


def notes(lora: Lora) -> tuple[str, ...]:
    """But for the one on keys without a network's name, which is not about strengths."""
    return tuple(warning for warning in lora.warnings if not warning.startswith("its keys name no network"))


def scalings(lora: Lora) -> dict[str, float]:
    return {layer.component: layer.scaling for layer in lora.layers}


@pytest.mark.parametrize("prefix", ["", "unet."])
def test_diffusers_own_file_of_one_network_has_its_strength(tmp_path: Path, prefix: str) -> None:
    """`UNet2DConditionModel.save_lora_adapter` names no network, in the keys or in the settings."""
    unet = UNet2DConditionModel(
        block_out_channels=(32, 32),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=16,
        layers_per_block=1,
    )
    unet.add_adapter(LoraConfig(r=4, lora_alpha=16, target_modules=["to_q"], init_lora_weights=False))
    unet.save_lora_adapter(tmp_path)
    path = tmp_path / "pytorch_lora_weights.safetensors"
    if prefix:  # as a pipeline's `save_lora_weights` writes the same
        lora = inspect(path, "a")
        settings = json.loads(_metadata(path)["lora_adapter_metadata"])
        tensors = {f"{prefix}{name}": value.numpy() for name, value in apply.read(lora).items()}
        found = stated(tmp_path, tensors, {f"{prefix}{key}": value for key, value in settings.items()})
    else:
        found = inspect(path, "a")
    assert {layer.scaling for layer in found.layers} == {4.0}
    assert (found.alphas, notes(found)) == ((16.0,), ())


def _metadata(path: Path) -> Mapping[str, str]:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return dict(file.metadata())


@pytest.mark.parametrize(
    ("tensors", "settings", "expected"),
    [
        (layers(TO_Q), {"r": 4, "lora_alpha": 16}, {"unet": 4}),
        (layers(TO_Q), {"unet": {"r": 4, "lora_alpha": 16}}, {"unet": 4}),
        (layers(TO_Q), {"base_model.model.unet.r": 4, "base_model.model.unet.lora_alpha": 16}, {"unet": 4}),
        (layers(TO_Q), {"diffusion_model.r": 4, "diffusion_model.lora_alpha": 16}, {"unet": 4}),
        (layers(TO_Q), {"r": 4, "lora_alpha": 16, "use_rslora": True}, {"unet": 8}),
        (layers(TO_Q), {"r": 4, "lora_alpha": 1, "alpha_pattern": {"attn1.to_q": 16}}, {"unet": 4}),
        (
            layers(f"unet.{TO_Q}", TEXT),
            {"unet.lora_alpha": 16, "text_encoder.lora_alpha": 2},
            {"unet": 4, "text_encoder": 0.5},
        ),
        (
            layers(f"unet.{TO_Q}", TEXT),
            {"lora_unet.lora_alpha": 16, "lora_te1.lora_alpha": 2},
            {"unet": 4, "text_encoder": 0.5},
        ),
        (
            layers("transformer.transformer_blocks.0.attn.to_q"),
            {"transformer.lora_alpha": 16, "transformer.r": 4},
            {"transformer": 4},
        ),
        (layers("transformer_blocks.0.attn.to_q"), {"lora_alpha": 16, "r": 4}, {"transformer": 4}),
    ],
)
def test_every_spelling_of_a_network_is_read(
    tmp_path: Path, tensors: Tensors, settings: Mapping[str, Any], expected: Mapping[str, float]
) -> None:
    found = stated(tmp_path, tensors, settings)
    assert (scalings(found), notes(found)) == (expected, ())


@pytest.mark.parametrize(
    ("tensors", "settings", "message"),
    [
        (layers(f"unet.{TO_Q}"), {"prior.lora_alpha": 16, "prior.r": 4},
         "states a strength for 'prior' in lora_adapter_metadata, but its layers are of unet: their strength is"),
        (layers(f"unet.{TO_Q}"), {"text_encoder.lora_alpha": 16, "text_encoder.r": 4},
         "states a strength for 'text_encoder' in lora_adapter_metadata, but its layers are of unet"),
        (layers(f"unet.{TO_Q}", TEXT), {"lora_alpha": 16, "r": 4},
         "without naming a network, and has layers of text_encoder and unet"),
        (layers(TO_Q), {"lora_alpha": 16, "unet.lora_alpha": 8},
         "states the settings of unet twice"),
        (named(Q, parts("lora")), {"lora_alpha": 2, "alpha_pattern": {"attn1.to_q": 16}}, "for 'attn1.to_q'"),
        (layers(TO_Q), {"r": 4}, "states rank 4 and no lora_alpha for unet"),
        (layers(TO_Q), {"r": 4, "lora_alpha": 4, "use_dora": True}, "is a DoRA by lora_adapter_metadata"),
        (layers(TO_Q), {"r": 4, "lora_alpha": 4, "use_rslora": "yes"}, "has damaged metadata"),
        (layers(TO_Q), {"lora_alpha": 4, "alpha": 8}, "has damaged metadata"),
    ],
)  # fmt: skip
def test_a_strength_that_belongs_to_nothing_is_refused(
    tmp_path: Path, tensors: Tensors, settings: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(LoraFileError) as error:
        stated(tmp_path, tensors, settings)
    assert message in str(error.value)


def test_a_setting_that_stands_twice_is_damaged(tmp_path: Path) -> None:
    text = '{"lora_alpha": 4, "lora_alpha": 16}'
    with pytest.raises(LoraFileError, match="has damaged metadata"):
        read(tmp_path, layers(TO_Q), {"lora_adapter_metadata": text})


@pytest.mark.parametrize(
    ("tensors", "metadata", "note"),
    [
        (layers(f"unet.{TO_Q}"),
         {"lora_adapter_metadata": {"unet.lora_alpha": 4, "text_encoder.lora_alpha": 16}},
         "lora_adapter_metadata states a strength for 'text_encoder', but the file has no layer of it"),
        (layers(f"unet.{TO_Q}", TEXT), {"lora_adapter_metadata": {"unet.lora_alpha": 4}},
         "lora_adapter_metadata states no strength for text_encoder: it is taken at alpha = rank"),
        (layers(TO_Q), {"lora_adapter_metadata": {"lora_alpha": 4, "alpha_pattern": {"to_k": 16}}},
         f"lora_adapter_metadata has an entry of alpha_pattern for 'to_k', but no unet layer has such a name; one of them is '{TO_Q}'"),
        (layers(TO_Q), {"lora_adapter_metadata": {"lora_alpha": 4, "alpha_pattern": {"^attn1.to_q": 16}}},
         f"lora_adapter_metadata has an entry of alpha_pattern for 'attn1.to_q', but no unet layer has such a name; one of them is '{TO_Q}'"),
        (layers(TO_Q), {"lora_adapter_metadata": {"lora_alpha": 4, "r": 4, "rank_pattern": {"ff.net": 8}}},
         f"lora_adapter_metadata has an entry of rank_pattern for 'ff.net', but no unet layer has such a name; one of them is '{TO_Q}'"),
        (layers(TO_Q), {"lora_adapter_metadata": {"lora_alpha": 4, "init_lora_weights": "pissa"}},
         "was initialised with init_lora_weights 'pissa' (unet), which changes the base's weights in training: on the "
         "original base it is correct only if it was converted when it was saved"),
        (named(Q, parts("lora"), alpha=np.array(2)), {"ss_network_alpha": "1.0"},
         f"the metadata says alpha 1 ('ss_network_alpha'), which no loader applies; 1 of 1 layers differ: '{Q}' "
         "has alpha 2"),
        (named(Q, parts("lora")), {"ss_network_alpha": "1", "ss_network_dim": "2"},
         f"the metadata says alpha 1 ('ss_network_alpha'), which no loader applies; 1 of 1 layers differ: '{Q}' "
         "has no alpha, which counts as its rank"),
        (layers(TO_Q), {"lora_alpha": "16", "r": "4"},
         f"the metadata says alpha 16 ('lora_alpha'), which no loader applies; 1 of 1 layers differ: '{TO_Q}' "
         "has no alpha, which counts as its rank"),
        (layers(TO_Q), {"peft_config": {"r": 4, "lora_alpha": 16}},
         f"the metadata says alpha 16 ('peft_config'), which no loader applies; 1 of 1 layers differ: '{TO_Q}' "
         "has no alpha, which counts as its rank"),
    ],
)  # fmt: skip
def test_what_the_metadata_says_otherwise_is_told(
    tmp_path: Path, tensors: Tensors, metadata: Mapping[str, Any], note: str
) -> None:
    assert notes(read(tmp_path, tensors, metadata)) == (note,)


@pytest.mark.parametrize(
    ("algorithm", "alpha", "metadata"),
    [
        ("lora", 1, {"ss_network_alpha": "1.0", "ss_network_dim": "2"}),
        ("lora", 2**0.5, {"ss_network_alpha": "1"}),  # LyCORIS with rs_lora
        ("conv", 1, {"ss_network_alpha": "4", "ss_network_args": '{"conv_dim": "2", "conv_alpha": "1"}'}),
        ("lokr whole", 9, {"ss_network_alpha": "1"}),  # has no rank, so that no alpha counts
        ("lora", 2, {"ss_network_alpha": "None"}),
        ("lora", 2, {"lora_adapter_metadata": {"target_modules": ["to_q"]}}),
    ],
)
def test_what_agrees_is_not_told(
    tmp_path: Path, algorithm: str, alpha: float, metadata: Mapping[str, Any]
) -> None:
    assert read(tmp_path, named(Q, parts(algorithm), alpha=np.array(alpha)), metadata).warnings == ()


def test_the_strength_reaches_the_images_weights(tmp_path: Path) -> None:
    """The change on the network is alpha / rank times the product, as diffusers' own loader makes it."""
    unet = UNet2DConditionModel(
        block_out_channels=(32, 32),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=16,
        layers_per_block=1,
    ).eval()
    unet.add_adapter(LoraConfig(r=4, lora_alpha=16, target_modules=["to_q"], init_lora_weights=False))
    unet.save_lora_adapter(tmp_path)
    inputs = (torch.randn(1, 4, 8, 8), 1, torch.randn(1, 5, 16))
    with torch.no_grad():
        theirs = unet(*inputs).sample
        unet.unload_lora()
        pipe = type("Pipe", (), {})()
        pipe.unet = unet
        apply.load(pipe, inspect(tmp_path / "pytorch_lora_weights.safetensors", "a"), "a")
        apply.activate(pipe, {"a": 1.0})
        ours = unet(*inputs).sample
    assert torch.allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("prefix", ["transformer.", "unet.", "diffusion_model.", ""])
def test_settings_of_the_denoiser_are_those_of_names_that_tell_none(tmp_path: Path, prefix: str) -> None:
    """Only the base says what it calls its denoiser; a file is of one."""
    lora = stated(tmp_path, layers("diffusion_model.blocks.0.self_attn.q"), {f"{prefix}lora_alpha": 8})
    assert scalings(lora) == {"denoiser": 2.0}
