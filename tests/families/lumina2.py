"""Lumina Image 2: read by Gemma 2 after a system prompt of the pipeline's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusers import FlowMatchEulerDiscreteScheduler, Lumina2Pipeline, Lumina2Transformer2DModel

from families import autoencoders, language_models, tokenizers
from families.weights import LATENT, attentive, seeded


def _lumina2(_path: Path) -> Any:
    tokenizer = tokenizers.gemma()
    transformer = Lumina2Transformer2DModel(
        sample_size=LATENT,
        patch_size=2,
        in_channels=4,
        hidden_size=36,
        num_layers=2,
        num_refiner_layers=1,
        num_attention_heads=2,
        num_kv_heads=1,
        multiple_of=16,
        scaling_factor=1.0,
        axes_dim_rope=(6, 6, 6),
        axes_lens=(300, 64, 64),
        cap_feat_dim=28,
    )
    return Lumina2Pipeline(
        transformer=attentive(seeded(transformer, 2)),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=6.0),
        vae=autoencoders.kl(4, False, 0.3611, 0.1159, levels=4, width=16),  # the pipeline counts on 8 pixels
        text_encoder=language_models.gemma2(3, 28, vocabulary=len(tokenizer)),
        tokenizer=tokenizer,
    )


BUILDERS = {"Lumina2": _lumina2}
