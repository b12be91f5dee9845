"""HunyuanImage 2.1: its guidance is a part of the pipeline, and not an argument of its call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusers import (
    AdaptiveProjectedMixGuidance,
    AutoencoderKLHunyuanImage,
    FlowMatchEulerDiscreteScheduler,
    HunyuanImagePipeline,
    HunyuanImageTransformer2DModel,
)

from families import byte_level, language_models, text_encoders, tokenizers
from families.weights import seeded


def _hunyuan_image(_path: Path) -> Any:
    transformer = HunyuanImageTransformer2DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=16,
        num_layers=2,
        num_single_layers=2,
        num_refiner_layers=1,
        patch_size=(1, 1),
        text_embed_dim=64,
        text_embed_2_dim=36,
        rope_axes_dim=(8, 8),
    )
    vae = AutoencoderKLHunyuanImage(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        block_out_channels=(32, 32),
        layers_per_block=1,
        spatial_compression_ratio=2,
        sample_size=32,
        scaling_factor=0.75289,
    )
    return HunyuanImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=5.0),
        vae=seeded(vae, 1),
        text_encoder=language_models.qwen2_5_vl(3, 64, layers=3),
        tokenizer=tokenizers.qwen(),
        text_encoder_2=text_encoders.t5(5, 36, vocabulary=400),
        tokenizer_2=byte_level.byt5(),
        transformer=seeded(transformer, 2),
        guider=AdaptiveProjectedMixGuidance(guidance_scale=3.5),
    )


BUILDERS = {"HunyuanImage 2.1": _hunyuan_image}
