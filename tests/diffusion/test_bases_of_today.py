"""The bases that people train on today, from their folder to a proven LoRA and its picture.

Each is a tiny pipeline of diffusers' own classes (tests/families), written as a user's base is.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import families
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from lora_checks.core.errors import GenerationError
from lora_checks.core.records import ImageSpec, Lora, Policy
from lora_checks.diffusion.base import resolve
from lora_checks.diffusion.base.memory import Memory
from lora_checks.diffusion.base.pipeline import preflight
from lora_checks.diffusion.generate import Studio
from lora_checks.images import plan
from lora_checks.lora.file import inspect
from lora_checks.policy.reading import load_policy

FolderOf = Callable[[str], Path]
BASES = ("AuraFlow", "CogView4", "Sana", "PixArt Alpha", "PixArt Sigma")
CHANGE = 0.3  # of a weight's root mean square
PROMPTS = """\
base: {{model: {base}}}
sampler: {{steps: {steps}, guidance: 3.0, width: {width}, height: {height}}}
trigger: sks person
class_words: person
seeds: [1]
prompts: [{{id: red, text: a sks person in red}}]
"""


def policy_of(base: Path, folder: Path, width: int = 32, height: int = 32, steps: int = 2) -> Policy:
    settings = {"width": width, "height": height, "steps": steps}
    (folder / "prompts.yaml").write_text(PROMPTS.format(base=base, **settings))
    (folder / "thresholds.yaml").write_text("checks:\n  light: {metric: brightness, min: 1, why: it shows}\n")
    return load_policy(folder)


def layers_of(pipe: Any, *components: str) -> Iterator[tuple[str, nn.Module]]:
    """Every layer that a LoRA can change, by diffusers' name for it."""
    for component in components:
        for path, module in getattr(pipe, component).named_modules():
            if isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1):
                yield f"{component}.{path}", module


def low_rank(module: nn.Module, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Factors of rank 2 that change a weight by about a third."""
    weight: Any = module.weight
    down = torch.randn((2, *weight.shape[1:]), generator=generator)
    up = torch.randn((len(weight), 2, *(1,) * (weight.ndim - 2)), generator=generator)
    change = up.flatten(1) @ down.flatten(1)
    return down, up * CHANGE * (weight.detach().square().mean() / change.square().mean()).sqrt()


def write_lora(pipe: Any, path: Path, *components: str) -> Path:
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for name, module in layers_of(pipe, *components):
        tensors[f"{name}.lora_A.weight"], tensors[f"{name}.lora_B.weight"] = low_rank(module, generator)
    save_file(tensors, path)
    return path


class Gate:
    """The studio of one base and the pictures that a policy asks of it."""

    def __init__(self, base: Path, folder: Path, **settings: int) -> None:
        policy = policy_of(base, folder, **settings)
        resolved = resolve(policy.prompts.base)
        self.warnings = preflight(resolved, policy.prompts, Memory())
        self.studio = Studio(resolved, policy.prompts, "cpu", "float32")
        self.specs: tuple[ImageSpec, ...] = plan.baseline(
            policy.prompts, plan.Machine("base", "cpu", "float32", ())
        )

    def picture(self, lora: Lora | None = None) -> np.ndarray:
        (made,) = self.studio.render(self.specs, lora)
        return np.asarray(Image.open(io.BytesIO(made.png))).astype(int)


@pytest.mark.parametrize("name", BASES)
def test_a_base_from_its_folder_to_a_proven_lora(family_folder: FolderOf, tmp_path: Path, name: str) -> None:
    gate = Gate(family_folder(name), tmp_path)
    assert gate.warnings == ()
    base = gate.picture()
    assert base.shape == (32, 32, 3)
    assert base.std() > 20
    assert ((base == 0) | (base == 255)).mean() < 0.05
    pipe = families.load(family_folder(name))
    lora = inspect(write_lora(pipe, tmp_path / "lora.safetensors", "transformer"), "lora")
    proof = gate.studio.prove(lora, ())
    assert proof.layers == len(list(layers_of(pipe, "transformer")))
    assert (proof.dead, proof.unused) == ((), ())
    assert proof.effect["transformer"] > 0.1
    assert proof.worst_layer_error < 1e-5
    assert np.abs(gate.picture(lora) - base).max() > 20
    assert (gate.picture() == base).all()


@pytest.mark.parametrize("name", BASES)
def test_half_of_a_layer_that_is_lost_is_caught(family_folder: FolderOf, tmp_path: Path, name: str) -> None:
    gate = Gate(family_folder(name), tmp_path)
    pipe = families.load(family_folder(name))
    lora = inspect(write_lora(pipe, tmp_path / "lora.safetensors", "transformer"), "lora")
    gate.studio.prove(lora, ())
    ups = {
        key: weight
        for key, weight in gate.studio._pipe.transformer.named_parameters()
        if ".lora_B." in key and len(weight) > 1
    }
    name_of_one, weight = list(ups.items())[len(ups) // 2]
    halved = weight.detach().clone()  # the parameter shares the memory of the file's tensor
    halved[: len(weight) // 2] = 0
    weight.data = halved
    with pytest.raises(GenerationError, match=r"lora\.safetensors") as error:
        gate.studio.prove(lora, ())
    assert name_of_one.split(".lora_B.")[0] in str(error.value)
