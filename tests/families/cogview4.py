"""CogView4."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusers import CogView4Pipeline, CogView4Transformer2DModel, FlowMatchEulerDiscreteScheduler

from families import autoencoders, byte_level, language_models
from families.weights import LATENT, seeded


def _cogview4(_path: Path) -> Any:
    transformer = CogView4Transformer2DModel(
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        text_embed_dim=56,
        time_embed_dim=24,
        condition_dim=8,
        pos_embed_max_size=LATENT,
        sample_size=LATENT,
        rope_axes_dim=(LATENT, LATENT),
    )
    return CogView4Pipeline(
        tokenizer=byte_level.glm(),
        text_encoder=language_models.glm(3, 56),
        vae=autoencoders.kl(4, False, 1.0, 0.0),
        transformer=seeded(transformer, 2),
        scheduler=FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True, base_shift=0.25, max_shift=0.75, time_shift_type="linear"
        ),
    )


BUILDERS = {"CogView4": _cogview4}
