"""Tiny VAEs of the families: two pixels a latent row, random weights, pictures of middling contrast."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderKLFlux2, AutoencoderKLQwenImage

from families.weights import seeded


def kl(
    channels: int,
    quantised: bool,
    scaling: float,
    shift: float | None = None,
    *,
    levels: int = 2,
    width: int = 32,
    attends: bool = True,
) -> Any:
    """Two pixels a latent row; SD 1.x, 2.x and XL have convolutions around the latent, SD3 and FLUX none."""
    vae = AutoencoderKL(
        block_out_channels=(width,) * levels,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        latent_channels=channels,
        norm_num_groups=min(8, width // 2),
        scaling_factor=scaling,
        shift_factor=shift,
        use_quant_conv=quantised,
        use_post_quant_conv=quantised,
        mid_block_add_attention=attends,
    )
    return _pale(seeded(vae, 1))


def flux2(channels: int) -> Any:
    """FLUX.2's, which ERNIE-Image and Ideogram 4 have too: it norms patches of 2 x 2 latents."""
    vae = AutoencoderKLFlux2(
        block_out_channels=(16, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=channels,
        norm_num_groups=8,
        layers_per_block=1,
        sample_size=32,
    )
    generator = torch.Generator().manual_seed(9)
    vae.bn.running_mean.copy_(0.1 * torch.randn(4 * channels, generator=generator))
    vae.bn.running_var.copy_(0.5 + torch.rand(4 * channels, generator=generator))
    return _pale(seeded(vae, 1))


def _pale(vae: Any, contrast: float = 0.4) -> Any:
    """Pictures of middling contrast: little of them is cut at black and white."""
    with torch.no_grad():
        vae.decoder.conv_out.weight.mul_(contrast)
    return vae


def qwen_image() -> Any:
    """A VAE of videos (Wan's), of one frame here: causal convolutions in three dimensions."""
    vae = AutoencoderKLQwenImage(
        base_dim=16,
        z_dim=4,
        dim_mult=[1, 2],
        num_res_blocks=1,
        temperal_downsample=[False],
        latents_mean=[0.1, -0.2, 0.3, -0.1],
        latents_std=[1.1, 0.9, 1.2, 0.8],
    )
    return _pale(seeded(vae, 1), 0.6)
