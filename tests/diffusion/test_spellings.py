"""Every spelling of trainers on every base: 180 files, read and put on a tiny denoiser.

An applied file must change every weight of the denoiser by what the formula gives for its numbers, computed
in tests/spellings, and no other weight; a refused one must say why. Where diffusers' own converter reads
the file in full, what it makes of it must be the same.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers.loaders.lora_pipeline as loaders
import kind_table
import pytest
import torch
from safetensors.torch import load_file, save_file
from spellings.bases import BASES
from spellings.files import SPELLINGS, build

from lora_checks.core.errors import GenerationError, LoraFileError
from lora_checks.diffusion import apply
from lora_checks.lora.file import inspect
from lora_checks.lora.native_names import TABLES
from lora_checks.lora.native_names.table import Table

CELLS = [(base, spelling) for base in BASES for spelling in SPELLINGS]
TOLERANCE = 1e-5  # of a weight's change, whose numbers are about 1


@functools.lru_cache(maxsize=1)  # the tests come base by base
def denoiser(base: str) -> Any:
    return BASES[base].build()


def pipeline(base: str) -> Any:
    return SimpleNamespace(transformer=denoiser(base), _lora_loadable_modules=["transformer"])


def weight_of(module: Any) -> torch.Tensor:
    """The weight that a module acts with, adapters included: what it makes of the unit vectors."""
    weight = apply.core(module).weight
    units = torch.eye(weight[0].numel()).reshape(-1, *weight.shape[1:])
    with torch.no_grad():
        found = module(units) - module(torch.zeros_like(units))
    return found.flatten(1).T.reshape(weight.shape)


def adapted(network: Any) -> dict[str, Any]:
    return {name: part for name, part in network.named_modules() if hasattr(part, "get_base_layer")}


def wrong(network: Any, added: Mapping[str, torch.Tensor]) -> list[str]:
    """The modules that do not act as the file says."""
    found = adapted(network)
    names = found.keys() ^ added.keys()
    for name in found.keys() & added.keys():
        change = weight_of(found[name]) - apply.core(found[name]).weight.detach()
        if (change - added[name]).abs().max() > TOLERANCE * max(1.0, float(added[name].abs().max())):
            names |= {name}
    return sorted(names)


def outcome(base: str, path: Path, added: Mapping[str, torch.Tensor]) -> str:
    pipe = pipeline(base)
    try:
        apply.load(pipe, inspect(path, "lora"), "lora")
    except (LoraFileError, GenerationError) as error:
        denoiser.cache_clear()  # nothing can be trusted after a refusal
        return f"refused: {error}"
    apply.activate(pipe, {"lora": 1.0})
    assert wrong(pipe.transformer, added) == []
    apply.activate(pipe, {"lora": 0.5})
    assert wrong(pipe.transformer, {name: 0.5 * change for name, change in added.items()}) == []
    apply.remove(pipe, "lora")
    assert adapted(pipe.transformer) == {}
    return "applied"


def test_the_table_has_every_cell() -> None:
    assert [(base, spelling) for spelling in kind_table.SPELLINGS for base in BASES] == [
        (base, spelling) for spelling in SPELLINGS for base in BASES
    ]
    assert len(CELLS) == 9 * 20
    assert sum(word == "applied" for word in kind_table.SPELLINGS.values()) * len(BASES) >= 128 + 32


@pytest.mark.parametrize(("base", "spelling"), CELLS)
def test_a_cell_of_the_table(tmp_path: Path, base: str, spelling: str) -> None:
    path = tmp_path / "lora.safetensors"
    added = build(BASES[base], denoiser(base), spelling, path)
    found = outcome(base, path, added)
    word, _, reason = kind_table.SPELLINGS[spelling].partition(": ")
    assert found.split(":")[0] == word, found
    assert reason in found
    assert "\n" not in found


# Spellings that a base's converter in diffusers reads in full. In the others it raises, leaves layers out
# without a word, or counts on the real model's widths.
WITNESSED: dict[str, tuple[str, ...]] = {
    "diffusers": tuple(base for base in BASES if BASES[base].loader),
    "ComfyUI (ai-toolkit, diffusion-pipe)": (
        "FLUX.2 dev", "FLUX.2 klein", "Wan 2.1", "Krea 2", "Qwen-Image", "Qwen-Image-Edit", "HiDream",
    ),
    "ComfyUI with alphas (OneTrainer)": ("Qwen-Image", "Qwen-Image-Edit"),
    "kohya (sd-scripts, musubi-tuner)": ("FLUX.2 dev", "FLUX.2 klein", "Qwen-Image", "Qwen-Image-Edit"),
    "bare (DiffSynth-Studio)": ("Qwen-Image", "Qwen-Image-Edit", "Z-Image"),
}  # fmt: skip


def by_diffusers(base: str, path: Path) -> dict[str, torch.Tensor]:
    """What the converted file adds to each module; PEFT applies it with alpha = rank."""
    loader = getattr(loaders, BASES[base].loader)
    converted = loader.lora_state_dict(load_file(path))
    downs = {name: value for name, value in converted.items() if ".lora_A." in name}
    return {
        name.removeprefix("transformer.").removesuffix(".lora_A.weight"): (
            converted[name.replace(".lora_A.", ".lora_B.")].flatten(1) @ down.flatten(1)
        )
        for name, down in downs.items()
    }


@pytest.mark.parametrize(
    ("base", "spelling"), [(base, spelling) for spelling, bases in WITNESSED.items() for base in bases]
)
def test_diffusers_converter_makes_the_same_of_it(tmp_path: Path, base: str, spelling: str) -> None:
    path = tmp_path / "lora.safetensors"
    added = build(BASES[base], denoiser(base), spelling, path)
    found = by_diffusers(base, path)
    assert found.keys() == added.keys()
    for name, change in added.items():
        torch.testing.assert_close(found[name].reshape(change.shape), change, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_half_of_a_layer_is_no_layer(tmp_path: Path, spelling: str) -> None:
    path = tmp_path / "lora.safetensors"
    build(BASES["FLUX.2 klein"], denoiser("FLUX.2 klein"), spelling, path)
    tensors = load_file(path)
    factor = next(name for name in tensors if not name.endswith((".alpha", ".lokr_w1")))
    del tensors[factor]
    save_file(tensors, path)
    with pytest.raises(LoraFileError, match=r"is incomplete: layer|is a PEFT adapter"):
        inspect(path, "lora")


@pytest.fixture
def short_table(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """FLUX.1's table, in which `linear1` has lost its fourth part."""
    table = TABLES["FluxTransformer2DModel"]
    assert isinstance(table, Table)
    name = "single_blocks.{}.linear1"
    short = Table(table.rows | {name: table.rows[name].targets[:3]})
    monkeypatch.setitem(TABLES, "FluxTransformer2DModel", short)  # type: ignore[arg-type]
    yield
    denoiser.cache_clear()


@pytest.mark.usefixtures("short_table")
def test_a_part_of_a_fused_layer_left_out_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "lora.safetensors"
    added = build(
        BASES["FLUX.1 Kontext"], denoiser("FLUX.1 Kontext"), "kohya (sd-scripts, musubi-tuner)", path
    )
    assert "does not fit the base" in outcome("FLUX.1 Kontext", path, added)


def test_the_comparison_sees_every_module_and_every_row(tmp_path: Path) -> None:
    path = tmp_path / "lora.safetensors"
    base = "FLUX.2 klein"
    added = build(BASES[base], denoiser(base), "ComfyUI (ai-toolkit, diffusion-pipe)", path)
    pipe = pipeline(base)
    apply.load(pipe, inspect(path, "lora"), "lora")
    apply.activate(pipe, {"lora": 1.0})
    for name, change in added.items():
        rolled = {**added, name: change.roll(1, 0)}
        assert wrong(pipe.transformer, rolled) == [name]
        assert wrong(pipe.transformer, {key: value for key, value in added.items() if key != name}) == [name]
    apply.remove(pipe, "lora")
