"""Tiny language models, with and without eyes, of the classes that encode prompts today."""

from __future__ import annotations

from typing import Any

from families.weights import seeded

VOCABULARY = 2304  # of the tiny tokenizers, and a few more
TOKEN = 1  # stands for all tokens that would be a picture's


def qwen3(seed: int, width: int, layers: int, vocabulary: int, kind: str) -> Any:
    import transformers

    config = transformers.Qwen3Config(**_text(width, layers, vocabulary))
    return seeded(getattr(transformers, kind)(config), seed)


def qwen2_5_vl(seed: int, width: int, layers: int = 2, vocabulary: int = VOCABULARY) -> Any:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    half = width // 4
    sections = [half // 2, half // 4, half - half // 2 - half // 4]  # of a head's half width
    rope = {"type": "mrope", "rope_type": "default", "mrope_section": sections}
    vision = {"fullatt_block_indexes": [0], "window_size": 16}
    config = Qwen2_5_VLConfig(
        text_config=_text(width, layers, vocabulary) | {"rope_scaling": rope},
        vision_config=_vision(width) | vision,
        **_pictures(),
    )
    return seeded(Qwen2_5_VLForConditionalGeneration(config), seed)


def qwen3_vl(
    seed: int, width: int, layers: int, kind: str = "Qwen3VLModel", vocabulary: int = VOCABULARY
) -> Any:
    import transformers

    half = width // 4
    sections = [half - 2 * (half // 4), half // 4, half // 4]
    rope = {"rope_type": "default", "mrope_section": sections, "mrope_interleaved": True}
    vision = {"num_position_embeddings": 16, "deepstack_visual_indexes": []}
    config = transformers.Qwen3VLConfig(
        text_config=_text(width, layers, vocabulary) | {"rope_scaling": rope},
        vision_config=_vision(width) | vision,
        **_pictures(),
    )
    return seeded(getattr(transformers, kind)(config), seed)


def mistral3(
    seed: int,
    width: int,
    layers: int = 2,
    vocabulary: int = VOCABULARY,
    kind: str = "Mistral3Model",
    text_kind: str = "ministral3",
) -> Any:
    import transformers

    rope = {
        "rope_type": "yarn",
        "rope_theta": 1e6,
        "factor": 1.0,
        "original_max_position_embeddings": 8192,
        "beta_fast": 32.0,
        "beta_slow": 1.0,
        "mscale": 1.0,
        "mscale_all_dim": 1.0,
        "llama_4_scaling_beta": 0.1,
    }
    vision = {
        "model_type": "pixtral",
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "image_size": 28,
        "patch_size": 14,
        "head_dim": 8,
    }
    text = _text(width, layers, vocabulary) | {"model_type": text_kind, "rope_parameters": rope}
    config = transformers.Mistral3Config(text_config=text, vision_config=vision)
    return seeded(getattr(transformers, kind)(config), seed)


def gemma2(seed: int, width: int, layers: int = 2, vocabulary: int = VOCABULARY) -> Any:
    from transformers import Gemma2Config, Gemma2Model

    config = Gemma2Config(**_text(width, layers, vocabulary), **_ends(), sliding_window=16)
    return seeded(Gemma2Model(config), seed)


def llama(seed: int, width: int, layers: int, vocabulary: int) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return seeded(LlamaForCausalLM(LlamaConfig(**_text(width, layers, vocabulary))), seed)


def glm(seed: int, width: int, layers: int = 2) -> Any:
    from transformers import GlmConfig, GlmModel

    return seeded(GlmModel(GlmConfig(**_text(width, layers), **_ends())), seed)


def _text(width: int, layers: int, vocabulary: int = VOCABULARY) -> dict[str, Any]:
    return {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": width // 2,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": False,
    }


def _vision(width: int) -> dict[str, Any]:
    return {
        "depth": 1,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_heads": 2,
        "out_hidden_size": width,
        "patch_size": 4,
        "spatial_merge_size": 1,
    }


def _pictures() -> dict[str, int]:
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    return dict.fromkeys(names, TOKEN)


def _ends() -> dict[str, int]:
    return {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
