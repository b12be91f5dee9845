"""Train the ladder: LoRAs of known quality, made with peft and diffusers as users make them.

python train_loras.py              # all that are missing, about 15 minutes on two cores
python train_loras.py good overfit # only these, again
"""

# mypy: disable-error-code="attr-defined, no-untyped-call"
# (diffusers types neither its models nor its pipelines)

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from common import LORA_DIR, MINIATURE, PIPELINE_DIR, RUNS, to_tensor
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.optimization import get_scheduler
from peft import LoraConfig, get_peft_model_state_dict
from PIL import Image
from torch.nn import functional
from train_unet import encode_text, frozen_parts

BATCH = 8
RANK = 4
TARGETS = [
    "to_q",
    "to_k",
    "to_v",
    "to_out.0",
    "ff.net.0.proj",
    "ff.net.2",
    "proj_in",
    "proj_out",
    "conv1",
    "conv2",
]
SEED = 7


@dataclass(frozen=True)
class Recipe:
    """The settings that differ between the LoRAs; everything else is the same for all.

    every: train only on every n-th drawing. any_caption: pair each drawing with a random caption, so that the
    prompt means nothing. stranger: learn another person under the same trigger.
    """

    steps: int
    learning_rate: float
    every: int = 1
    any_caption: bool = False
    empty_captions: float = 0.0
    stranger: bool = False
    save_at: tuple[int, ...] = ()
    schedule: str = "cosine"


RECIPES = {
    "good": Recipe(steps=800, learning_rate=4e-3),
    "underfit": Recipe(steps=15, learning_rate=3e-4),
    "overfit": Recipe(steps=800, learning_rate=2e-3, every=8, any_caption=True, empty_captions=0.1),
    "overcooked": Recipe(steps=150, learning_rate=3e-2),
    "wrong-identity": Recipe(steps=800, learning_rate=4e-3, stranger=True),
    "untrained": Recipe(steps=0, learning_rate=4e-3),
    "run": Recipe(
        steps=600,
        learning_rate=2e-3,
        schedule="constant_with_warmup",
        save_at=(25, 50, 100, 200, 300, 600),
    ),
}


def add_lora(unet: UNet2DConditionModel) -> None:
    torch.manual_seed(SEED)
    unet.requires_grad_(False)
    unet.add_adapter(
        LoraConfig(r=RANK, lora_alpha=RANK, init_lora_weights="gaussian", target_modules=TARGETS)
    )


def save(unet: UNet2DConditionModel, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    StableDiffusionPipeline.save_lora_weights(
        path.parent,
        unet_lora_layers={key: value.half() for key, value in get_peft_model_state_dict(unet).items()},
        weight_name=path.name,
        unet_lora_adapter_metadata=unet.peft_config["default"].to_dict(),
    )


@torch.no_grad()
def training_set(folder: Path, recipe: Recipe, vae: AutoencoderKL) -> tuple[torch.Tensor, list[str]]:
    """Return latents and captions of the person's drawings."""
    files = sorted(folder.glob("*.png"))
    captions = [file.with_suffix(".txt").read_text().strip() for file in files]
    images = to_tensor([Image.open(file) for file in files[:: recipe.every]])
    return vae.encode(images).latent_dist.mode() * vae.config.scaling_factor, captions


@dataclass(frozen=True)
class Batch:
    latents: torch.Tensor
    texts: list[str]
    noise: torch.Tensor
    timesteps: torch.Tensor


def batches(recipe: Recipe, vae: AutoencoderKL) -> Iterator[Batch]:
    folder = RUNS / "stranger" if recipe.stranger else MINIATURE / "train"
    latents, captions = training_set(folder, recipe, vae)
    rng, generator = np.random.default_rng(SEED), torch.Generator().manual_seed(SEED)
    while True:
        shown = rng.integers(len(latents), size=BATCH)
        told = rng.integers(len(captions), size=BATCH) if recipe.any_caption else shown
        yield Batch(
            latents=latents[shown],
            texts=["" if rng.random() < recipe.empty_captions else captions[i] for i in told],
            noise=torch.randn(latents[shown].shape, generator=generator),
            timesteps=torch.randint(0, 1000, (BATCH,), generator=generator),
        )


def train(name: str, recipe: Recipe) -> None:
    tokenizer, text_encoder, vae = frozen_parts()
    unet = UNet2DConditionModel.from_pretrained(PIPELINE_DIR / "unet", dtype=torch.float32)
    scheduler = DDIMScheduler.from_pretrained(PIPELINE_DIR / "scheduler")
    add_lora(unet)
    parameters = [p for p in unet.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.learning_rate)
    schedule = get_scheduler(recipe.schedule, optimizer, num_warmup_steps=10, num_training_steps=recipe.steps)
    began, losses = time.time(), [0.0]
    for step, batch in zip(range(1, recipe.steps + 1), batches(recipe, vae), strict=False):
        noisy = scheduler.add_noise(batch.latents, batch.noise, batch.timesteps)
        target = scheduler.get_velocity(batch.latents, batch.noise, batch.timesteps)
        text = encode_text(tokenizer, text_encoder, batch.texts)
        loss = functional.mse_loss(unet(noisy, batch.timesteps, text).sample, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step in recipe.save_at:
            save(unet, LORA_DIR / name / f"step-{step:04}.safetensors")
    if not recipe.save_at:
        save(unet, LORA_DIR / f"{name}.safetensors")
    trained = sum(p.numel() for p in parameters)
    print(
        f"{name}: {recipe.steps} steps, {trained} parameters, loss {np.mean(losses[-50:]):.4f}, "
        f"{time.time() - began:.0f} s",
        flush=True,
    )


def exists(name: str) -> bool:
    last = RECIPES[name].save_at
    return (LORA_DIR / (f"{name}/step-{last[-1]:04}" if last else name)).with_suffix(".safetensors").exists()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*RECIPES, []], help="these only, even if they exist")
    for name in parser.parse_args().names or [name for name in RECIPES if not exists(name)]:
        train(name, RECIPES[name])


if __name__ == "__main__":
    main()
