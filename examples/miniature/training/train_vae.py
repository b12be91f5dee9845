"""The autoencoder of the miniature: 64x64 RGB to 16x16x4 latents and back.

python train_vae.py            # about 9 minutes on one core; continues where it was killed
python train_vae.py --polish   # then the decoder alone, 8 more minutes; the latents stay, so a UNet
                               # can be trained on them meanwhile
"""

# mypy: disable-error-code="attr-defined, no-untyped-call"
# (diffusers types neither its models nor its pipelines)

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from common import HELD_OUT, PIPELINE_DIR, RUNS, TRAINING, drawings, sample_pairs, save_checkpoint
from diffusers import AutoencoderKL
from diffusers.optimization import get_cosine_schedule_with_warmup
from torch.nn import functional

BATCH = 8
KL_WEIGHT = 1e-4


def new_vae() -> AutoencoderKL:
    return AutoencoderKL(
        sample_size=64,
        block_out_channels=(16, 32, 64),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=4,
        norm_num_groups=8,
        mid_block_add_attention=False,
    )


def edges(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return images.diff(dim=2), images.diff(dim=3)


def reconstruction_loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """L1 on pixels and on edges: plain L1 leaves glasses and teeth blurred for long."""
    across, down = (
        functional.l1_loss(ours, theirs) for ours, theirs in zip(edges(output), edges(target), strict=True)
    )
    return functional.l1_loss(output, target) + 0.5 * (across + down)


def freeze_encoder(vae: AutoencoderKL) -> None:
    vae.encoder.requires_grad_(False)
    vae.quant_conv.requires_grad_(False)


def train(vae: AutoencoderKL, steps: int, learning_rate: float, stream: int, checkpoint: Path) -> None:
    parameters = [p for p in vae.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, betas=(0.9, 0.99), weight_decay=1e-4)
    schedule = get_cosine_schedule_with_warmup(optimizer, 100, steps)
    start = 0
    if checkpoint.exists():
        state = torch.load(checkpoint)
        vae.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        start = state["step"]
    began = time.time()
    for step, images in zip(range(start + 1, steps + 1), batches(stream, start), strict=False):
        posterior = vae.encode(images).latent_dist
        loss = reconstruction_loss(vae.decode(posterior.sample()).sample, images)
        loss = loss + KL_WEIGHT * posterior.kl().mean() / posterior.mean[0].numel()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        if step % 200 == 0 or step == steps:
            print(
                f"step {step}/{steps} loss {loss.item():.4f} psnr {psnr(vae, 64):.2f} dB "
                f"{time.time() - began:.0f} s",
                flush=True,
            )
            save_checkpoint(
                checkpoint,
                model=vae.state_dict(),
                optimizer=optimizer.state_dict(),
                schedule=schedule.state_dict(),
                step=step,
            )


def batches(stream: int, start: int) -> Iterator[torch.Tensor]:
    step = start
    while True:
        yield drawings(sample_pairs(np.random.default_rng([TRAINING, stream, step]), BATCH))
        step += 1


@torch.no_grad()
def psnr(vae: AutoencoderKL, count: int = 256) -> float:
    """Mean PSNR in dB over held-out drawings, peak to peak range 1."""
    images = drawings(sample_pairs(np.random.default_rng([HELD_OUT, 1]), count))
    decoded = vae.decode(vae.encode(images).latent_dist.mode()).sample.clamp(-1, 1)
    error = ((decoded - images) / 2).square().flatten(1).mean(1)
    return float((-10 * error.log10()).mean())


@torch.no_grad()
def set_scaling(vae: AutoencoderKL) -> None:
    """Latents of unit standard deviation, as diffusion expects."""
    images = drawings(sample_pairs(np.random.default_rng([TRAINING, 2]), 256))
    deviation = vae.encode(images).latent_dist.sample().std().item()
    vae.register_to_config(scaling_factor=round(1 / deviation, 4))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--polish", action="store_true")
    torch.manual_seed(0)
    if parser.parse_args().polish:
        vae = AutoencoderKL.from_pretrained(PIPELINE_DIR / "vae", dtype=torch.float32)
        freeze_encoder(vae)
        train(vae, steps=3000, learning_rate=1.5e-3, stream=6, checkpoint=RUNS / "vae-decoder.pt")
    else:
        vae = new_vae()
        train(vae, steps=2100, learning_rate=2e-3, stream=1, checkpoint=RUNS / "vae.pt")
        set_scaling(vae)
    print(f"held-out PSNR {psnr(vae):.2f} dB")
    vae.register_to_config(_name_or_path="")  # or the path on this machine is written into the file
    vae.half().save_pretrained(PIPELINE_DIR / "vae")


if __name__ == "__main__":
    main()
