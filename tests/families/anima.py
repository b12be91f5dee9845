"""Anima, a modular pipeline alone in diffusers: Cosmos' transformer reads Qwen 3 through T5's tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusers import (
    AnimaAutoBlocks,
    AnimaTextConditioner,
    CosmosTransformer3DModel,
    FlowMatchEulerDiscreteScheduler,
)

from families import autoencoders, language_models, tokenizers
from families.weights import attentive, seeded


def _anima(path: Path) -> Any:
    tokenizer = tokenizers.qwen()
    t5 = tokenizers.t5(path / "t5_tokenizer")
    transformer = CosmosTransformer3DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=16,
        num_layers=2,
        mlp_ratio=2.0,
        text_embed_dim=36,
        adaln_lora_dim=8,
        max_size=(4, 64, 64),
        patch_size=(1, 2, 2),
        extra_pos_embed_type=None,
    )
    conditioner = AnimaTextConditioner(
        source_dim=28,
        target_dim=36,
        model_dim=36,
        num_layers=2,
        num_attention_heads=2,
        target_vocab_size=len(t5),
        min_sequence_length=64,
    )
    pipe = AnimaAutoBlocks().init_pipeline()
    pipe.update_components(
        text_encoder=language_models.qwen3(3, 28, 2, len(tokenizer), "Qwen3Model"),
        tokenizer=tokenizer,
        t5_tokenizer=t5,
        text_conditioner=attentive(seeded(conditioner, 4)),
        transformer=attentive(seeded(transformer, 2)),
        vae=autoencoders.qwen_image(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )
    return pipe


BUILDERS = {"Anima": _anima}
