"""Run bases that libraries quantised, in a process of its own, and print JSON.

    PYTHONPATH=.:tests:LIBRARIES python tests/quantised_run.py FOLDER

One line a case: what was loaded, whether an image came, what the proof says of a LoRA and a DoRA, and what it
says when the LoRA acts at half its strength and when it acts on no layer's output.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import quantised_bases as bases
import torch
from sampled import images, loaded, prompts

from lora_checks.core.errors import LoraChecksError
from lora_checks.core.records import Base, Lora, Quantization
from lora_checks.diffusion import apply
from lora_checks.diffusion.base import resolve
from lora_checks.diffusion.base.memory import Memory
from lora_checks.diffusion.base.room import Room
from lora_checks.diffusion.proof import prove
from lora_checks.diffusion.quantised import weights
from lora_checks.lora.file import inspect

LAYER = bases.TARGETS[0]
NARROW = ("context_embedder", "x_embedder", "linear_1")  # whose columns are no multiple of 16, or few
DENOISERS = (
    ("torchao", "int8wo", "bfloat16"),
    ("torchao", "int8dq", "float32"),
    ("torchao", "int8dq", "bfloat16"),
    ("torchao", "fp8wo", "bfloat16"),
    ("quanto", "int8", "float32"),
    ("quanto", "int8", "bfloat16"),
    ("quanto", "fp8", "bfloat16"),
    ("quanto", "int4", "float32"),
    ("quanto", "int2", "float32"),
)
ENCODERS = (("bitsandbytes", "nf4"), ("bitsandbytes", "int8"), ("torchao", "int8wo"), ("quanto", "int8"))
LAYERS = (("nf4", "bfloat16"), ("fp4", "float32"), ("int8", "bfloat16"))


def main(folder: Path) -> None:
    base = bases.wide_flux(folder)
    loras = [
        inspect(bases.lora(base, folder / f"{name}.safetensors", dora=name == "dora"), name)
        for name in ("lora", "dora")
    ]
    for library, name, dtype in DENOISERS:
        say(f"{library} {name} {dtype}", lambda case=(library, name, dtype): denoiser(base, loras, *case))
    for library, name in ENCODERS:
        say(f"text {library} {name}", lambda case=(library, name): encoder(base, *case))
    for name, dtype in LAYERS:
        say(f"layers {name} {dtype}", lambda case=(name, dtype): layers(base, loras, *case))
    say("saved torchao", lambda: saved(base, loras, folder, "torchao", "int8wo"))
    say("narrow", lambda: quantised(base, "transformer", "quanto", "int8", "bfloat16", ()) and {})
    say("no gpu", lambda: quantised(base, "transformer", "bitsandbytes", "nf4", "bfloat16") and {})


def say(case: str, run: Callable[[], dict[str, Any]]) -> None:
    try:
        found = run()
    except LoraChecksError as error:
        found = {"error": str(error)}
    print(json.dumps({"case": case} | found), flush=True)


def quantised(
    base: Path, network: str, library: str, name: str, dtype: str, skip: tuple[str, ...] = NARROW
) -> Any:
    asked = Quantization(library, name, skip, "prompts.yaml:4: base.quantization.transformer")
    resolved = resolve(Base(str(base), quantization={network: asked}))
    pipe = loaded(resolved, prompts(), dtype)
    pipe.room = {part: size.size for part, size in Room(resolved, "cpu", dtype, Memory()).parts.items()}
    pipe.identity = resolved.identity
    return pipe


def denoiser(base: Path, loras: list[Lora], library: str, name: str, dtype: str) -> dict[str, Any]:
    pipe = quantised(base, "transformer", library, name, dtype)
    held = pipe.transformer.state_dict().values()
    facts = {"identity": pipe.identity, "room": pipe.room["transformer"], "tensors": len(held)}
    return facts | proofs(pipe, loras)


def proofs(pipe: Any, loras: list[Lora]) -> dict[str, Any]:
    said = prompts()
    found: dict[str, Any] = {
        "format": weights.format_of(pipe.transformer.get_submodule(LAYER)),
        "spread": float(images(pipe, said)[0].pixels.std()),
    }
    for lora in loras:
        adapter = apply.load(pipe, lora, "x")
        apply.activate(pipe, {"x": 0.7})
        found[lora.name] = prove(pipe, adapter, 0.7).effect["transformer"]
        if lora.name == "lora":
            found |= broken(pipe, adapter)
        apply.remove(pipe, "x")
    return found


def broken(pipe: Any, adapter: apply.Adapter) -> dict[str, str]:
    """What the proof says of a LoRA at half its strength, and of layers that go wrong."""
    apply.activate(pipe, {"x": 0.35})
    half = complaint(pipe, adapter)
    apply.activate(pipe, {"x": 0.7})
    tuner = pipe.transformer.get_submodule(LAYER)
    base = tuner.get_base_layer()
    real, whole = base.forward, tuner.forward
    base.forward = lambda x: 1.3 * real(x)
    kernel = complaint(pipe, adapter)
    del base.forward
    tuner.forward = lambda x: whole(x) if x.dtype == torch.float64 else base(x)
    swallowed = complaint(pipe, adapter)
    del tuner.forward
    return {"half": half, "kernel": kernel, "swallowed": swallowed}


def complaint(pipe: Any, adapter: apply.Adapter) -> str:
    try:
        prove(pipe, adapter, 0.7)
    except LoraChecksError as error:
        return str(error)
    return ""


def encoder(base: Path, library: str, name: str) -> dict[str, Any]:
    pipe = quantised(base, "text_encoder_2", library, name, "bfloat16", ())
    found = [weights.format_of(module) for module in weights.weighted(pipe.text_encoder_2)]
    return {"quantised": sum(map(bool, found)), "spread": float(images(pipe, prompts())[0].pixels.std())}


def layers(base: Path, loras: list[Lora], name: str, dtype: str) -> dict[str, Any]:
    """bitsandbytes' own layers in place of those that the LoRA is of, as diffusers puts them on a GPU."""
    import bitsandbytes

    pipe, compute = loaded(base, prompts(), dtype), getattr(torch, dtype)
    for target in bases.TARGETS:
        plain = pipe.transformer.get_submodule(target)
        size = plain.in_features, plain.out_features
        if name == "int8":
            layer = bitsandbytes.nn.Linear8bitLt(*size, has_fp16_weights=False)
        else:
            layer = bitsandbytes.nn.Linear4bit(*size, compute_dtype=compute, quant_type=name)
        layer.load_state_dict(plain.state_dict())
        parent, _, last = target.rpartition(".")
        setattr(pipe.transformer.get_submodule(parent), last, layer.to("cpu").requires_grad_(False))
    setattr(pipe.transformer, "is_loaded_in_8bit" if name == "int8" else "is_loaded_in_4bit", True)
    weights.tell(pipe.transformer, compute, "bitsandbytes", name)
    return proofs(pipe, loras)


def saved(base: Path, loras: list[Lora], folder: Path, library: str, name: str) -> dict[str, Any]:
    """A pipeline that was saved quantised is loaded as it is, without a key in the policy."""
    path = folder / f"saved-{library}"
    pipe = quantised(base, "transformer", library, name, "bfloat16")
    del pipe.room, pipe.identity
    pipe.save_pretrained(str(path))
    resolved = resolve(Base(str(path)))
    again = loaded(resolved, prompts(), "bfloat16")
    room = Room(resolved, "cpu", "bfloat16", Memory()).parts["transformer"].size
    return {"label": resolved.label, "room": room} | proofs(again, loras)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with torch.no_grad():
        main(Path(sys.argv[1]))
