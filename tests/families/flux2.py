"""FLUX.2 dev (the guidance is an input, Mistral 3 reads) and klein (Qwen 3 reads; distilled, or with CFG)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Pipeline,
    Flux2Transformer2DModel,
)

from families import autoencoders, language_models, tokenizers
from families.weights import attentive, seeded


def _transformer(text: int, guided: bool) -> Any:
    transformer = Flux2Transformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=text,
        timestep_guidance_channels=16,
        mlp_ratio=3.0,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=guided,
    )
    return attentive(seeded(transformer, 2))


def _dev(_path: Path) -> Any:
    tokenizer = tokenizers.mistral()
    return Flux2Pipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=autoencoders.flux2(4),
        text_encoder=language_models.mistral3(
            3, 24, 31, len(tokenizer), "Mistral3ForConditionalGeneration", "mistral"
        ),
        tokenizer=tokenizers.pixtral(tokenizer),
        transformer=_transformer(3 * 24, guided=True),
    )


def _klein(_path: Path, distilled: bool) -> Any:
    tokenizer = tokenizers.qwen()
    return Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=autoencoders.flux2(4),
        text_encoder=language_models.qwen3(3, 16, 28, len(tokenizer), "Qwen3ForCausalLM"),
        tokenizer=tokenizer,
        transformer=_transformer(3 * 16, guided=False),
        is_distilled=distilled,
    )


BUILDERS = {
    "FLUX.2 dev": _dev,
    "FLUX.2 klein": partial(_klein, distilled=True),
    "FLUX.2 klein base": partial(_klein, distilled=False),
}
