"""Time the metrics of the usual script on one core: LPIPS over pairs in a loop, pytorch-fid over two folders.

python benchmarks/metric_script.py [--count 50] [--size 512] [--quick]

Ours measures the same files through the gate's own store: cold, with new images against references measured
before, and with nothing changed. The weights are random; the networks are the real ones.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from metric_peers import (  # first: it fixes the threads
    alex_file,
    in_range,
    inception_file,
    say,
    their_inception,
    their_lpips,
    write_pictures,
)

# isort: split
import numpy as np
import onnxruntime  # noqa: F401  # neither side pays for imports
import scipy.linalg  # noqa: F401
import torch
from PIL import Image
from pytorch_fid import fid_score

from lora_checks import metrics, networks
from lora_checks.core.records import Base, PromptSet, Sampler
from lora_checks.core.store import Store
from lora_checks.images.decoding import decode, list_images
from lora_checks.images.sets import image_set
from lora_checks.judge.measure import measure
from lora_checks.judge.task import Task

T = TypeVar("T")
PROMPTS = PromptSet(Base(""), Sampler(1, 1, 512, 512), (), (0,), trigger="", class_words="")


def script(generated: Path, references: Path, alex: Path, inception: Path) -> tuple[float, float]:
    """Return the mean LPIPS of the sorted pairs, and FID."""
    module = their_lpips(alex)
    distances = []
    with torch.inference_mode():
        for a, b in zip(sorted(generated.iterdir()), sorted(references.iterdir()), strict=True):
            x, y = (np.array(Image.open(path).convert("RGB")) for path in (a, b))
            distances.append(float(module(in_range(x), in_range(y))))
    quiet = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with their_inception(inception), quiet[0], quiet[1]:
        folders = [str(generated), str(references)]
        fid = fid_score.calculate_fid_given_paths(folders, 50, "cpu", 2048, num_workers=0)
    return float(np.mean(distances)), float(fid)


def gate(generated: Path, references: Path, alex: Path, inception: Path, root: Path) -> tuple[float, float]:
    """Return the same numbers through store and measurement, including file hashing and intervals."""
    store = Store(root)
    images, others = image_set("candidate", generated), image_set("references", references)
    lpips = networks.build("lpips", {"net": "alex", "trunk_file": str(alex)}, "cpu")
    pool3 = networks.build("inception", {"file": str(inception)}, "cpu", cache=root / "networks")
    pairs = Task(metrics.get("lpips"), images, others, pairing="sorted")
    sets = Task(metrics.get("fid"), images, others)
    return (
        measure(pairs, lpips, PROMPTS, store).value,
        measure(sets, pool3, PROMPTS, store).value,
    )


@dataclass(frozen=True, slots=True)
class Seconds:
    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.wall:6.2f} s   {self.cpu:6.2f} s"


def timed(run: Callable[[], T]) -> tuple[T, Seconds]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = run()
    return result, Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def forward(folder: Path, alex: Path, inception: Path) -> tuple[float, float]:
    """Return the CPU seconds that our LPIPS and Inception alone take for the pictures, decoded before."""
    pixels = [decode(path) for path in list_images(folder)]
    lpips = networks.build("lpips", {"net": "alex", "trunk_file": str(alex)}, "cpu")
    pool3 = networks.build("inception", {"file": str(inception)}, "cpu")
    inputs = [pool3._input(image) for image in pixels]
    lpips._made(pixels[0]), pool3._run(inputs[0])  # load both before the clock starts
    with torch.inference_mode():
        of_lpips = timed(lambda: [lpips._layers(image) for image in pixels])[1]
    return of_lpips.cpu, timed(lambda: [pool3._run(x) for x in inputs])[1].cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--quick", action="store_true", help="5 pictures")
    options = parser.parse_args()
    count = 5 if options.quick else options.count
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = alex_file(folder), inception_file(folder)
        sets = [
            write_pictures(folder / part, count, options.size, seed)
            for seed, part in enumerate(("first", "second", "references"))
        ]
        first, second, references = sets
        say(f"LPIPS alex over {count} pairs and FID {count} + {count} at {options.size} pixels, one core")
        expected, theirs = timed(lambda: script(first, references, *weights))
        say(f"  {'':21} {'wall':>7}   {'CPU':>7}")
        say(f"  the usual script      {theirs}   LPIPS {expected[0]:.6f}  FID {expected[1]:.4f}")
        alone = forward(first, *weights)
        passes = {"cold": (2, 2), "references measured": (2, 1), "nothing changed": (0, 0)}
        for title, generated in zip(passes, (first, second, second), strict=True):
            run = partial(gate, generated, references, *weights, folder / "store")
            found, mine = timed(run)
            own = sum(count * times for times, count in zip(passes[title], alone, strict=True))
            beside = f", {mine.cpu / own:.2f} x the networks' own {own:.1f} s" if own else ""
            say(
                f"  {title:21} {mine}   LPIPS {found[0]:.6f}  FID {found[1]:.4f}   "
                f"{theirs.wall / mine.wall:.1f} times faster, CPU {theirs.cpu / mine.cpu:.1f}{beside}"
            )


if __name__ == "__main__":
    main()
