"""Time images of the miniature in batches against one pipeline call per image: same pixels, less time.

python benchmarks/generation.py [--images 32] [--batch 8]
"""

from __future__ import annotations

import argparse
import io
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lora_checks.core import device
from lora_checks.diffusion import base, generate
from lora_checks.images import plan
from lora_checks.policy import reading

MINIATURE = Path(__file__).parents[1] / "examples" / "miniature"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--batch", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(1)

    policy = reading.load_policy(MINIATURE)
    resolved = base.resolve(policy.prompts.base)
    machine = plan.Machine(resolved.identity, "cpu", "float32", device.library_versions())
    specs = plan.baseline(policy.prompts, machine)[: options.images]
    studio = generate.Studio(resolved, policy.prompts, "cpu", "float32")
    list(studio.render(specs[:1], None))  # loading is the same for both

    def ours(size: int) -> tuple[list[np.ndarray], float]:
        start = time.perf_counter()
        batches = [specs[i : i + size] for i in range(0, len(specs), size)]
        pngs = [one.png() for batch in batches for one in studio.render(batch, None)]
        seconds = time.perf_counter() - start
        return [np.asarray(Image.open(io.BytesIO(png)), np.int16) for png in pngs], seconds

    single, slow = ours(1)
    batched, fast = ours(options.batch)
    apart = max(int(np.abs(a - b).max()) for a, b in zip(single, batched, strict=True))
    print(f"{len(specs)} images one call each   {slow:6.1f} s")
    print(f"{len(specs)} images in batches of {options.batch}  {fast:6.1f} s")
    print(f"ratio {slow / fast:.2f}x, no pixel more than {apart}/255 apart")


if __name__ == "__main__":
    main()
