"""AuraFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusers import AuraFlowPipeline, AuraFlowTransformer2DModel, FlowMatchEulerDiscreteScheduler
from transformers import UMT5Config, UMT5EncoderModel

from families import autoencoders, text_encoders, tokenizers
from families.weights import LATENT, seeded


def _auraflow(path: Path) -> Any:
    transformer = AuraFlowTransformer2DModel(
        sample_size=LATENT,
        patch_size=2,
        in_channels=4,
        num_mmdit_layers=2,
        num_single_dit_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=48,
        caption_projection_dim=32,
        out_channels=4,
        pos_embed_max_size=256,
    )
    return AuraFlowPipeline(
        tokenizer=tokenizers.t5(path / "tokenizer"),
        text_encoder=text_encoders.t5(3, 48, kind=(UMT5Config, UMT5EncoderModel)),
        vae=autoencoders.kl(4, True, 0.13025),
        transformer=seeded(transformer, 2),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.73),
    )


BUILDERS = {"AuraFlow": _auraflow}
