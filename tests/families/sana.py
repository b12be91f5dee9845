"""Sana, whose convolutional feed-forward has a depthwise layer and whose VAE has no normal distribution."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderDC, DPMSolverMultistepScheduler, SanaPipeline, SanaTransformer2DModel

from families import byte_level, language_models
from families.weights import seeded


def _sana(_path: Path) -> Any:
    transformer = SanaTransformer2DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=4,
        attention_head_dim=8,
        num_layers=2,
        num_cross_attention_heads=2,
        cross_attention_head_dim=16,
        cross_attention_dim=32,
        caption_channels=40,
        mlp_ratio=2.5,
        sample_size=32,
    )
    return SanaPipeline(
        tokenizer=byte_level.gemma(),
        text_encoder=language_models.gemma2(3, 40),
        vae=_dc_vae(),
        transformer=seeded(transformer, 2),
        scheduler=DPMSolverMultistepScheduler(
            use_flow_sigmas=True, flow_shift=3.0, prediction_type="flow_prediction"
        ),
    )


def _dc_vae() -> Any:
    """Two pixels a latent row."""
    vae = AutoencoderDC(
        latent_channels=4,
        attention_head_dim=8,
        encoder_block_out_channels=(16, 16),
        decoder_block_out_channels=(16, 16),
        encoder_layers_per_block=(1, 1),
        decoder_layers_per_block=(1, 1),
        encoder_qkv_multiscales=((), ()),
        decoder_qkv_multiscales=((), ()),
        scaling_factor=0.41407,
    )
    seeded(vae, 1)
    with torch.no_grad():
        vae.decoder.conv_out.weight.mul_(0.4)
    return vae


BUILDERS = {"Sana": _sana}
