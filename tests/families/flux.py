"""FLUX.1 dev and schnell."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel

from families import autoencoders, text_encoders, tokenizers
from families.weights import seeded


def _flux(path: Path, guided: bool) -> Any:
    """FLUX.1 dev is distilled from guided images and takes the guidance as an input; schnell does not."""
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=40,
        pooled_projection_dim=24,
        guidance_embeds=guided,
        axes_dims_rope=(4, 6, 6),
    )
    shifts = {"use_dynamic_shifting": True, "shift": 3.0} if guided else {"shift": 1.0}
    return FluxPipeline(
        vae=autoencoders.kl(4, False, 0.3611, 0.1159),
        text_encoder=text_encoders.clip(3, 24),
        text_encoder_2=text_encoders.t5(5, 40),
        tokenizer=tokenizers.clip(path / "tokenizer"),
        tokenizer_2=tokenizers.t5(path / "tokenizer_2"),
        transformer=seeded(transformer, 2),
        scheduler=FlowMatchEulerDiscreteScheduler(**shifts),
    )


BUILDERS = {"FLUX": partial(_flux, guided=True), "FLUX schnell": partial(_flux, guided=False)}
