"""Chroma: FLUX.1's blocks, modulated by one small network, with T5 alone and a real negative prompt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusers import ChromaPipeline, ChromaTransformer2DModel, FlowMatchEulerDiscreteScheduler

from families import autoencoders, text_encoders, tokenizers
from families.weights import seeded


def _chroma(path: Path) -> Any:
    transformer = ChromaTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=44,
        axes_dims_rope=(4, 6, 6),
        approximator_num_channels=16,
        approximator_hidden_dim=24,
        approximator_layers=1,
    )
    return ChromaPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_beta_sigmas=True, shift=3.0),
        vae=autoencoders.kl(4, False, 0.3611, 0.1159),
        text_encoder=text_encoders.t5(3, 44),
        tokenizer=tokenizers.t5(path / "tokenizer"),
        transformer=seeded(transformer, 2),
    )


BUILDERS = {"Chroma": _chroma}
