"""Z-Image, and Z-Image Turbo: the same classes and another shift of the noise."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from diffusers import FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel

from families import autoencoders, language_models, tokenizers
from families.weights import attentive, seeded


def _z_image(_path: Path, shift: float) -> Any:
    tokenizer = tokenizers.qwen()
    transformer = ZImageTransformer2DModel(
        all_patch_size=(2,),
        all_f_patch_size=(1,),
        in_channels=4,
        dim=32,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=20,
        axes_dims=[4, 6, 6],
        axes_lens=[1024, 64, 64],
    )
    return ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=shift),
        vae=autoencoders.kl(4, False, 0.3611, 0.1159),
        text_encoder=language_models.qwen3(3, 20, 2, len(tokenizer), "Qwen3Model"),
        tokenizer=tokenizer,
        transformer=attentive(seeded(transformer, 2)),
    )


BUILDERS = {"Z-Image": partial(_z_image, shift=6.0), "Z-Image Turbo": partial(_z_image, shift=3.0)}
