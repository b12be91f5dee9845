"""Qwen-Image: read by Qwen 2.5-VL, decoded by a VAE of videos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusers import FlowMatchEulerDiscreteScheduler, QwenImagePipeline, QwenImageTransformer2DModel

from families import autoencoders, language_models, tokenizers
from families.weights import attentive, seeded


def _qwen_image(_path: Path) -> Any:
    tokenizer = tokenizers.qwen()
    transformer = QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=28,
        axes_dims_rope=(4, 6, 6),
    )
    return QwenImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=autoencoders.qwen_image(),
        text_encoder=language_models.qwen2_5_vl(3, 28, 2, len(tokenizer)),
        tokenizer=tokenizer,
        transformer=attentive(seeded(transformer, 2)),
    )


BUILDERS = {"Qwen-Image": _qwen_image}
