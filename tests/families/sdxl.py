"""Stable Diffusion XL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline

from families import autoencoders, text_encoders, tokenizers
from families.unets import BETAS, small_unet


def _sdxl(path: Path) -> Any:
    width, large = 24, 40
    unet = small_unet(
        width + large,
        block_out_channels=(32, 32, 64),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 1, 2),
        attention_head_dim=(2, 2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=large + 6 * 8,
    )
    return StableDiffusionXLPipeline(
        vae=autoencoders.kl(4, True, 0.13025),
        text_encoder=text_encoders.clip(3, width),
        text_encoder_2=text_encoders.clip(4, large, projection=large, act="gelu"),
        tokenizer=tokenizers.clip(path / "tokenizer"),
        tokenizer_2=tokenizers.clip(path / "tokenizer_2"),
        unet=unet,
        scheduler=EulerDiscreteScheduler(**BETAS, timestep_spacing="leading"),
        add_watermarker=False,
    )


BUILDERS = {"SDXL": _sdxl}
