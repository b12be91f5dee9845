"""Expect what an image costs on a GPU where none was made yet: the base's arithmetic over the card's speed.

The arithmetic of a step is counted on the base's architecture without weights (`benchmarks/costs.py`), and a
card's speed is what its maker states for matrices in half precision, without sparsity. How much of it a
denoiser reaches is an assumption; after the first image the gate measures.
"""

from __future__ import annotations

from dataclasses import dataclass

from lora_checks.core.records import Sampler

REACHED = 0.4  # of a card's stated speed


@dataclass(frozen=True, slots=True)
class Step:
    """One forward pass of a denoiser for one image."""

    tflop: float  # 10^12 operations; a multiplication with its addition counts as two
    side: int  # pixels of the image's side


STEPS = {
    "StableDiffusionPipeline": Step(0.803, 512),
    "StableDiffusionXLPipeline": Step(6.76, 1024),
    "FluxPipeline": Step(74.4, 1024),
    "QwenImagePipeline": Step(70.6, 1024),
}
CARDS = {  # part of the name that CUDA gives -> TFLOPS, by the makers' data sheets; the first that fits
    "H200": 989,
    "H100": 989,
    "A100": 312,
    "L40S": 362,
    "L4": 121,
    "A10": 125,
    "T4": 65,
    "RTX 5090": 209,
    "RTX 4090": 165,
    "RTX 3090": 71,
}


def seconds(pipeline: str, card: str, sampler: Sampler) -> float | None:
    """Return what an image takes; None for a base or a card that is not known.

    Args:
        pipeline: Name of the base's pipeline class.
        card: The device's hardware class, such as "cuda NVIDIA A100-SXM4-80GB".
        sampler: Steps, size and guidance.
    """
    step = STEPS.get(pipeline)
    speed = next((tflops for name, tflops in CARDS.items() if name in card), None)
    if step is None or speed is None:
        return None
    larger = sampler.width * sampler.height / step.side**2
    return sampler.steps * passes(pipeline, sampler) * step.tflop * larger / (REACHED * speed)


def passes(pipeline: str, sampler: Sampler) -> int:
    """Return the forward passes of a step: with guidance the denoiser also runs on the negative prompt."""
    distilled = pipeline in ("FluxPipeline", "QwenImagePipeline")
    guidance = sampler.true_cfg_scale if distilled else sampler.guidance
    return 2 if guidance is not None and guidance > 1 else 1
