"""Measure on a GPU what the gate costs there, without internet or weights, as JSON.

python benchmarks/gpu.py [--device cuda] [--only steps,trips] [--minutes 8] [--out gpu.json] [--tiny]

Bases have their true size and random weights (`true_size.py`). A measurement that would begin after the
minutes are over is listed as not run, and so is one that fails, with its reason. ``--tiny`` tries every
measurement with small networks, on a CPU too; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import true_size
from sd15_loras import write_lora
from sd15_size import base as sd15
from true_size import BASES, TrueSize

from lora_checks.core import device as devices

MINIATURE = Path(__file__).parents[1] / "examples" / "miniature"
GIB = 2**30
Results = Mapping[str, Any]


@dataclass(frozen=True)
class Bench:
    """Where it is measured, and at which size."""

    device: str
    tiny: bool
    folder: Path

    @property
    def on_gpu(self) -> bool:
        return self.device != "cpu"

    @property
    def dtype(self) -> torch.dtype:
        return torch.bfloat16 if self.on_gpu else torch.float32

    def wait(self) -> None:
        """Wait until the device has done everything that it was given."""
        if self.on_gpu:
            torch.cuda.synchronize(self.device)

    def seconds(self, work: Callable[[], Any], times: int = 3) -> float:
        """Return the median time of ``work``, after one call that is not counted."""
        work()
        spent = []
        for _ in range(times):
            self.wait()
            start = time.perf_counter()
            work()
            self.wait()
            spent.append(time.perf_counter() - start)
        return median(spent)

    def peak(self, work: Callable[[], Any]) -> float | None:
        """Return the most GiB that the device holds during ``work``; None on a CPU."""
        if not self.on_gpu:
            work()
            return None
        torch.cuda.reset_peak_memory_stats(self.device)
        work()
        return torch.cuda.max_memory_allocated(self.device) / GIB

    def side(self, base: TrueSize) -> int:
        return 64 if self.tiny else base.side

    def free(self) -> None:
        if self.on_gpu:
            torch.cuda.empty_cache()


def steps(bench: Bench) -> Iterator[tuple[str, Results]]:
    """Seconds and GiB of one forward pass of each denoiser, at batch 1, 2 and 4, with and without a LoRA."""
    for base in BASES:
        module = base.on(bench.device, bench.dtype, bench.tiny)
        for adapted in (False, True):
            if adapted:
                true_size.with_lora(module)
            for batch in (1, 2, 4):
                inputs = base.inputs(module, batch, bench.side(base))
                name = f"{base.name}, batch {batch}{', with a LoRA' if adapted else ''}"
                yield name, _forward(bench, module, inputs)
        del module
        bench.free()


def _forward(bench: Bench, module: Any, inputs: Mapping[str, Any]) -> Results:
    def work() -> None:
        with torch.inference_mode():
            module(**inputs)

    return {"seconds": bench.seconds(work), "gib": bench.peak(work)}


def trips(bench: Bench) -> Iterator[tuple[str, Results]]:
    """Seconds that each denoiser takes to main memory and back."""
    for base in BASES:
        module = base.on(bench.device, bench.dtype, bench.tiny)
        size = sum(weight.nbytes for weight in module.parameters()) / GIB
        yield base.name, {"gib": size, **{to: _move(bench, module, to) for to in ("cpu", bench.device)}}
        del module
        bench.free()


def _move(bench: Bench, module: Any, to: str) -> float:
    start = time.perf_counter()
    module.to(to)
    bench.wait()
    return time.perf_counter() - start


def vae(bench: Bench) -> Iterator[tuple[str, Results]]:
    """Decode four images of 1024 pixels in float32, together and one by one."""
    module = true_size.on_device(lambda: true_size.vae(bench.tiny), bench.device, torch.float32)
    side = 8 if bench.tiny else 128
    latents = torch.ones(4, 4, side, side, device=bench.device)

    def decode() -> None:
        with torch.inference_mode():
            module.decode(latents)

    for sliced in (False, True):
        (module.enable_slicing if sliced else module.disable_slicing)()
        name = "one by one" if sliced else "together"
        yield name, {"seconds": bench.seconds(decode), "gib": bench.peak(decode)}


def proof(bench: Bench) -> Iterator[tuple[str, Results]]:
    """Wall and CPU time of the proof of a LoRA on a base of SD 1.5's size (tiny: on the miniature)."""
    from lora_checks.diffusion import apply
    from lora_checks.diffusion import proof as proofs
    from lora_checks.lora.file import inspect

    if bench.tiny:
        pipe, path = _miniature(bench), MINIATURE / "loras" / "good.safetensors"
    else:
        pipe, path = sd15(bench.dtype), bench.folder / "lora.safetensors"
        write_lora(pipe.unet, path, "LoRA")
    adapter = apply.load(pipe, inspect(path, "lora"), "lora")
    pipe.to(bench.device)
    apply.activate(pipe, {"lora": 1.0})
    wall, cpu = time.perf_counter(), time.process_time()
    proven = proofs.prove(pipe, adapter, 1.0)
    spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    yield "LoRA", {**spent, "layers": proven.layers, "worst_layer_error": proven.worst_layer_error}


def offload(bench: Bench) -> Iterator[tuple[str, Results]]:
    """An image of two steps with the whole pipeline on the device, by networks, by blocks, and by layers."""
    from lora_checks.diffusion.base.memory import Memory, fetch_back, place

    pipe = _miniature(bench) if bench.tiny else sd15(bench.dtype)
    side = 64 if bench.tiny else 512

    def image() -> None:
        pipe("a person", num_inference_steps=2, height=side, width=side, output_type="np")

    for how in ("none", "model", "group", "sequential") if bench.on_gpu else ("none", "group"):
        memory = Memory(how)
        place(pipe, bench.device, memory)
        yield how, {"seconds": bench.seconds(image), "gib": bench.peak(image)}
        fetch_back(pipe, memory)


def blocks(bench: Bench) -> Iterator[tuple[str, Results]]:
    """One forward pass of each denoiser with a LoRA, its blocks coming from main memory one after another."""
    from lora_checks.diffusion.base import groups

    for base in BASES:
        module = true_size.with_lora(base.on("cpu", bench.dtype, bench.tiny))
        pipe = SimpleNamespace(components={"transformer": module})
        inputs = base.inputs(module, 1, bench.side(base))
        groups.attach(pipe, bench.device)
        moved = {name: _on(bench.device, value) for name, value in inputs.items()}
        assumed = groups.share(module) * sum(weight.nbytes for weight in module.parameters()) / GIB
        yield base.name, {**_forward(bench, module, moved), "gib_of_weights_assumed": assumed}
        del module, pipe
        bench.free()


def casting(bench: Bench) -> Iterator[tuple[str, Results]]:
    """One forward pass of each denoiser with a LoRA, its weights kept in float8 and cast by each layer."""
    for base in BASES:
        module = true_size.with_lora(base.on(bench.device, bench.dtype, bench.tiny))
        inputs = base.inputs(module, 1, bench.side(base))
        module.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=bench.dtype)
        size = sum(weight.nbytes for weight in module.parameters()) / GIB
        yield base.name, {**_forward(bench, module, inputs), "gib_of_weights": size}
        del module
        bench.free()


def _on(device: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _on(device, part) for name, part in value.items()}
    return value.to(device) if isinstance(value, torch.Tensor) else value


def compiled(bench: Bench) -> Iterator[tuple[str, Results]]:
    """Compile FLUX.1's repeated blocks, and swap one LoRA for another of its rank without compiling anew."""
    base = next(base for base in BASES if base.name == "FLUX.1")
    module = true_size.with_lora(base.on(bench.device, bench.dtype, bench.tiny))
    inputs = base.inputs(module, 1, bench.side(base))
    yield "plain", _forward(bench, module, inputs)
    start = time.perf_counter()
    module.compile_repeated_blocks(fullgraph=True)
    with torch.inference_mode():
        module(**inputs)
    bench.wait()
    yield "compiling", {"seconds": time.perf_counter() - start}
    yield "compiled", _forward(bench, module, inputs)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if "lora_" in name:
                weight.normal_(0, 0.02)
    with torch.inference_mode(), torch.compiler.set_stance("fail_on_recompile"):
        module(**inputs)
    yield "another LoRA", {"compiled_anew": False}


def networks(bench: Bench) -> Iterator[tuple[str, Results]]:
    """Seconds for a picture of 512 pixels, on the CPU and on the device."""
    from metric_peers import alex_file, inception_file, write_pictures

    from lora_checks import networks as extractors
    from lora_checks.images.sets import image_set, pixels_of

    side, count = (64, 2) if bench.tiny else (512, 16)
    images = image_set("x", write_pictures(bench.folder / "pictures", count, side, 0)).images
    pixels = [pixels_of(image) for image in images]
    settings: dict[str, dict[str, Any]] = {
        "lpips": {"net": "alex", "trunk_file": str(alex_file(bench.folder))},
        "inception": {"file": str(inception_file(bench.folder))},
        "clip": {"path": str(MINIATURE / "evaluators" / "clip")},
    }
    for name, given in settings.items():
        for device in dict.fromkeys(("cpu", bench.device)):
            network: Any = extractors.build(name, given, device, cache=bench.folder / "models")
            if name == "lpips":
                spent = bench.seconds(lambda network=network: _lpips(network, pixels), times=1)
            else:
                spent = bench.seconds(lambda network=network: network.images(pixels), times=1)
            yield f"{name} on {device}", {"seconds": spent / count}


def _lpips(network: Any, pixels: list[Any]) -> None:
    from lora_checks.networks.kept import Kept

    network._kept = Kept()
    network.paired(pixels, pixels[::-1])


def equality(bench: Bench) -> Iterator[tuple[str, Results]]:
    """How far apart images of the miniature in batches of 1 and 4 are, in grey levels, by format."""
    for dtype in ("bfloat16", "float16") if bench.on_gpu else ("float32",):
        pipe = _miniature(bench, dtype)
        texts = ["a person in a blue shirt", "a person with glasses", "a smiling person", "a person"]
        alone = np.concatenate([_images(pipe, [text], [seed]) for seed, text in enumerate(texts)])
        together = _images(pipe, texts, range(4))
        yield dtype, {"grey_levels": float(255 * np.abs(alone - together).max())}


def _images(pipe: Any, texts: list[str], seeds: Any) -> Any:
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    with torch.inference_mode():
        return pipe(texts, num_inference_steps=10, generator=generators, output_type="np").images


def gates(bench: Bench) -> Iterator[tuple[str, Results]]:
    """The miniature's gate in each format: the verdicts, beside those of the CPU in float32."""
    loras = ("good", "overfit", "wrong-identity")
    formats = [("cpu", "float32"), *((bench.device, dtype) for dtype in ("float32", "bfloat16", "float16"))]
    expected: dict[str, str] = {}
    for device, dtype in formats if bench.on_gpu else formats[:1]:
        report = bench.folder / f"{device}-{dtype}"
        asked = [part for lora in loras for part in ("--lora", MINIATURE / "loras" / f"{lora}.safetensors")]
        where = ["--lora-policy", MINIATURE, "--lora-store", bench.folder / "store", "--lora-report", report]
        how = ["--lora-device", device, "--lora-dtype", dtype]
        start = time.perf_counter()
        command = [sys.executable, "-m", "pytest", "-q", *map(str, [*asked, *where, *how])]
        subprocess.run(command, capture_output=True, check=False)
        document = json.loads((report / "report.json").read_text())
        rows = [(lora["name"], row) for lora in document["loras"] for row in lora["rows"]]
        verdicts = {f"{name} {row['check']}": row["outcome"] for name, row in rows}
        expected = expected or verdicts
        differ = sorted(row for row in verdicts if verdicts[row] != expected.get(row))
        yield f"{device}, {dtype}", {"seconds": time.perf_counter() - start, "other_verdicts": differ}


def _miniature(bench: Bench, dtype: str = "") -> Any:
    from diffusers import DiffusionPipeline

    kind = getattr(torch, dtype) if dtype else bench.dtype
    pipe = DiffusionPipeline.from_pretrained(MINIATURE / "pipeline", torch_dtype=kind).to(bench.device)
    pipe.set_progress_bar_config(disable=True)
    return pipe


Measurement = Callable[[Bench], Iterator[tuple[str, Results]]]
MEASUREMENTS: Mapping[str, Measurement] = {
    "steps": steps,
    "proof": proof,
    "trips": trips,
    "vae": vae,
    "offload": offload,
    "blocks": blocks,
    "casting": casting,
    "equality": equality,
    "networks": networks,
    "compile": compiled,
    "gates": gates,
}


def measured(bench: Bench, names: list[str], minutes: float) -> dict[str, dict[str, Results]]:
    """Run the measurements until the minutes are over; a failure is a result."""
    end = time.monotonic() + 60 * minutes
    results: dict[str, dict[str, Results]] = {}
    for name in names:
        results[name] = found = {}
        try:
            for what, result in MEASUREMENTS[name](bench):
                found[what] = result
                print(f"{name}: {what}: {_said(result)}", flush=True)
                if time.monotonic() > end:
                    found["not run"] = {"why": "the time is over"}
                    break
        except Exception as error:  # a card that is too small for FLUX.1 still measures the rest
            found["not run"] = {"why": f"{type(error).__name__}: {str(error).splitlines()[:1]}"}
            print(f"{name}: not run: {found['not run']['why']}", flush=True)
        bench.free()
    return results


def _said(result: Results) -> str:
    shown = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in result.items()}
    return ", ".join(f"{key} {value}" for key, value in shown.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--only", default=",".join(MEASUREMENTS), metavar="NAMES", help="%(default)s")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--tiny", action="store_true", help="small networks: try the measurements")
    options = parser.parse_args()
    names = options.only.split(",")
    if unknown := sorted(set(names) - MEASUREMENTS.keys()):
        parser.error(f"--only: {', '.join(unknown)} is not one of {', '.join(MEASUREMENTS)}")
    if options.device == "cpu" and not options.tiny:
        parser.error("there is no GPU; --tiny tries the measurements on a CPU")
    with tempfile.TemporaryDirectory() as folder:
        results = measured(Bench(options.device, options.tiny, Path(folder)), names, options.minutes)
    machine = {
        "device": devices.hardware(options.device),
        "python": platform.python_version(),
        "versions": list(devices.library_versions()),
        "tiny": options.tiny,
    }
    options.out.write_text(json.dumps({"machine": machine, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
