"""A pipeline of SD 1.x as the single file that model sites hand out.

Names as in diffusers' scripts/convert_diffusers_to_original_stable_diffusion.py, which goes this way; what
is tested, `from_single_file`, goes the other.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import layouts
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import save_file

_VAE = {
    "conv_norm_out": "norm_out",
    "group_norm": "norm",
    "conv_shortcut": "nin_shortcut",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
    "mid_block.attentions.0": "mid.attn_1",
    "mid_block.resnets.0": "mid.block_1",
    "mid_block.resnets.1": "mid.block_2",
    "downsamplers.0": "downsample",
    "upsamplers.0": "upsample",
    "resnets": "block",
    "down_blocks": "down",
}


def vae_tensors(vae: Any) -> dict[str, torch.Tensor]:
    """Names of CompVis/latent-diffusion, ldm/modules/diffusionmodules/model.py; levels count from below."""
    levels = len(vae.config.block_out_channels)
    found = {}
    for name, weight in vae.state_dict().items():
        for ours, theirs in _VAE.items():
            name = name.replace(ours, theirs)
        name = re.sub(r"up_blocks\.(\d+)", lambda match: f"up.{levels - 1 - int(match[1])}", name)
        linear = re.search(r"attn_1\.(q|k|v|proj_out)\.weight", name)
        found[name] = (weight[:, :, None, None] if linear else weight).contiguous()
    return found


def unet_tensors(unet: Any) -> dict[str, torch.Tensor]:
    found = {}
    for name, weight in unet.state_dict().items():
        path, _, part = name.rpartition(".")
        found[f"{layouts.ldm(path, unet)}.{part}"] = weight.contiguous()
    return found


def write_checkpoint(pipeline: Path, path: Path, leave_out: str = "") -> Path:
    """The whole of ``pipeline`` in one file, but for tensors whose name contains ``leave_out``."""
    pipe = StableDiffusionPipeline.from_pretrained(pipeline)
    text = {
        name.removeprefix("text_model."): weight for name, weight in pipe.text_encoder.state_dict().items()
    }
    tensors = {f"model.diffusion_model.{name}": weight for name, weight in unet_tensors(pipe.unet).items()}
    tensors |= {f"first_stage_model.{name}": weight for name, weight in vae_tensors(pipe.vae).items()}
    tensors |= {f"cond_stage_model.transformer.text_model.{name}": weight for name, weight in text.items()}
    save_file({k: v for k, v in tensors.items() if not leave_out or leave_out not in k}, path)
    return path
