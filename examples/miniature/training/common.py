"""Share the paths of the training scripts, and drawings as batches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from draw import Identity, Scene, draw, sample_identity, sample_scene
from PIL import Image

HERE = Path(__file__).resolve().parent
MINIATURE = HERE.parent
RUNS = HERE / "runs"
CLIP_DIR = MINIATURE / "evaluators" / "clip"
PIPELINE_DIR = MINIATURE / "pipeline"
LORA_DIR = MINIATURE / "loras"

TRAINING, HELD_OUT = 0, 1
"""First number of every drawing seed; it keeps held-out drawings out of training."""


def sample_pairs(rng: np.random.Generator, count: int) -> list[tuple[Identity, Scene]]:
    return [(sample_identity(rng), sample_scene(rng)) for _ in range(count)]


def to_tensor(images: Sequence[Image.Image]) -> torch.Tensor:
    """(N, 3, 64, 64) float32 in [-1, 1]."""
    pixels = torch.from_numpy(np.stack([np.asarray(image) for image in images]))
    return pixels.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


def drawings(pairs: list[tuple[Identity, Scene]]) -> torch.Tensor:
    return to_tensor([draw(identity, scene) for identity, scene in pairs])


def save_checkpoint(path: Path, **state: object) -> None:
    """Write atomically, so that a killed run never leaves half a checkpoint."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)
