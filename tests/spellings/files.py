"""The nine spellings of trainers (2026): which layers a file names how, and which tensors each layer has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from spellings.bases import Denoiser, Layers

RANK, ALPHA = 2, 3.0
Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Spelling:
    """`name` spells a layer's name; `native` tells whether the file has the original model's layers."""

    name: Callable[[str], str]
    native: bool
    draw: Callable[[int, tuple[int, ...], torch.Generator], Weights]  # rows, columns and kernel


def factors(down: str, up: str, alpha: bool) -> Any:
    def draw(rows: int, rest: tuple[int, ...], generator: torch.Generator) -> Weights:
        ones = (1,) * (len(rest) - 1)
        tensors = {
            down: torch.randn(RANK, *rest, generator=generator),
            up: torch.randn(rows, RANK, *ones, generator=generator),
        }
        return tensors | ({".alpha": torch.tensor(ALPHA)} if alpha else {})

    return draw


def lokr(rows: int, rest: tuple[int, ...], generator: torch.Generator) -> Weights:
    """LyCORIS' LoKr with a small whole first factor and a factored second one."""
    columns = torch.Size(rest).numel()
    high, wide = (next(size for size in (2, 3, 5, 1) if number % size == 0) for number in (rows, columns))
    return {
        ".lokr_w1": torch.randn(high, wide, generator=generator),
        ".lokr_w2_a": torch.randn(rows // high, RANK, generator=generator),
        ".lokr_w2_b": torch.randn(RANK, columns // wide, generator=generator),
        ".alpha": torch.tensor(ALPHA),
    }


def flat(prefix: str) -> Callable[[str], str]:
    return lambda name: prefix + name.replace(".", "_")


PEFT = factors(".lora_A.weight", ".lora_B.weight", alpha=False)
KOHYA = factors(".lora_down.weight", ".lora_up.weight", alpha=True)
SPELLINGS: Mapping[str, Spelling] = {
    "diffusers": Spelling("transformer.{}".format, False, PEFT),
    "ComfyUI (ai-toolkit, diffusion-pipe)": Spelling("diffusion_model.{}".format, True, PEFT),
    "ComfyUI with alphas (OneTrainer)": Spelling(
        "diffusion_model.{}".format, True, factors(".lora_A.weight", ".lora_B.weight", alpha=True)
    ),
    "kohya (sd-scripts, musubi-tuner)": Spelling(flat("lora_unet_"), True, KOHYA),
    "`transformer.` with alphas (OneTrainer)": Spelling("transformer.{}".format, False, KOHYA),
    "bare (DiffSynth-Studio)": Spelling(
        str, False, factors(".lora_A.default.weight", ".lora_B.default.weight", alpha=False)
    ),
    "PEFT without its configuration": Spelling("base_model.model.{}".format, False, PEFT),
    "`lycoris_` LoKr (SimpleTuner)": Spelling(flat("lycoris_"), False, lokr),
    "`diffusion_model.` LoKr (ai-toolkit)": Spelling("diffusion_model.{}".format, True, lokr),
}


def layers_of(base: Denoiser, spelling: str) -> Layers:
    """The file's layers, with the base's modules in the order of the rows."""
    native = SPELLINGS[spelling].native or (base.native_bare and spelling.startswith("bare"))
    if native:
        return base.layers
    return {path: (path,) for paths in base.layers.values() for path in paths}


def build(base: Denoiser, denoiser: Any, spelling: str, path: Path) -> dict[str, Tensor]:
    """Write the file, and return for each module of the base what the file adds to its weight."""
    generator = torch.Generator().manual_seed(0)
    recipe = SPELLINGS[spelling]
    tensors: Weights = {}
    added: dict[str, Tensor] = {}
    for name, paths in layers_of(base, spelling).items():
        shapes = [denoiser.get_submodule(module).weight.shape for module in paths]
        rows = [shape[0] for shape in shapes]
        parts = recipe.draw(sum(rows), tuple(shapes[0][1:]), generator)
        tensors |= {recipe.name(name) + ending: value for ending, value in parts.items()}
        change = product(parts).reshape(sum(rows), *shapes[0][1:])
        added |= dict(zip(paths, change.split(rows), strict=True))
    save_file({name: value.contiguous() for name, value in tensors.items()}, path)
    return added


def product(parts: Mapping[str, Tensor]) -> Tensor:
    """alpha / rank times the product of the factors: LoRA (arXiv 2106.09685), LoKr (arXiv 2309.14859)."""
    scale = float(parts[".alpha"]) / RANK if ".alpha" in parts else 1.0
    if ".lokr_w1" in parts:
        return scale * torch.kron(parts[".lokr_w1"], parts[".lokr_w2_a"] @ parts[".lokr_w2_b"])
    down, up = (value for ending, value in parts.items() if ending != ".alpha")
    return scale * (up.flatten(1) @ down.flatten(1))
