"""Denoisers and VAEs of today's bases at their true size, with random weights: no download, the same cost.

``tiny`` builds the same classes with few and narrow layers, so that every measurement can be tried on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AutoencoderKL, FluxTransformer2DModel, QwenImageTransformer2DModel, UNet2DConditionModel
from diffusers.models.transformers.transformer_qwenimage import QwenEmbedRope
from peft import LoraConfig
from sd15_size import default_dtype

Inputs = dict[str, Any]
ADAPTED = ["to_q", "to_k", "to_v", "to_out.0"]


@dataclass(frozen=True)
class TrueSize:
    """A base's denoiser: how it is built, and what it is called with for images of ``side`` pixels."""

    name: str
    side: int
    build: Callable[[bool], Any]
    inputs: Callable[[Any, int, int], Inputs]  # of the denoiser, the batch and the side
    unguided: bool = False  # one forward pass an image and step, not two

    def on(self, device: str, dtype: torch.dtype, tiny: bool) -> Any:
        """Return the denoiser on a device."""
        module = on_device(lambda: self.build(tiny), device, dtype)
        if isinstance(module, QwenImageTransformer2DModel):  # its tables are no buffers: meta has no numbers
            axes = list(module.config.axes_dims_rope)
            module.pos_embed = QwenEmbedRope(theta=10000, axes_dim=axes, scale_rope=True)
        return module


def on_device(build: Callable[[], Any], device: str, dtype: torch.dtype) -> Any:
    """Build a module with small random weights in ``dtype``, without a copy in main memory."""
    with torch.device("meta"), default_dtype(dtype):
        module = build()
    module = module.to_empty(device=device).eval()
    with torch.no_grad():
        for name, weight in [*module.named_parameters(), *module.named_buffers()]:
            if weight.ndim > 1:
                weight.normal_(0, 0.02)
            elif weight.is_floating_point():
                weight.fill_(float(name.endswith("weight")))
    return module


def with_lora(module: Any, rank: int = 16) -> Any:
    """Put a random LoRA on every attention layer."""
    module.add_adapter(LoraConfig(r=rank, target_modules=ADAPTED, init_lora_weights=False))
    return module


def vae(tiny: bool) -> AutoencoderKL:
    """Build the VAE of SD and SDXL, whose decoder costs what FLUX.1's does."""
    widths = (8, 8, 8, 8) if tiny else (128, 256, 512, 512)
    return AutoencoderKL(
        block_out_channels=widths,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1 if tiny else 2,
        latent_channels=4,
        norm_num_groups=8 if tiny else 32,
    )


def _sd15(tiny: bool) -> Any:
    if tiny:
        return UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(8, 16),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            layers_per_block=1,
            norm_num_groups=4,
            attention_head_dim=4,
            cross_attention_dim=768,
        )
    return UNet2DConditionModel(sample_size=64, cross_attention_dim=768)


def _sdxl(tiny: bool) -> Any:
    return UNet2DConditionModel(
        sample_size=128,
        block_out_channels=(8, 16, 16) if tiny else (320, 640, 1280),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1 if tiny else 2,
        norm_num_groups=4 if tiny else 32,
        transformer_layers_per_block=(1, 1, 1) if tiny else (1, 2, 10),
        attention_head_dim=(2, 4, 4) if tiny else (5, 10, 20),
        cross_attention_dim=2048,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
        use_linear_projection=True,
    )


def _flux(tiny: bool) -> Any:
    if tiny:
        return FluxTransformer2DModel(
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            axes_dims_rope=(4, 6, 6),
            guidance_embeds=True,
        )
    return FluxTransformer2DModel(guidance_embeds=True)


def _qwen(tiny: bool) -> Any:
    if tiny:
        return QwenImageTransformer2DModel(
            num_layers=1, attention_head_dim=16, num_attention_heads=2, axes_dims_rope=(4, 6, 6)
        )
    return QwenImageTransformer2DModel()


def _unet_inputs(module: Any, batch: int, side: int) -> Inputs:
    like = next(module.parameters())
    inputs: Inputs = {
        "sample": like.new_ones(batch, 4, side // 8, side // 8),
        "timestep": 500,
        "encoder_hidden_states": like.new_ones(batch, 77, module.config.cross_attention_dim),
    }
    if module.config.addition_embed_type:
        extra = {"text_embeds": like.new_ones(batch, 1280), "time_ids": like.new_ones(batch, 6)}
        inputs["added_cond_kwargs"] = extra
    return inputs


def _flux_inputs(module: Any, batch: int, side: int) -> Inputs:
    like, tokens = next(module.parameters()), (side // 16) ** 2
    return {
        "hidden_states": like.new_ones(batch, tokens, 64),
        "encoder_hidden_states": like.new_ones(batch, 512, 4096),
        "pooled_projections": like.new_ones(batch, 768),
        "timestep": like.new_ones(batch),
        "guidance": like.new_ones(batch),
        "img_ids": like.new_zeros(tokens, 3),
        "txt_ids": like.new_zeros(512, 3),
    }


def _qwen_inputs(module: Any, batch: int, side: int) -> Inputs:
    like, rows = next(module.parameters()), side // 16
    return {
        "hidden_states": like.new_ones(batch, rows * rows, 64),
        "encoder_hidden_states": like.new_ones(batch, 128, 3584),
        "encoder_hidden_states_mask": torch.ones(batch, 128, dtype=torch.long, device=like.device),
        "timestep": like.new_ones(batch),
        "img_shapes": [[(1, rows, rows)]] * batch,
    }


BASES = (
    TrueSize("SD 1.5", 512, _sd15, _unet_inputs),
    TrueSize("SDXL", 1024, _sdxl, _unet_inputs),
    TrueSize("FLUX.1", 1024, _flux, _flux_inputs, unguided=True),
    TrueSize("Qwen-Image", 1024, _qwen, _qwen_inputs),
)
