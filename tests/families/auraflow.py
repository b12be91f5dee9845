"""AuraFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusers import AuraFlowPipeline, AuraFlowTransformer2DModel, FlowMatchEulerDiscreteScheduler
from transformers import UMT5Config, UMT5EncoderModel

from families import autoencoders, tokenizers
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
        text_encoder=_umt5(3, 48),
        vae=autoencoders.kl(4, True, 0.13025),
        transformer=seeded(transformer, 2),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.73),
    )


def _umt5(seed: int, width: int) -> Any:
    config = UMT5Config(
        vocab_size=200,
        d_model=width,
        d_kv=8,
        d_ff=2 * width,
        num_layers=2,
        num_heads=2,
        relative_attention_num_buckets=8,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        use_cache=False,
    )
    return seeded(UMT5EncoderModel(config), seed)


BUILDERS = {"AuraFlow": _auraflow}
