"""A training run that goes on too long, with a checkpoint every so often: for `benchmarks/sweep.py`.

python train_sweep.py /tmp/sweep    # continues where it was killed; about 10 minutes on one core

Six drawings under one caption, as people train with an instance prompt alone: the LoRA learns the person, and then
the pictures. Twelve checkpoints and the state to resume from are written to the given folder.
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
from train_loras import BATCH, SEED, Recipe, add_lora, save, training_set
from train_unet import encode_text, frozen_parts

CAPTION = "photo of a sks person"
STEPS = (15, 30, 50, 75, 100, 150, 200, 300, 450, 700, 1000, 1500)
WARM_UP = 10
EMPTY_CAPTIONS = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=4, help="train on every n-th drawing (default: 4)")
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate (default: 2e-3)")
    parser.add_argument("--captions", choices=("one", "own"), default="one", help="the same for all, or theirs")
    options = parser.parse_args()
    train(options.folder, Recipe(STEPS[-1], options.rate, every=options.every), options.captions == "own")


def train(folder: Path, recipe: Recipe, own_captions: bool) -> None:
    """Step i draws its batch from (seed, i), so that a resumed run sees the same batches."""
    tokenizer, text_encoder, vae = frozen_parts()
    unet = UNet2DConditionModel.from_pretrained(PIPELINE_DIR / "unet", dtype=torch.float32)
    scheduler = DDIMScheduler.from_pretrained(PIPELINE_DIR / "scheduler")
    add_lora(unet)
    weights = {name: value for name, value in unet.named_parameters() if value.requires_grad}
    optimizer = torch.optim.AdamW(weights.values(), lr=recipe.learning_rate)
    latents, captions = training_set(MINIATURE / "train", recipe, vae)
    texts = captions[:: recipe.every] if own_captions else [CAPTION] * len(latents)
    state, done, began = folder / "state.pt", 0, time.time()
    if state.exists():
        saved = torch.load(state, weights_only=True)
        done = saved["step"]
        unet.load_state_dict(saved["weights"], strict=False)
        optimizer.load_state_dict(saved["optimizer"])
    for step in range(done + 1, STEPS[-1] + 1):
        rng, generator = np.random.default_rng([SEED, step]), torch.Generator().manual_seed(SEED * 10**6 + step)
        shown = rng.integers(len(latents), size=BATCH)
        told = ["" if rng.random() < EMPTY_CAPTIONS else texts[i] for i in shown]
        noise = torch.randn(latents[shown].shape, generator=generator)
        times = torch.randint(0, 1000, (BATCH,), generator=generator)
        target = scheduler.get_velocity(latents[shown], noise, times)
        noisy = scheduler.add_noise(latents[shown], noise, times)
        text = encode_text(tokenizer, text_encoder, told)
        loss = functional.mse_loss(unet(noisy, times, text).sample, target)
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * min(1.0, step / WARM_UP)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in STEPS:
            save(unet, folder / f"step-{step:06}.safetensors")
            save_checkpoint(state, step=step, weights=weights, optimizer=optimizer.state_dict())
            print(f"step {step}, loss {loss.item():.4f}, {time.time() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
