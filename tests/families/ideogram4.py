"""Ideogram 4, with a second transformer of its own for the unconditional half of the guidance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusers import FlowMatchEulerDiscreteScheduler, Ideogram4Pipeline, Ideogram4Transformer2DModel

from families import autoencoders, language_models, tokenizers
from families.weights import seeded

WIDTH, TAPS, LAYERS = 16, 13, 36  # the pipeline taps 13 layers of its encoder's 36


def _ideogram4(_path: Path) -> Any:
    return Ideogram4Pipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=autoencoders.flux2(4),
        text_encoder=language_models.qwen3_vl(3, WIDTH, LAYERS),
        tokenizer=tokenizers.qwen(),
        transformer=_transformer(2),
        unconditional_transformer=_transformer(4),
    )


def _transformer(seed: int) -> Any:
    transformer = Ideogram4Transformer2DModel(
        in_channels=16,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        intermediate_size=48,
        adaln_dim=12,
        llm_features_dim=TAPS * WIDTH,
        mrope_section=(4, 2, 2),
    )
    return seeded(transformer, seed)


BUILDERS = {"Ideogram 4": _ideogram4}
