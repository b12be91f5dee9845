"""Krea 2 (with guidance) and Krea 2 Turbo (distilled, at a fixed shift of the noise)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from diffusers import FlowMatchEulerDiscreteScheduler, Krea2Pipeline, Krea2Transformer2DModel

from families import autoencoders, language_models, tokenizers
from families.weights import attentive, seeded

TAPS = (1, 2)  # layers of the text encoder that the transformer reads; twelve in the published one


def _krea2(_path: Path, distilled: bool) -> Any:
    tokenizer = tokenizers.qwen()
    transformer = Krea2Transformer2DModel(
        in_channels=16,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=64,
        timestep_embed_dim=16,
        text_hidden_dim=32,
        num_text_layers=len(TAPS),
        text_num_attention_heads=2,
        text_num_key_value_heads=2,
        text_intermediate_size=48,
        num_layerwise_text_blocks=1,
        num_refiner_text_blocks=1,
        axes_dims_rope=(4, 6, 6),
    )
    return Krea2Pipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=autoencoders.qwen_image(),
        text_encoder=language_models.qwen3_vl(3, 32, 2, vocabulary=len(tokenizer)),
        tokenizer=tokenizer,
        transformer=attentive(seeded(transformer, 2)),
        text_encoder_select_layers=TAPS,
        is_distilled=distilled,
    )


BUILDERS = {"Krea 2": partial(_krea2, distilled=False), "Krea 2 Turbo": partial(_krea2, distilled=True)}
