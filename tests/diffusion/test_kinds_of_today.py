"""Each trainer's file on each of today's bases, applied: each layer acts, and some paint, as merged.

The reference of tests/merging.py adds the file to the weights by the published formulas. Where a layer
belongs it takes from tests/layouts.py, which `test_layouts.py` holds against diffusers' converters.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import families
import kinds
import kinds_of_today
import layouts
import merging
import numpy as np
import pytest
import torch
from bench import EFFECT, PROMPT, TOLERANCE, Bench, check_images, check_layers
from safetensors.torch import load_file, save_file

from lora_checks.diffusion import apply, proof
from lora_checks.lora.file import inspect

FolderOf = Callable[[str], Path]
BenchOf = Callable[[str], Bench]


@pytest.fixture(scope="module")
def bench(family_folder: FolderOf) -> BenchOf:
    benches: dict[str, Bench] = {}

    def of(base: str) -> Bench:
        if base not in benches:
            benches.clear()  # the tests come base by base
            benches[base] = Bench(family_folder(base))
        return benches[base]

    return of


PAINTED = ("OneTrainer ORIGINAL", "OneTrainer DoRA")  # with the makers' own names; the rest by layers alone


@pytest.mark.parametrize(("base", "kind"), kinds_of_today.CELLS)
def test_a_file_does_what_its_merge_does(bench: BenchOf, tmp_path: Path, base: str, kind: str) -> None:
    of = bench(base)
    path = kinds_of_today.build(kind, of.plain, tmp_path / "lora.safetensors")
    with of.pipeline() as pipe:
        assert check_layers(of, pipe, path).unused == ()
        if kind in PAINTED:
            check_images(of, pipe, path, (1.0,))


@pytest.mark.parametrize("base", ["FLUX.2 klein", "Z-Image"])
def test_the_comparison_sees_every_single_layer(bench: BenchOf, tmp_path: Path, base: str) -> None:
    """With half of one layer left out the picture is another."""
    of = bench(base)
    path = kinds_of_today.build("OneTrainer COMFY", of.plain, tmp_path / "lora.safetensors")
    whole = of.picture(path)
    tensors = load_file(path)
    for name in dict.fromkeys(merging.split(key)[0] for key in tensors):
        up = tensors[f"{name}.lora_B.weight"].clone()
        up[: (len(up) + 1) // 2] = 0
        save_file({**tensors, f"{name}.lora_B.weight": up}, path)
        assert np.abs(of.picture(path) - whole).max() > 3 * TOLERANCE, name


@pytest.mark.parametrize("base", ["FLUX.2 klein", "Qwen-Image"])
def test_an_adapter_of_peft_has_the_strength_of_its_configuration(
    bench: BenchOf, tmp_path: Path, base: str
) -> None:
    """A folder of `save_pretrained`, here of the makers' model: alpha 2 of rank 4 is beside the weights."""
    of = bench(base)
    plain = kinds_of_today.build("OneTrainer ORIGINAL", of.plain, tmp_path / "alphas.safetensors")
    merged = of.picture(plain)
    tensors = load_file(plain)
    assert {float(alpha) for key, alpha in tensors.items() if key.endswith(".alpha")} == {2.0}
    kept = {f"base_model.model.{key}": value for key, value in tensors.items() if not key.endswith(".alpha")}
    folder = tmp_path / "adapter"
    folder.mkdir()
    save_file(kept, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 2, "target_modules": "all-linear"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    with of.pipeline() as pipe:
        apply.load(pipe, inspect(folder / "adapter_model.safetensors", "lora"), "lora")
        apply.activate(pipe, {"lora": 1.0})
        image = families.paint(pipe, PROMPT)
        apply.remove(pipe, "lora")
    assert np.abs(image - merged).max() <= TOLERANCE


def test_a_dora_of_a_layer_of_one_row(bench: BenchOf, tmp_path: Path) -> None:
    """Krea 2's projector has one output: its one magnitude is of the row, and not of the first input."""
    of = bench("Krea 2")
    recipe = replace(kinds.KINDS["LyCORIS DoRA, rows"], layout=layouts.comfyui, chosen=of_one_row)
    path = kinds.write(recipe, of.plain, tmp_path / "lora.safetensors", torch.Generator().manual_seed(0))
    assert [weight.shape for key, weight in load_file(path).items() if "dora" in key] == [(1, 1)]
    merged = of.picture(path)
    assert np.abs(merged - of.base).max() > EFFECT
    with of.pipeline() as pipe:
        adapter = apply.load(pipe, inspect(path, "lora"), "lora")
        apply.activate(pipe, {"lora": 1.0})
        assert proof.prove(pipe, adapter, 1.0).worst_layer_error < 1e-5
        image = families.paint(pipe, PROMPT)
        apply.remove(pipe, "lora")
    assert np.abs(image - merged).max() <= TOLERANCE


def of_one_row(spot: layouts.Spot, module: Any) -> bool:
    return spot.component == "transformer" and len(module.weight) == 1
