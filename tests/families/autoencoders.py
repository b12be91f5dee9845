"""Tiny VAEs of the families: two pixels a latent row, random weights, pictures of middling contrast."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKL

from families.weights import seeded


def kl(channels: int, quantised: bool, scaling: float, shift: float | None = None) -> Any:
    """Two pixels a latent row; SD 1.x, 2.x and XL have convolutions around the latent, SD3 and FLUX none."""
    vae = AutoencoderKL(
        block_out_channels=(32, 32),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=channels,
        norm_num_groups=8,
        scaling_factor=scaling,
        shift_factor=shift,
        use_quant_conv=quantised,
        use_post_quant_conv=quantised,
    )
    seeded(vae, 1)
    with torch.no_grad():  # pictures of middling contrast: little of them is cut at black and white
        vae.decoder.conv_out.weight.mul_(0.4)
    return vae
