"""Time the proof of a LoRA as a share of one image of 20 steps on the same base.

python benchmarks/proof.py [--dtype float32]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from lora_checks.diffusion import apply, proof
from lora_checks.lora.file import inspect

ROOT = Path(__file__).parents[1]
MINIATURE = ROOT / "examples" / "miniature"
STEPS = 20


def load(folder: Path, dtype: str) -> Any:
    pipe = diffusers.DiffusionPipeline.from_pretrained(folder, torch_dtype=getattr(torch, dtype))
    pipe.set_progress_bar_config(disable=True)
    return pipe


def seconds(work: Callable[[], Any], times: int = 3) -> float:
    """Return the best of several runs; the machine may be busy with other things."""
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        spent.append(time.perf_counter() - start)
    return min(spent)


def measure(name: str, folder: Path, lora: Path, side: int, dtype: str) -> None:
    pipe = load(folder, dtype)
    adapter = apply.load(pipe, inspect(lora, "lora"), "lora")
    apply.activate(pipe, {"lora": 1.0})
    proven = proof.prove(pipe, adapter, 1.0)
    proving = seconds(lambda: proof.prove(pipe, adapter, 1.0))
    image = seconds(
        lambda: pipe("a photo", height=side, width=side, num_inference_steps=STEPS, output_type="np")
    )
    effect = ", ".join(f"{part} {value:.2f}" for part, value in proven.effect.items())
    print(f"{name:13} {proven.layers:4} layers: proof {proving:5.2f} s, image {image:5.2f} s, ratio", end=" ")
    print(
        f"{proving / image:4.2f}; worst layer error {proven.worst_layer_error:.0e}; effect {effect}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16", "float16"))
    dtype = parser.parse_args().dtype
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    sys.path.insert(0, str(ROOT / "tests"))
    import families
    import kinds

    measure("the miniature", MINIATURE / "pipeline", MINIATURE / "loras" / "good.safetensors", 64, dtype)
    with tempfile.TemporaryDirectory() as name:
        for family in families.FAMILIES:
            folder = families.family(family, Path(name))
            lora = kinds.build(
                "kohya LoRA, all layers", load(folder, "float32"), Path(name) / "lora.safetensors"
            )
            measure(family, folder, lora, 32, dtype)


if __name__ == "__main__":
    main()
