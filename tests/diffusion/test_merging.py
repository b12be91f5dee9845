"""The reference of tests/merging.py gives what the trainers' own libraries give while they train."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import kinds
import merging
import numpy as np
import pytest
import torch
from families import FAMILIES, load, paint
from torch import nn

FolderOf = Callable[[str], Path]

MODULES = {
    "linear": lambda: nn.Linear(24, 32),
    "conv 1x1": lambda: nn.Conv2d(24, 32, 1),
    "conv 3x3": lambda: nn.Conv2d(24, 32, 3, padding=1),
    "conv 3x3, stride 2": lambda: nn.Conv2d(16, 16, 3, stride=2, padding=1),
    "narrow conv": lambda: nn.Conv2d(32, 4, 3, padding=1),
}
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "LoCon": ("locon", {}),
    "LoCon, rsLoRA": ("locon", {"rs_lora": True, "lora_dim": 4}),
    "LoCon, Tucker": ("locon", {"use_tucker": True}),
    "DoRA, rows": ("locon", {"weight_decompose": True}),
    "DoRA, columns": ("locon", {"weight_decompose": True, "wd_on_out": False}),
    "DoRA, Tucker": ("locon", {"weight_decompose": True, "use_tucker": True}),
    "LoHa": ("loha", {}),
    "LoHa, Tucker": ("loha", {"use_tucker": True}),
    "LoHa with DoRA": ("loha", {"weight_decompose": True, "wd_on_out": False}),
    "LoKr": ("lokr", {}),
    "LoKr, both factored": ("lokr", {"lora_dim": 1, "decompose_both": True}),
    "LoKr, full matrix": ("lokr", {"full_matrix": True, "factor": 4}),
    "LoKr with DoRA": ("lokr", {"weight_decompose": True}),
}


@pytest.mark.parametrize("shape", MODULES)
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_layer_is_changed_as_lycoris_changes_it_in_training(shape: str, setting: str) -> None:
    torch.manual_seed(0)
    module = MODULES[shape]()
    name, settings = SETTINGS[setting]
    made = lycoris_module(name, module, settings)
    saved = {f"x.{key}": value.detach() for key, value in made.state_dict().items()}
    parts = merging.by_layer(saved)["x"]
    change = merging.weight_change(parts, module.weight.detach().double(), merging.Scale({}, spot()))
    x = torch.randn(
        (2, 24 if module.weight.ndim == 2 else module.weight.shape[1], *[6] * (module.weight.ndim - 2))
    )
    with torch.no_grad():
        base, trained = module(x), made(x)
        module.weight.add_(change)
        merged = module(x)
    assert (trained - base).abs().max() > 0.05
    assert torch.allclose(merged, trained, atol=2e-5)


def lycoris_module(name: str, module: nn.Module, settings: dict[str, Any]) -> Any:
    from lycoris.wrapper import network_module_dict

    made = network_module_dict[name]("", module, **{"lora_dim": 2, "alpha": 1.5, **settings})
    with torch.no_grad():
        kinds._fill(made, torch.Generator().manual_seed(1))
    return made


def spot() -> Any:
    from layouts import Spot

    return Spot("unet", ("x",))


def test_tucker_of_lokr_is_as_lycoris_rebuilds_it() -> None:
    """Its `forward` fails on the shapes (a view of what is not contiguous), `get_weight` does not."""
    module = nn.Conv2d(24, 32, 3)
    made = lycoris_module("lokr", module, {"use_tucker": True})
    parts = {key: value.detach().double() for key, value in made.state_dict().items()}
    assert "lokr_t2" in parts
    change = merging.weight_change(parts, module.weight.detach().double(), merging.Scale({}, spot()))
    assert torch.allclose(change.float(), made.get_weight(None).detach(), atol=1e-6)


PEFT = [
    (kind, family)
    for kind, recipe in kinds.KINDS.items()
    if isinstance(recipe, kinds.Peft)
    for family in (FAMILIES if kind == "diffusers (PEFT)" else ("SD 1.x", "FLUX"))
]


@pytest.mark.parametrize(("kind", "family"), PEFT)
def test_a_pipeline_is_changed_as_peft_changes_it_in_training(
    family_folder: FolderOf, tmp_path: Path, kind: str, family: str
) -> None:
    """The trained pipeline itself, its adapters still on it, against the file merged into another."""
    trained = load(family_folder(family))
    base = paint(trained, "a red shirt")
    path = kinds.build(kind, trained, tmp_path / "lora.safetensors")
    merged = load(family_folder(family))
    merging.merge(merged, path)
    image = paint(merged, "a red shirt")
    assert np.abs(image - base).max() > 0.05
    assert np.abs(paint(trained, "a red shirt") - image).max() < 1e-4
