"""Measure time and memory of the verdict on each file of the corpus, and on a good LoRA of 80 MB.

python benchmarks/refusals.py [--repeat 5] [--all]

Times are CPU milliseconds of one core: the least of several repetitions in one process, with imports done and
the file in the system's cache. The peak is that of one more run, under tracemalloc. It prints the files above
20 ms or 10 MB.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from corpus import ENTRIES
from safetensors.numpy import save_file

from lora_checks.core.errors import LoraFileError
from lora_checks.lora.file import inspect

RANK = 64
WIDTHS = {640: 10, 1280: 24}  # width -> number of blocks in SDXL's UNet


def good_lora(path: Path) -> None:
    """Write a LoRA in kohya's layout, float16, rank 64, for the attention of SDXL's UNet: about 80 MB."""
    rng = np.random.default_rng(0)
    tensors = {}
    for block in range(sum(WIDTHS.values())):
        width = 640 if block < WIDTHS[640] else 1280
        for attention in ("attn1", "attn2"):
            for part in ("to_q", "to_k", "to_v", "to_out_0"):
                inputs = 2048 if attention == "attn2" and part in ("to_k", "to_v") else width
                module = f"down_blocks_1_attentions_0_transformer_blocks_{block}_{attention}_{part}"
                name = f"lora_unet_{module}"
                tensors[f"{name}.lora_down.weight"] = rng.normal(0, 0.1, (RANK, inputs)).astype(np.float16)
                tensors[f"{name}.lora_up.weight"] = rng.normal(0, 0.1, (width, RANK)).astype(np.float16)
                tensors[f"{name}.alpha"] = np.array(32, np.float32)
    save_file(tensors, path, {"ss_network_dim": str(RANK)})


def verdict(path: Path) -> bool:
    try:
        inspect(path, "a")
    except LoraFileError:
        return False
    return True


def timed(path: Path, repeat: int) -> tuple[float, float]:
    """Return milliseconds and megabytes."""
    times = []
    for _ in range(repeat):
        start = time.process_time()
        verdict(path)
        times.append(time.process_time() - start)
    tracemalloc.start()
    verdict(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return min(times) * 1000, peak / 1e6


def measure(build: Callable[[Path], Path], repeat: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        return timed(build(Path(folder)), repeat)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    found = {name: measure(entry.build, options.repeat) for name, entry in ENTRIES.items()}
    for name, (milliseconds, megabytes) in sorted(found.items(), key=lambda item: item[1]):
        if options.all or milliseconds > 20 or megabytes > 10:
            sys.stdout.write(f"{milliseconds:8.1f} ms {megabytes:6.1f} MB  {name}\n")
    times = sorted(milliseconds for milliseconds, _ in found.values())
    sys.stdout.write(
        f"{len(found)} files: median {times[len(times) // 2]:.1f} ms, "
        f"{sum(milliseconds < 100 for milliseconds in times)} below 100 ms, longest {times[-1]:.0f} ms, "
        f"most {max(megabytes for _, megabytes in found.values()):.0f} MB\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "good.safetensors"
        good_lora(path)
        assert verdict(path)
        milliseconds, megabytes = timed(path, options.repeat)
        size = path.stat().st_size / 1e6
    sys.stdout.write(f"a good LoRA of {size:.0f} MB: {milliseconds:.0f} ms, {megabytes:.1f} MB\n")


if __name__ == "__main__":
    main()
