"""Tiny text encoders of the real classes."""

from __future__ import annotations

from typing import Any

from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, T5Config, T5EncoderModel

from families.weights import seeded


def clip(
    seed: int, width: int, projection: int | None = None, act: str = "quick_gelu", positions: int = 77
) -> Any:
    config = CLIPTextConfig(
        vocab_size=514,
        hidden_size=width,
        intermediate_size=2 * width,
        projection_dim=projection or width,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=positions,
        hidden_act=act,
        bos_token_id=512,
        eos_token_id=513,
        pad_token_id=513,
    )
    return seeded((CLIPTextModelWithProjection if projection else CLIPTextModel)(config), seed)


def t5(
    seed: int, width: int, vocabulary: int = 200, kind: tuple[Any, Any] = (T5Config, T5EncoderModel)
) -> Any:
    """Of T5, or of the ``kind`` that has its settings: a class of configurations and one of models."""
    config = kind[0](
        vocab_size=vocabulary,
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
    return seeded(kind[1](config), seed)
