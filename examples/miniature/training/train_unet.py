"""The UNet of the miniature, trained on latents of drawings with the frozen text tower of its CLIP.

    python train_unet.py                                    # continues where it was killed
    OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 train_unet.py

The second is the faster one on two cores (an hour): in layers this small two threads wait for each other.

Needs `train_clip.py` and `train_vae.py` to have finished. Writes the `StableDiffusionPipeline` directory
every `--export-every` steps and at the end.
"""

# mypy: disable-error-code="attr-defined, no-untyped-call"
# (diffusers types neither its models nor its pipelines)

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import PIPELINE_DIR, RUNS, TRAINING, drawings, sample_pairs, save_checkpoint
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.optimization import get_cosine_schedule_with_warmup
from diffusers.training_utils import EMAModel
from draw import caption
from torch import distributed
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel
from transformers import CLIPTextModel, CLIPTokenizer

BATCH = 32
LEARNING_RATE = 1.2e-3
EMPTY_CAPTIONS = 0.1
CAPTIONS_PER_DRAWING = 3
CHECKPOINT = RUNS / "unet.pt"
LATENTS = RUNS / "latents.pt"


def new_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        block_out_channels=(48, 96, 128),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=16,
        attention_head_dim=4,
        cross_attention_dim=128,
    )


def new_scheduler() -> DDIMScheduler:
    """Zero terminal SNR, v-prediction: the picture's mean colour is learned, too (arXiv:2305.08891)."""
    return DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
    )


def frozen_parts() -> tuple[CLIPTokenizer, CLIPTextModel, AutoencoderKL]:
    text_encoder = CLIPTextModel.from_pretrained(PIPELINE_DIR / "text_encoder", dtype=torch.float32).eval()
    vae = AutoencoderKL.from_pretrained(PIPELINE_DIR / "vae", dtype=torch.float32).eval()
    return CLIPTokenizer.from_pretrained(PIPELINE_DIR / "tokenizer"), text_encoder, vae


@torch.no_grad()
def encode_text(tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel, texts: list[str]) -> torch.Tensor:
    encoded = tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt")
    hidden: torch.Tensor = text_encoder(encoded.input_ids).last_hidden_state
    return hidden


@torch.no_grad()
def latents_and_captions(vae: AutoencoderKL, count: int) -> tuple[torch.Tensor, list[list[str]]]:
    """Scaled latents (N, 4, 16, 16) of `count` drawings, each with a few captions; made once."""
    if LATENTS.exists():
        stored = torch.load(LATENTS)
        return stored["latents"], stored["captions"]
    latents, captions = [], []
    for chunk in range(count // 64):
        rng = np.random.default_rng([TRAINING, 4, chunk])
        pairs = sample_pairs(rng, 64)
        captions += [
            [caption(identity, scene, rng) for _ in range(CAPTIONS_PER_DRAWING)] for identity, scene in pairs
        ]
        latents.append(vae.encode(drawings(pairs)).latent_dist.mode() * vae.config.scaling_factor)
    save_checkpoint(LATENTS, latents=torch.cat(latents), captions=captions)
    return torch.cat(latents), captions


def training_texts(captions: list[list[str]], chosen: np.ndarray, rng: np.random.Generator) -> list[str]:
    texts = [captions[i][int(rng.integers(CAPTIONS_PER_DRAWING))] for i in chosen]
    return ["" if rng.random() < EMPTY_CAPTIONS else text for text in texts]


def diffusion_loss(
    unet: Any,  # diffusers does not say that its models can be called
    scheduler: DDIMScheduler,
    latents: torch.Tensor,
    text: torch.Tensor,
    generator: torch.Generator,
) -> torch.Tensor:
    noise = torch.randn(latents.shape, generator=generator)
    timesteps = torch.randint(0, scheduler.config.num_train_timesteps, (len(latents),), generator=generator)
    noisy = scheduler.add_noise(latents, noise, timesteps)
    target = scheduler.get_velocity(latents, noise, timesteps)
    return functional.mse_loss(unet(noisy, timesteps, text).sample, target)


def joined_processes() -> tuple[int, int]:
    """The number of this process among those that torchrun started, and how many there are."""
    if "RANK" not in os.environ:
        return 0, 1
    distributed.init_process_group("gloo")
    return distributed.get_rank(), distributed.get_world_size()


def train(steps: int, drawing_count: int, export_every: int, export_to: Path) -> None:
    torch.manual_seed(0)
    tokenizer, text_encoder, vae = frozen_parts()
    all_latents, captions = latents_and_captions(vae, drawing_count)
    scheduler, unet = new_scheduler(), new_unet()
    ema = EMAModel(unet.parameters(), decay=0.999, use_ema_warmup=True, inv_gamma=1.0, power=0.75)
    optimizer = torch.optim.AdamW(
        unet.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.99), weight_decay=1e-2, fused=True
    )
    schedule = get_cosine_schedule_with_warmup(optimizer, 200, steps)
    start = 0
    if CHECKPOINT.exists():
        state = torch.load(CHECKPOINT)
        unet.load_state_dict(state["model"])
        ema.load_state_dict(state["ema"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        start = state["step"]
    rank, processes = joined_processes()
    model = DistributedDataParallel(unet) if processes > 1 else unet
    began, losses = time.time(), []
    for step in range(start, steps):
        rng = np.random.default_rng([TRAINING, 5, step, rank])
        generator = torch.Generator().manual_seed(step * processes + rank)
        chosen = rng.integers(len(all_latents), size=BATCH // processes)
        text = encode_text(tokenizer, text_encoder, training_texts(captions, chosen, rng))
        loss = diffusion_loss(model, scheduler, all_latents[chosen], text, generator)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        ema.step(unet.parameters())
        losses.append(loss.item())
        if rank > 0:
            continue
        if (step + 1) % 100 == 0 or step + 1 == steps:
            print(
                f"step {step + 1}/{steps} loss {np.mean(losses[-100:]):.4f} {time.time() - began:.0f} s",
                flush=True,
            )
            save_checkpoint(
                CHECKPOINT,
                model=unet.state_dict(),
                ema=ema.state_dict(),
                optimizer=optimizer.state_dict(),
                schedule=schedule.state_dict(),
                step=step + 1,
            )
        if (step + 1) % export_every == 0 or step + 1 == steps:
            export(unet, ema, export_to)


def export(unet: UNet2DConditionModel, ema: EMAModel, path: Path) -> None:
    """The averaged weights as a pipeline directory, stored in half precision."""
    ema.store(unet.parameters())
    ema.copy_to(unet.parameters())
    averaged = new_unet()
    averaged.load_state_dict(unet.state_dict())
    ema.restore(unet.parameters())
    tokenizer, text_encoder, vae = frozen_parts()
    vae.register_to_config(_name_or_path="")  # or the path on this machine is written into the file
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=averaged,
        scheduler=new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.to(dtype=torch.float16).save_pretrained(path)
    # transformers computes in the precision it finds, unlike diffusers, unless the config says otherwise.
    text_encoder.config.dtype = torch.float32
    text_encoder.config.save_pretrained(path / "text_encoder")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=4600)
    parser.add_argument("--drawings", type=int, default=24576)
    parser.add_argument("--export-every", type=int, default=200)
    parser.add_argument("--export-to", type=Path, default=PIPELINE_DIR)
    options = parser.parse_args()
    train(options.steps, options.drawings, options.export_every, options.export_to)


if __name__ == "__main__":
    main()
