"""Kandinsky 5, text to image: it makes pictures of seven sizes only, the smallest of 640 x 1408 pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusers import FlowMatchEulerDiscreteScheduler, Kandinsky5T2IPipeline, Kandinsky5Transformer3DModel
from transformers import Qwen2_5_VLProcessor, Qwen2VLImageProcessor, Qwen2VLVideoProcessor

from families import autoencoders, language_models, text_encoders, tokenizers
from families.weights import seeded


def _kandinsky5(path: Path) -> Any:
    transformer = Kandinsky5Transformer3DModel(
        in_visual_dim=4,
        in_text_dim=32,
        in_text_dim2=20,
        time_dim=16,
        out_visual_dim=4,
        patch_size=(1, 2, 2),
        model_dim=16,
        ff_dim=32,
        num_text_blocks=1,
        num_visual_blocks=1,
        axes_dims=(4, 6, 6),
    )
    return Kandinsky5T2IPipeline(
        transformer=seeded(transformer, 2),
        vae=autoencoders.kl(4, True, 0.3611, levels=4, width=8, attends=False),
        text_encoder=language_models.qwen2_5_vl(3, 32),
        tokenizer=_processor(),
        text_encoder_2=text_encoders.clip(4, 20),
        tokenizer_2=tokenizers.clip(path / "tokenizer_2"),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )


def _processor() -> Any:
    """Qwen2.5-VL's processor, whose tokenizer reads the text and whose other parts would read pictures."""
    return Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(),
        video_processor=Qwen2VLVideoProcessor(),
        tokenizer=tokenizers.qwen(),
        chat_template=tokenizers.QWEN_CHAT,
    )


BUILDERS = {"Kandinsky 5": _kandinsky5}
