"""A pipeline and a denoiser that diffusers does not have: a base of a family that is still to come.

The names of its layers and of its parts are its own. `register` makes diffusers know them, as a newer version
of it would.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import ConfigMixin, DiffusionPipeline, FlowMatchEulerDiscreteScheduler, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.image_processor import VaeImageProcessor
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from families import autoencoders, text_encoders, tokenizers
from families.weights import seeded
from torch import Tensor, nn


class TomorrowMixer(nn.Module):
    def __init__(self, width: int, text: int) -> None:
        super().__init__()
        self.look = nn.Linear(text, 2 * width)
        self.gather = nn.Conv2d(width, width, 3, padding=1)
        self.think = nn.ModuleList([nn.Linear(width, 2 * width), nn.Linear(2 * width, width)])

    def forward(self, x: Tensor, pooled: Tensor) -> Tensor:
        scale, shift = self.look(pooled)[:, :, None, None].chunk(2, dim=1)
        x = x + self.gather(torch.tanh(x * (1 + scale) + shift))
        y = x.movedim(1, -1)
        return x + self.think[1](torch.tanh(self.think[0](y))).movedim(-1, 1)


class TomorrowDreamer2DModel(ModelMixin, ConfigMixin):
    """Convolutions over latents that a pooled text steers."""

    @register_to_config
    def __init__(
        self, in_channels: int = 4, width: int = 16, text_dim: int = 24, num_mixers: int = 2
    ) -> None:
        super().__init__()
        self.enter = nn.Conv2d(in_channels, width, 1)
        self.clock = nn.Linear(1, width)
        self.mixers = nn.ModuleList([TomorrowMixer(width, text_dim) for _ in range(num_mixers)])
        self.leave = nn.Conv2d(width, in_channels, 1)

    def forward(self, latents: Tensor, pooled: Tensor, time: Tensor) -> Tensor:
        x = self.enter(latents) + self.clock(time[:, None])[:, :, None, None]
        for mixer in self.mixers:
            x = mixer(x, pooled)
        return self.leave(x)


@dataclass
class TomorrowPipelineOutput(BaseOutput):
    images: Any


class TomorrowPipeline(DiffusionPipeline):
    """Text to image; without a mixin for LoRAs, which the gate does not need."""

    model_cpu_offload_seq = "text_encoder->transformer->vae"

    def __init__(self, text_encoder: Any, tokenizer: Any, transformer: Any, vae: Any, scheduler: Any) -> None:
        super().__init__()
        self.register_modules(
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            transformer=transformer,
            vae=vae,
            scheduler=scheduler,
        )
        self.vae_scale_factor = 2 ** (len(vae.config.block_out_channels) - 1)
        self.image_processor = VaeImageProcessor(vae_scale_factor=self.vae_scale_factor)

    def _pooled(self, prompt: list[str]) -> Tensor:
        tokens = self.tokenizer(prompt, padding="max_length", truncation=True, return_tensors="pt").input_ids
        return self.text_encoder(tokens.to(self._execution_device)).pooler_output

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | list[str],
        negative_prompt: str | list[str] | None = None,
        height: int = 512,
        width: int = 512,
        num_inference_steps: int = 20,
        guidance_scale: float = 4.0,
        generator: torch.Generator | list[torch.Generator] | None = None,
        output_type: str = "pil",
    ) -> TomorrowPipelineOutput:
        prompts = [prompt] if isinstance(prompt, str) else prompt
        pooled = self._pooled(prompts)
        negative = self._pooled([""] * len(prompts) if negative_prompt is None else list(negative_prompt))
        factor = self.vae_scale_factor
        shape = (len(prompts), self.transformer.config.in_channels, height // factor, width // factor)
        latents = randn_tensor(shape, generator, self._execution_device, self.transformer.dtype)
        self.scheduler.set_timesteps(num_inference_steps, device=self._execution_device)
        for step in self.scheduler.timesteps:
            time = step.expand(len(prompts)).to(latents.dtype) / 1000
            flow = self.transformer(latents, pooled, time)
            if guidance_scale > 1:
                away = self.transformer(latents, negative, time)
                flow = away + guidance_scale * (flow - away)
            latents = self.scheduler.step(flow, step, latents, return_dict=False)[0]
        if output_type == "latent":
            return TomorrowPipelineOutput(images=latents)
        pictures = self.vae.decode(latents / self.vae.config.scaling_factor, return_dict=False)[0]
        return TomorrowPipelineOutput(self.image_processor.postprocess(pictures, output_type=output_type))


def register(monkeypatch: Any) -> None:
    for kind in (TomorrowPipeline, TomorrowDreamer2DModel):
        kind.__module__ = "diffusers"  # which is what model_index.json names
        monkeypatch.setattr(diffusers, kind.__name__, kind, raising=False)


def save(folder: Path) -> Path:
    """Written as a user's base is; `register` first."""
    pipe = TomorrowPipeline(
        text_encoder=text_encoders.clip(3, 24),
        tokenizer=tokenizers.clip(folder / "tokenizer"),
        transformer=seeded(TomorrowDreamer2DModel(), 2),
        vae=autoencoders.kl(4, True, 1.0),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )
    pipe.save_pretrained(folder)
    return folder
