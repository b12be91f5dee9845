"""Measure peak memory, load, proof and image of a LoRA on a random base of SD 1.5's size.

python benchmarks/sd15_size.py [--dtype bfloat16] [--algorithm LoKr] [--side 256] [--steps 2]

Each algorithm, or the one named, runs in a process of its own. LoRAs and whole differences (as large as the
layers themselves) cover the attention layers only; the other algorithms cover all linear layers and
convolutions.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from sd15_loras import ALGORITHMS, write_lora
from transformers import AutoTokenizer, CLIPTextConfig, CLIPTextModel

from lora_checks.diffusion import apply, proof
from lora_checks.lora.file import inspect

MINIATURE = Path(__file__).parents[1] / "examples" / "miniature"
PROMPT = "photo of a person"


def peak() -> float:
    """Return this process's peak so far, in MB; Linux's ru_maxrss starts from that of the parent process."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def filled(module: Any, seed: int) -> Any:
    """Draw every weight in place, so that no second copy of the largest is ever made."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if weight.ndim > 1:
                weight.normal_(0, weight[0].numel() ** -0.5, generator=generator)
            else:
                weight.fill_(1.0 if name.endswith("weight") else 0.0)
    return module.eval()


def empty(build: Callable[[], Any], dtype: torch.dtype) -> Any:
    with torch.device("meta"), default_dtype(dtype):
        module = build()
    return module.to_empty(device="cpu")


def unet_15() -> UNet2DConditionModel:
    return UNet2DConditionModel(sample_size=64, cross_attention_dim=768)


def base(dtype: torch.dtype) -> Any:
    """Build the configuration of stable-diffusion-v1-5, with the miniature's tokenizer, padded to 77."""
    unet = empty(unet_15, dtype)
    vae = empty(
        lambda: AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
            latent_channels=4,
            sample_size=512,
        ),
        dtype,
    )
    text = CLIPTextConfig(
        hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12
    )
    with default_dtype(dtype):
        text_encoder = CLIPTextModel(text)
    tokenizer = AutoTokenizer.from_pretrained(MINIATURE / "pipeline" / "tokenizer")
    tokenizer.model_max_length = 77
    pipe = StableDiffusionPipeline(
        vae=filled(vae, 1),
        text_encoder=filled(text_encoder, 2),
        tokenizer=tokenizer,
        unet=filled(unet, 3),
        scheduler=DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            steps_offset=1,
            clip_sample=False,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def child(options: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    imports = peak()
    pipe = base(getattr(torch, options.dtype))
    weights = sum(
        value.numel() * value.element_size()
        for part in (pipe.unet, pipe.text_encoder, pipe.vae)
        for value in part.parameters()
    )
    say(f"{options.algorithm}, {options.dtype}: weights {weights / 2**20:.0f} MB, libraries {imports:.0f} MB")
    spent: list[tuple[str, float]] = []

    def timed(what: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        found = work()
        spent.append((what, time.perf_counter() - start))
        over = (peak() - imports) / (weights / 2**20)
        say(
            f"{what:8} {spent[-1][1]:7.1f} s, peak {peak():.0f} MB, without the libraries {over:.2f}x weights"
        )
        return found

    timed("base", lambda: None)
    lora = inspect(options.lora, "lora")
    adapter = timed("load", lambda: apply.load(pipe, lora, "lora"))
    apply.activate(pipe, {"lora": 1.0})
    proven = timed("proof", lambda: proof.prove(pipe, adapter, 1.0))
    say(
        f"{'':8} {proven.layers} layers, effect on the unet {proven.effect['unet']:.3f}, "
        f"worst layer error {proven.worst_layer_error:.1e}"
    )
    image = {"height": options.side, "width": options.side, "num_inference_steps": options.steps}
    timed(
        "image", lambda: pipe(PROMPT, output_type="np", generator=torch.Generator().manual_seed(0), **image)
    )
    say(f"{'':8} {options.side} x {options.side}, {options.steps} steps with guidance, and the VAE")


def say(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dtype", default="bfloat16", choices=("float32", "bfloat16", "float16"))
    parser.add_argument(
        "--algorithm", choices=ALGORITHMS, help="run one of them (default: all, one after the other)"
    )
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--lora", type=Path, help=argparse.SUPPRESS)  # of the child
    options = parser.parse_args()
    if options.lora:
        child(options)
        return
    given = ["--dtype", options.dtype, "--side", str(options.side), "--steps", str(options.steps)]
    with torch.device("meta"):
        unet = unet_15()
    for algorithm in [options.algorithm] if options.algorithm else ALGORITHMS:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "lora.safetensors"
            write_lora(unet, path, algorithm)
            command = [sys.executable, __file__, "--lora", str(path), "--algorithm", algorithm, *given]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
