"""Train a run that goes wrong at a known step, in twelve checkpoints, for `benchmarks/sweep.py`.

python train_sweep.py /tmp/sweep    # continues where it was killed; about 4 minutes of one core

Until step 300 it sees what the LoRA `good` saw; after that, what `overfit` saw: three drawings under random
captions. So the LoRA first learns the person and then the pictures. The checkpoints and the state to resume
from are written to the given folder; `benchmarks/sweep.py` makes them if they are missing.
"""

# mypy: disable-error-code="attr-defined, no-untyped-call"
# (diffusers types neither its models nor its pipelines)

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from common import MINIATURE, PIPELINE_DIR, save_checkpoint
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch.nn import functional
from train_loras import BATCH, RECIPES, SEED, Recipe, add_lora, save, training_set
from train_unet import encode_text, frozen_parts

STEPS = (25, 50, 100, 150, 200, 300, 350, 400, 500, 600, 800, 1000)
TURN = 300  # the last step that sees all drawings
RATE, WARM_UP = 2e-3, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    train(parser.parse_args().folder)


def train(folder: Path) -> None:
    """Step i draws its batch from (seed, i), so that a resumed run sees the same batches."""
    tokenizer, text_encoder, vae = frozen_parts()
    unet = UNet2DConditionModel.from_pretrained(PIPELINE_DIR / "unet", dtype=torch.float32)
    scheduler = DDIMScheduler.from_pretrained(PIPELINE_DIR / "scheduler")
    add_lora(unet)
    weights = {name: value for name, value in unet.named_parameters() if value.requires_grad}
    optimizer = torch.optim.AdamW(weights.values(), lr=RATE)
    sets = {name: training_set(MINIATURE / "train", RECIPES[name], vae) for name in ("good", "overfit")}
    state, began = folder / "state.pt", time.time()
    done = resumed(state, unet, optimizer) if state.exists() else 0
    for step in range(done + 1, STEPS[-1] + 1):
        name = "good" if step <= TURN else "overfit"
        latents, texts, generator = batch(step, RECIPES[name], *sets[name])
        noise = torch.randn(latents.shape, generator=generator)
        times = torch.randint(0, 1000, (BATCH,), generator=generator)
        target = scheduler.get_velocity(latents, noise, times)
        noisy = scheduler.add_noise(latents, noise, times)
        text = encode_text(tokenizer, text_encoder, texts)
        loss = functional.mse_loss(unet(noisy, times, text).sample, target)
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, step / WARM_UP)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in STEPS:
            save(unet, folder / f"step-{step:06}.safetensors")
            save_checkpoint(state, step=step, weights=weights, optimizer=optimizer.state_dict())
            print(f"step {step}, loss {loss.item():.4f}, {time.time() - began:.0f} s", flush=True)


def batch(
    step: int, recipe: Recipe, latents: torch.Tensor, captions: list[str]
) -> tuple[torch.Tensor, list[str], torch.Generator]:
    """Return latents, their captions, and the source of their noise."""
    rng = np.random.default_rng([SEED, step])
    shown = rng.integers(len(latents), size=BATCH)
    told = rng.integers(len(captions), size=BATCH) if recipe.any_caption else shown
    texts = ["" if rng.random() < recipe.empty_captions else captions[i] for i in told]
    return latents[shown], texts, torch.Generator().manual_seed(SEED * 10**6 + step)


def resumed(state: Path, unet: UNet2DConditionModel, optimizer: torch.optim.Optimizer) -> int:
    """Return the step after which a killed run continues."""
    saved = torch.load(state, weights_only=True)
    unet.load_state_dict(saved["weights"], strict=False)
    optimizer.load_state_dict(saved["optimizer"])
    return int(saved["step"])


if __name__ == "__main__":
    main()
