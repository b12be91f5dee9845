"""PixArt Alpha and Sigma."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusers import (
    DPMSolverMultistepScheduler,
    PixArtAlphaPipeline,
    PixArtSigmaPipeline,
    PixArtTransformer2DModel,
)

from families import autoencoders, text_encoders, tokenizers
from families.weights import LATENT, seeded


def _pixart(path: Path, kind: Any) -> Any:
    transformer = PixArtTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=4,
        out_channels=8,
        num_layers=2,
        cross_attention_dim=32,
        sample_size=LATENT,
        caption_channels=52,
        use_additional_conditions=False,
    )
    return kind(
        tokenizer=tokenizers.t5(path / "tokenizer"),
        text_encoder=text_encoders.t5(5, 52),
        vae=autoencoders.kl(4, True, 0.13025),
        transformer=seeded(transformer, 2),
        scheduler=DPMSolverMultistepScheduler(),
    )


BUILDERS = {
    "PixArt Alpha": lambda path: _pixart(path, PixArtAlphaPipeline),
    "PixArt Sigma": lambda path: _pixart(path, PixArtSigmaPipeline),
}
