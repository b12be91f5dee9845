"""The files that trainers write for today's transformers.

What one file can be is in `kinds`: every algorithm, on the older families. Here each trainer's own spelling
of the names meets each base; the names are diffusers' or, where trainers have the makers' model, its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import layouts
import torch
from kinds import AI_TOOLKIT, Kind, denoiser, kohya_lora, low_rank, lycoris, onetrainer_dora, write

TODAY = (
    *("SD3.5 large", "Chroma", "FLUX.2 dev", "FLUX.2 klein", "Z-Image", "Qwen-Image"),
    *("Krea 2", "HiDream", "Lumina2", "Anima"),
)
AB = low_rank(".lora_A.weight", ".lora_B.weight")
AB_ALPHA = low_rank(".lora_A.weight", ".lora_B.weight", alpha=".alpha")
DEFAULT = low_rank(".lora_A.default.weight", ".lora_B.default.weight")

KINDS: dict[str, Kind] = {
    "diffusers, OneTrainer DIFFUSERS": Kind(layouts.diffusers, AB, TODAY, denoiser),
    "ai-toolkit, ComfyUI, diffusion-pipe": Kind(
        layouts.comfyui, AB, TODAY, denoiser, torch.bfloat16, AI_TOOLKIT
    ),
    "kohya, musubi-tuner, OneTrainer KOHYA": Kind(layouts.kohya, kohya_lora, TODAY, denoiser),
    "OneTrainer COMFY": Kind(layouts.comfyui, AB_ALPHA, TODAY, denoiser),
    "OneTrainer ORIGINAL": Kind(layouts.original, AB_ALPHA, TODAY, denoiser),
    "OneTrainer LEGACY, flat": Kind(layouts.onetrainer, kohya_lora, TODAY, denoiser),
    "OneTrainer LEGACY": Kind(layouts.diffusers, kohya_lora, TODAY, denoiser),
    "OneTrainer DoRA": Kind(layouts.kohya, onetrainer_dora, TODAY, denoiser),
    "DiffSynth-Studio": Kind(layouts.own, DEFAULT, TODAY, denoiser),
    "SimpleTuner LyCORIS": Kind(layouts.own_wrapper, lycoris("lokr"), TODAY, denoiser),
    "ai-toolkit LoKr": Kind(layouts.comfyui, lycoris("lokr"), TODAY, denoiser, metadata=AI_TOOLKIT),
}
CELLS = [(base, kind) for base in TODAY for kind in KINDS]


def build(kind: str, pipe: Any, path: Path, seed: int = 0) -> Path:
    return write(KINDS[kind], pipe, path, torch.Generator().manual_seed(seed))
