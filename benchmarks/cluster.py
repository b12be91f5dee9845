"""Measure what two workers gain on this machine, and simulate a cluster of machines that are not here.

    python benchmarks/cluster.py                      # simulated, in seconds
    python benchmarks/cluster.py --units FOLDER       # measures the unit times of the miniature first
    python benchmarks/cluster.py --measure FOLDER     # real gates with one and two processes, minutes

`--units` measures here what the simulation is made of. `--measure` gates six LoRAs x 32 prompts of the
miniature, with one core for each process; it needs two quiet cores.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
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
REQUEST = (
    0.03  # seconds of one to a bucket; a claim of a block is two of them, where a folder locks each file
)
SIZES = (8, 64, 128, 256, 1000)
RULES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "without staying with a LoRA": {"stay": False},
    "if 32 LoRAs were judged side by side": {"judges": 32},
}


# Simulated


def simulated(units: Units, sizes: Sequence[int], loras: int, images: int) -> Iterator[str]:
    """Yield a table for each rule: a shared folder first, then a bucket."""
    places = (("a shared folder", units.claim, False), ("a bucket", 2 * REQUEST, True))
    for place, claim, at_once in places:
        for name, rule in RULES.items():
            yield f"\n{place}: {name}\n\n{HEAD}"
            for gpus in sizes:
                task = Task(gpus, loras, images)
                yield line(Simulation(task, replace(units, claim=claim), at_once=at_once, **rule).run())


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


# Real gates, here


def gate(folder: Path, loras: Sequence[Path], prompts: int, steps: int, *more: str) -> dict[str, float]:
    """Gate LoRAs with nothing stored; return the seconds to the first image, and from there to the end."""
    shutil.rmtree(folder, ignore_errors=True)
    policy = small(folder / "policy", prompts, steps)
    options = {"policy": policy, "store": folder / "store", "report": folder / "report", "device": "cpu"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest"]
    command += [f"--lora={path}" for path in loras]
    command += [f"--lora-{name}={value}" for name, value in options.items()]
    began, before = time.time(), resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *more], cwd=folder, env=environment, capture_output=True, text=True)
    ended, after = time.time(), resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 1):
        sys.exit(f"the gate ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    images = [path.stat().st_mtime for path in (folder / "store" / "images").rglob("*.png")]
    if len(images) != (len(loras) + 1) * prompts:
        sys.exit(f"{len(images)} images were made:\n{done.stdout}{done.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"images": len(images), "start": min(images) - began, "work": ended - min(images), "cpu": cpu}


def small(folder: Path, prompts: int, steps: int) -> Path:
    """Write the miniature's policy with fewer prompts and steps."""
    shutil.copytree(MINIATURE, folder, ignore=shutil.ignore_patterns("loras", "training", "sheets"))
    text = (MINIATURE / "prompts.yaml").read_text()
    head, *entries = re.split(r"(?m)^(?=  - id: )", text)
    head = head.replace("steps: 20", f"steps: {steps}")
    (folder / "prompts.yaml").write_text(head + "".join(entries[:prompts]))
    if prompts < len(entries):  # too few for an interval
        rows = (MINIATURE / "thresholds.yaml").read_text().replace("rule: bound", "rule: estimate")
        (folder / "thresholds.yaml").write_text(rows)
    return folder


def measured(folder: Path, prompts: int = 32, steps: int = 20, loras: int = 6) -> dict[str, Any]:
    """Gate LoRAs in one process and with `-n 2`, and with one and two workers of Ray where the gate has it.

    An efficiency is the seconds from the first image on, against twice those of two processes.
    """
    from lora_checks.gate.options import OPTIONS

    files = sorted((MINIATURE / "loras" / "run").glob("*.safetensors"))[:loras]
    pairs = {"-n 2": (files, (), ("-n", "2"))}
    if "--lora-cluster" in OPTIONS:
        ray = ("--lora-cluster", "local", "--lora-cluster-workers")
        pairs["two workers"] = (files, (*ray, "1"), (*ray, "2"))
        pairs["two workers, one LoRA"] = (files[:1], (*ray, "1"), (*ray, "2"))
    found: dict[str, Any] = {"load": os.getloadavg()}
    for name, (given, *ways) in pairs.items():
        one, two = (gate(folder / f"{i}", given, prompts, steps, *way) for i, way in enumerate(ways, 1))
        found[name] = {"one": one, "two": two, "efficiency": one["work"] / (2 * two["work"])}
        print(f"{name}: {found[name]}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=Path, metavar="FOLDER", help="measure the unit times here")
    parser.add_argument("--measure", type=Path, metavar="FOLDER", help="run real gates here")
    parser.add_argument("--tiny", action="store_true", help="smallest sizes, to see that it works")
    options = parser.parse_args()
    if options.measure is not None:
        sizes = {"prompts": 2, "steps": 1, "loras": 2} if options.tiny else {}
        options.measure.mkdir(parents=True, exist_ok=True)
        result = measured(options.measure.absolute(), **sizes)
        (options.measure / "cluster.json").write_text(json.dumps(result, indent=1))
        return
    units = FLUX
    if options.units is not None:
        units = measured_units(options.units, **({"images": 2, "steps": 1} if options.tiny else {}))
        print(json.dumps(asdict(units), indent=1))
    tiny = options.tiny
    print("\n".join(simulated(units, (2, 4) if tiny else SIZES, 6 if tiny else 200, 8 if tiny else 64)))


if __name__ == "__main__":
    main()
