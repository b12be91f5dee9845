"""Stable Diffusion 3.5, medium ("SD3") and large."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline

from families import autoencoders, text_encoders, tokenizers
from families.weights import LATENT, seeded


def _sd3(path: Path, twice: tuple[int, ...]) -> Any:
    """3.5 norms queries and keys; medium has a second attention in the blocks `twice`, large has none."""
    transformer = SD3Transformer2DModel(
        sample_size=LATENT,
        patch_size=2,
        in_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=56,
        caption_projection_dim=32,
        pooled_projection_dim=16 + 24,
        out_channels=4,
        pos_embed_max_size=LATENT,
        dual_attention_layers=twice,
        qk_norm="rms_norm",
    )
    return StableDiffusion3Pipeline(
        vae=autoencoders.kl(4, False, 1.5305, 0.0609),
        text_encoder=text_encoders.clip(3, 16, projection=16),
        text_encoder_2=text_encoders.clip(4, 24, projection=24, act="gelu"),
        text_encoder_3=text_encoders.t5(5, 56),
        tokenizer=tokenizers.clip(path / "tokenizer"),
        tokenizer_2=tokenizers.clip(path / "tokenizer_2"),
        tokenizer_3=tokenizers.t5(path / "tokenizer_3"),
        transformer=seeded(transformer, 2),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )


BUILDERS = {"SD3": partial(_sd3, twice=(0,)), "SD3.5 large": partial(_sd3, twice=())}
