"""Make images with the miniature's pipeline as the gate does: 20 DDIM steps, guidance 2, own generators."""

# mypy: disable-error-code="attr-defined, no-untyped-call"
# (diffusers types neither its models nor its pipelines)

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import yaml
from common import MINIATURE, PIPELINE_DIR
from diffusers import DiffusionPipeline, StableDiffusionPipeline
from PIL import Image

STEPS = 20
GUIDANCE = 2.0
BATCH = 16


def load_pipeline(directory: Path = PIPELINE_DIR, lora: Path | None = None) -> StableDiffusionPipeline:
    pipeline: StableDiffusionPipeline = DiffusionPipeline.from_pretrained(
        directory, dtype=torch.float32, safety_checker=None
    )
    pipeline.set_progress_bar_config(disable=True)
    if lora is not None:
        pipeline.load_lora_weights(lora.parent, weight_name=lora.name)
    return pipeline


def generate(pipeline: StableDiffusionPipeline, texts: list[str], seeds: list[int]) -> list[Image.Image]:
    call: Any = pipeline
    images: list[Image.Image] = []
    for start in range(0, len(texts), BATCH):
        generators = [torch.Generator().manual_seed(seed) for seed in seeds[start : start + BATCH]]
        images += call(
            texts[start : start + BATCH],
            num_inference_steps=STEPS,
            guidance_scale=GUIDANCE,
            generator=generators,
        ).images
    return images


def prompts() -> list[dict[str, Any]]:
    """Return the gate's own prompts: each has an `id`, a `text` and `tags`."""
    read: list[dict[str, Any]] = yaml.safe_load((MINIATURE / "prompts.yaml").read_text())["prompts"]
    return read


def as_person(text: str) -> str:
    """Return the prompt in words that the base model and the evaluators know."""
    return text.replace("sks person", "person")
