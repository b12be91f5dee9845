"""Make random LoRAs of every algorithm for a UNet, which change each weight by a fifth of its size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from peft.tuners.lokr.layer import factorization
from safetensors.torch import save_file

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
RANK = 16
EFFECT = 0.2
Parts = dict[str, torch.Tensor]


def draw(generator: torch.Generator, size: float, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=generator) * size


def lora(weight: Any, size: float, generator: torch.Generator) -> Parts:
    rows, columns, *kernel = weight.shape
    each = (size / RANK**0.5) ** 0.5
    return {
        "lora_down.weight": draw(generator, each, RANK, columns, *kernel),
        "lora_up.weight": draw(generator, each, rows, RANK, *(1 for _ in kernel)),
    }


def dora(weight: Any, size: float, generator: torch.Generator) -> Parts:
    return lora(weight, size, generator) | {"dora_scale": magnitude(weight)}


def magnitude(weight: Any) -> torch.Tensor:
    """Return magnitudes; the rows of the base are drawn with a norm of 1."""
    return torch.full((len(weight), *(1 for _ in weight.shape[1:])), 1.05)


def loha(weight: Any, size: float, generator: torch.Generator) -> Parts:
    rows, columns = weight.shape[0], weight[0].numel()
    each = (size / RANK) ** 0.25
    shapes = {"a": (rows, RANK), "b": (RANK, columns)}
    return {f"hada_w{half}_{side}": draw(generator, each, *shapes[side]) for half in "12" for side in "ab"}


def loha_tucker(weight: Any, size: float, generator: torch.Generator) -> Parts:
    rows, columns, *kernel = weight.shape
    if not kernel or kernel == [1, 1]:
        return loha(weight, size, generator)
    each = (size**0.5 / RANK) ** (1 / 3)
    shapes = {"a": (RANK, rows), "b": (RANK, columns)}
    cores = {f"hada_t{half}": draw(generator, each, RANK, RANK, *kernel) for half in "12"}
    return cores | {
        f"hada_w{half}_{side}": draw(generator, each, *shapes[side]) for half in "12" for side in "ab"
    }


def lokr(weight: Any, size: float, generator: torch.Generator) -> Parts:
    rows, columns, *kernel = weight.shape
    (one, two), (three, four) = factorization(rows), factorization(columns)
    each = (size / RANK) ** 0.25
    folded = four * (kernel[0] * kernel[1] if kernel else 1)
    shapes = {"w1_a": (one, RANK), "w1_b": (RANK, three), "w2_a": (two, RANK), "w2_b": (RANK, folded)}
    return {f"lokr_{part}": draw(generator, each, *shape) for part, shape in shapes.items()}


def lokr_tucker(weight: Any, size: float, generator: torch.Generator) -> Parts:
    rows, columns, *kernel = weight.shape
    if not kernel or kernel == [1, 1]:
        return lokr(weight, size, generator)
    (one, two), (three, four) = factorization(rows), factorization(columns)
    each = (size / RANK) ** 0.25
    shapes = {"w1": (one, three), "t2": (RANK, RANK, *kernel), "w2_a": (RANK, two), "w2_b": (RANK, four)}
    return {f"lokr_{part}": draw(generator, each, *shape) for part, shape in shapes.items()}


def lokr_whole(weight: Any, size: float, generator: torch.Generator) -> Parts:
    rows, columns, *kernel = weight.shape
    (one, two), (three, four) = factorization(rows), factorization(columns)
    return {
        "lokr_w1": draw(generator, size**0.5, one, three),
        "lokr_w2": draw(generator, size**0.5, two, four, *kernel),
    }


def full(weight: Any, size: float, generator: torch.Generator) -> Parts:
    return {"diff": draw(generator, size, *weight.shape)}


Maker = Callable[[Any, float, torch.Generator], Parts]
# Name -> what makes a layer's parts, and whether it covers every layer or the attention alone.
ALGORITHMS: Mapping[str, tuple[Maker, bool]] = {
    "LoRA": (lora, False),
    "LoCon": (lora, True),
    "DoRA": (dora, True),
    "LoHa": (loha, True),
    "LoHa-Tucker": (loha_tucker, True),
    "LoHa-DoRA": (lambda *of: loha(*of) | {"dora_scale": magnitude(of[0])}, True),
    "LoKr": (lokr, True),
    "LoKr-Tucker": (lokr_tucker, True),
    "LoKr-whole": (lokr_whole, True),
    "LoKr-DoRA": (lambda *of: lokr(*of) | {"dora_scale": magnitude(of[0])}, True),
    "difference": (full, False),
}


def write_lora(unet: Any, path: Path, algorithm: str) -> None:
    """Write a LoRA with kohya's keys in float16, as trainers do."""
    make, everywhere = ALGORITHMS[algorithm]
    generator = torch.Generator().manual_seed(4)
    tensors = {}
    for name, module in unet.named_modules():
        weight = getattr(module, "weight", None)
        if weight is None or weight.ndim < 2 or not (everywhere or name.endswith(ATTENTION)):
            continue
        key = f"lora_unet_{name.replace('.', '_')}"
        size = EFFECT * weight[0].numel() ** -0.5
        for part, value in make(weight, size, generator).items():
            tensors[f"{key}.{part}"] = value.half()
    save_file(tensors, path)
