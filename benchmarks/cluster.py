"""Simulate what a cluster does on machines that are not here, from unit times.

    python benchmarks/cluster.py                      # simulated, in seconds
    python benchmarks/cluster.py --units FOLDER       # measures the unit times of the miniature first

`--units` measures here what the simulation is made of.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cluster_model import HEAD, Simulation, Task, Units, line

ROOT = Path(__file__).parents[1]
MINIATURE = ROOT / "examples" / "miniature"
# FLUX.1 in bfloat16 on an H100 of 80 GB; docs/explanation/at-cluster-scale.md says where each figure is from.
FLUX = Units(
    base=60.0, networks=10.0, lora=2.0, proof=5.0, image=5.3, feature=0.1, put=0.04, get=0.03,
    hand_out=0.002, claim=0.0005, judge=0.5, image_mb=1.5, lora_mb=300.0,
)  # fmt: skip
REQUEST = 0.03  # seconds of one to a bucket; a claim is two of them, where a folder takes a lock
SIZES = (8, 64, 128, 256, 1000)
RULES: dict[str, dict[str, Any]] = {
    "the first in line": {},
    "a worker stays with its LoRA": {"stay": True},
    "and a block is claimed at once": {"stay": True, "at_once": True},
    "and 32 LoRAs are judged side by side": {"stay": True, "at_once": True, "judges": 32},
}


# Simulated


def simulated(units: Units, sizes: Sequence[int], loras: int, images: int) -> Iterator[str]:
    """Yield a table for each rule: a shared folder first, then a bucket."""
    for place, claim in (("a shared folder", units.claim), ("a bucket", 2 * REQUEST)):
        for name, rule in RULES.items():
            yield f"\n{place}: {name}\n\n{HEAD}"
            for gpus in sizes:
                task = Task(gpus, loras, images)
                yield line(Simulation(task, replace(units, claim=claim), **rule).run())


# Unit times of the miniature, here


def measured_units(folder: Path, images: int = 8, steps: int = 20) -> Units:
    """Time each piece of work of a gate on the miniature, in this process."""
    import numpy as np
    import torch
    from diffusers import StableDiffusionPipeline

    from lora_checks import networks
    from lora_checks.core.store import Store, read_bytes, to_npy
    from lora_checks.diffusion import apply
    from lora_checks.images.sets import image_set
    from lora_checks.lora.file import inspect
    from lora_checks.networks import features

    torch.set_num_threads(1)
    store, path = Store(folder / "store"), MINIATURE / "loras" / "good.safetensors"
    pipeline = MINIATURE / "pipeline"
    pipe, base = timed(lambda: StableDiffusionPipeline.from_pretrained(pipeline, torch_dtype=torch.float32))
    pipe.set_progress_bar_config(disable=True)
    _, lora = timed(lambda: apply.load(pipe, inspect(path, "lora"), "lora"))
    apply.activate(pipe, {"lora": 1.0})
    prompts = ["photo of a sks person in a red shirt"] * images
    with torch.no_grad():
        made, painting = timed(lambda: pipe(prompts, num_inference_steps=steps, height=64, width=64).images)
    for i, picture in enumerate(made):
        (folder / "pictures").mkdir(parents=True, exist_ok=True)
        picture.save(folder / "pictures" / f"{i}.png")
    pictures = image_set("candidate", folder / "pictures").images
    settings = {"root": str(MINIATURE / "evaluators" / "faces"), "pack": "miniature", "det_size": 64}
    network = networks.build("arcface", settings, "cpu")
    _, first = timed(lambda: features.image_features(pictures[:1], network, store))
    _, rest = timed(lambda: features.image_features(pictures[1:], network, store))
    entry, entries = to_npy(np.zeros(512, np.float32)), range(100)
    _, put = timed(lambda: [store.put(store.array("x", f"{i:064x}"), entry) for i in entries])
    _, get = timed(lambda: [read_bytes(store.array("x", f"{i:064x}")) for i in entries])
    _, claim = timed(lambda: claimed(store, entries))
    feature = rest / max(1, len(pictures) - 1)
    return Units(
        base=base, networks=max(0.0, first - feature), lora=lora, proof=2 * lora, image=painting / images,
        feature=feature, put=put / len(entries), get=get / len(entries), hand_out=0.0,
        claim=claim / len(entries), judge=0.2,
        image_mb=(folder / "pictures" / "0.png").stat().st_size / 1e6, lora_mb=path.stat().st_size / 1e6,
    )  # fmt: skip


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return what ``work`` returns, and its seconds."""
    began = time.perf_counter()
    found = work()
    return found, time.perf_counter() - began


def claimed(store: Any, entries: Sequence[int]) -> None:
    with ExitStack() as claims:
        for i in entries:
            store.claim(store.array("x", f"{i:064x}"), claims)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=Path, metavar="FOLDER", help="measure the unit times here")
    parser.add_argument("--tiny", action="store_true", help="smallest sizes, to see that it works")
    options = parser.parse_args()
    units = FLUX
    if options.units is not None:
        units = measured_units(options.units, **({"images": 2, "steps": 1} if options.tiny else {}))
        print(json.dumps(asdict(units), indent=1))
    tiny = options.tiny
    print("\n".join(simulated(units, (2, 4) if tiny else SIZES, 6 if tiny else 200, 8 if tiny else 64)))


if __name__ == "__main__":
    main()
