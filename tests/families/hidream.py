"""HiDream I1: four text encoders (two CLIPs, T5, Llama 3) and a mixture of experts in each block.

Its pipeline scales every size to the area of 128 x 128 latents; with one level in the VAE these are pixels,
and patches of 16 keep the tokens few.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    HiDreamImagePipeline,
    HiDreamImageTransformer2DModel,
)

from families import autoencoders, language_models, text_encoders, tokenizers
from families.weights import attentive, seeded

LONG = 248  # positions of its CLIPs, which read more than 77 tokens
PATCH = 16


def _hidream(path: Path) -> Any:
    llama = tokenizers.llama3()
    transformer = HiDreamImageTransformer2DModel(
        patch_size=PATCH,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        caption_channels=[36, 52],
        text_emb_dim=16 + 24,
        num_routed_experts=2,
        num_activated_experts=2,
        axes_dims_rope=(8, 4, 4),
        max_resolution=(128, 128),
        llama_layers=[0, 1],
    )
    return HiDreamImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift=3.0),
        vae=autoencoders.kl(4, False, 0.3611, 0.1159, levels=1, width=16),
        text_encoder=text_encoders.clip(3, 16, projection=16, positions=LONG),
        tokenizer=tokenizers.clip(path / "tokenizer", LONG),
        text_encoder_2=text_encoders.clip(4, 24, projection=24, act="gelu", positions=LONG),
        tokenizer_2=tokenizers.clip(path / "tokenizer_2", LONG),
        text_encoder_3=text_encoders.t5(5, 36),
        tokenizer_3=tokenizers.t5(path / "tokenizer_3"),
        text_encoder_4=language_models.llama(6, 52, 2, len(llama)),
        tokenizer_4=llama,
        transformer=attentive(seeded(transformer, 2)),
    )


BUILDERS = {"HiDream": _hidream}
