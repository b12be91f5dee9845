"""Wan 2.2 has two denoisers, for much and for little noise: LoRAs are put on and proven on either."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    AutoencoderKLWan,
    FlowMatchEulerDiscreteScheduler,
    WanPipeline,
    WanTransformer3DModel,
)
from families import text_encoders, tokenizers
from families.weights import seeded
from safetensors.torch import save_file

from lora_checks.core.errors import GenerationError
from lora_checks.diffusion import apply
from lora_checks.diffusion.proof import prove
from lora_checks.lora.file import inspect

TEXT, WIDTH, IN, KERNEL, RANK = 28, 32, 4, (1, 2, 2), 2


def transformer(seed: int) -> Any:
    network = WanTransformer3DModel(
        num_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        in_channels=IN,
        out_channels=IN,
        text_dim=TEXT,
        freq_dim=16,
        ffn_dim=64,
        patch_size=KERNEL,
    )
    return seeded(network, seed)


@pytest.fixture
def pipe(tmp_path: Path) -> Any:
    torch.manual_seed(0)
    vae = AutoencoderKLWan(base_dim=4, z_dim=IN, dim_mult=[1, 1, 1, 1], num_res_blocks=1)
    found = WanPipeline(
        tokenizer=tokenizers.t5(tmp_path / "tokenizer"),
        text_encoder=text_encoders.t5(5, TEXT),
        vae=vae,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        transformer=transformer(2),
        transformer_2=transformer(3),
        boundary_ratio=0.9,
    )
    found.set_progress_bar_config(disable=True)
    return found


def write(path: Path, prefix: str = "diffusion_model.") -> Path:
    """ai-toolkit's names of two linear layers, and of the convolution of the patches."""
    shapes = {
        "blocks.0.self_attn.q": ((RANK, WIDTH), (WIDTH, RANK)),
        "blocks.0.cross_attn.o": ((RANK, WIDTH), (WIDTH, RANK)),
        "patch_embedding": ((RANK, IN, *KERNEL), (WIDTH, RANK, 1, 1, 1)),
    }
    tensors = {}
    for name, (down, up) in shapes.items():
        tensors[f"{prefix}{name}.lora_A.weight"] = torch.randn(down)
        tensors[f"{prefix}{name}.lora_B.weight"] = torch.randn(up) * 0.3
    save_file(tensors, path)
    return path


def test_a_pair_of_files_is_of_both(pipe: Any, tmp_path: Path) -> None:
    high = write(tmp_path / "a_high_noise.safetensors")
    write(tmp_path / "a_low_noise.safetensors")
    adapter = apply.load(pipe, inspect(high, "a"), "a")
    apply.activate(pipe, {"a": 1.0})
    proof = prove(pipe, adapter, 1.0)
    assert (proof.layers, set(proof.effect)) == (6, {"transformer", "transformer_2"})
    apply.remove(pipe, "a")


@pytest.mark.parametrize("component", ["transformer", "transformer_2"])
def test_a_prefix_tells_which(pipe: Any, tmp_path: Path, component: str) -> None:
    path = write(tmp_path / "a.safetensors", f"{component}.")
    adapter = apply.load(pipe, inspect(path, "a"), "a")
    apply.activate(pipe, {"a": 1.0})
    assert set(prove(pipe, adapter, 1.0).effect) == {component}


def test_a_name_that_tells_neither_is_no_guess(pipe: Any, tmp_path: Path) -> None:
    with pytest.raises(GenerationError, match="which of the base's transformer and transformer_2 it is for"):
        apply.load(pipe, inspect(write(tmp_path / "a.safetensors"), "a"), "a")


def test_of_wan_2_1_there_is_one(pipe: Any, tmp_path: Path) -> None:
    pipe.register_modules(transformer_2=None)
    pipe.register_to_config(boundary_ratio=None)
    adapter = apply.load(pipe, inspect(write(tmp_path / "a.safetensors"), "a"), "a")
    apply.activate(pipe, {"a": 1.0})
    assert set(prove(pipe, adapter, 1.0).effect) == {"transformer"}
