"""ERNIE-Image, published with a language model (`pe`) that would rewrite every prompt at random."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusers import ErnieImagePipeline, ErnieImageTransformer2DModel, FlowMatchEulerDiscreteScheduler

from families import autoencoders, language_models, tokenizers
from families.weights import seeded


def _ernie_image(_path: Path) -> Any:
    transformer = ErnieImageTransformer2DModel(
        hidden_size=32,
        num_attention_heads=2,
        num_layers=2,
        ffn_hidden_size=64,
        in_channels=16,
        out_channels=16,
        text_in_dim=44,
        rope_axes_dim=(4, 6, 6),
    )
    return ErnieImagePipeline(
        transformer=seeded(transformer, 2),
        vae=autoencoders.flux2(4),
        text_encoder=language_models.mistral3(3, 44),
        tokenizer=tokenizers.mistral(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        pe=_rewriter(6),
        pe_tokenizer=tokenizers.qwen(64),
    )


def _rewriter(seed: int) -> Any:
    from transformers import Ministral3Config, Ministral3ForCausalLM

    text = language_models.mistral3(seed, 16).config.text_config.to_dict()
    return seeded(Ministral3ForCausalLM(Ministral3Config(**text)), seed)


BUILDERS = {"ERNIE-Image": _ernie_image}
