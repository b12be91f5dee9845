"""Stable Diffusion 1.x and 2.x."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusers import DDIMScheduler, StableDiffusionPipeline

from families import autoencoders, text_encoders, tokenizers
from families.unets import BETAS, small_unet


def _sd(path: Path, unet: Any, text_encoder: Any, prediction: str) -> Any:
    return StableDiffusionPipeline(
        vae=autoencoders.kl(4, True, 0.18215),
        text_encoder=text_encoder,
        tokenizer=tokenizers.clip(path / "tokenizer"),
        unet=unet,
        scheduler=DDIMScheduler(
            **BETAS, clip_sample=False, set_alpha_to_one=False, prediction_type=prediction
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _sd1(path: Path) -> Any:
    return _sd(path, small_unet(32), text_encoders.clip(3, 32), "epsilon")


def _sd2(path: Path) -> Any:
    unet = small_unet(48, use_linear_projection=True, attention_head_dim=(2, 4))
    return _sd(path, unet, text_encoders.clip(3, 48, act="gelu"), "v_prediction")


BUILDERS = {"SD 1.x": _sd1, "SD 2.x": _sd2}
