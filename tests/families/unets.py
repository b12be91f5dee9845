"""The UNet of Stable Diffusion 1.x, 2.x and XL, tiny, and the noise that it was trained with."""

from __future__ import annotations

from typing import Any

from diffusers import UNet2DConditionModel

from families.weights import LATENT, seeded

BETAS: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
}


def small_unet(cross: int, **settings: Any) -> Any:
    """Two levels of two layers (SDXL: three); LDM's numbers of blocks are then those of the real models."""
    defaults: dict[str, Any] = {
        "sample_size": LATENT,
        "block_out_channels": (32, 64),
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "layers_per_block": 2,
        "attention_head_dim": 2,
        "norm_num_groups": 8,
        "cross_attention_dim": cross,
    }
    return seeded(UNet2DConditionModel(**defaults | settings), 2)
