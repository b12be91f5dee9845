"""--lora-compile in whole runs of the gate; torch's own compiler is in diffusion/test_inductor.py."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from world import Gate, Run, World, made, row

from lora_checks.images import decoding, png

EAGER = """\
from lora_checks.diffusion import compiling

compiling.BACKEND = "eager"  # blocks are traced and guarded as for any other, and nothing is compiled to C++
"""


@pytest.fixture
def traced(gate: Gate) -> Gate:
    gate.conftest(EAGER)
    return gate


def written(gate: Gate, name: str, tensors: Mapping[str, torch.Tensor]) -> Path:
    path = gate.folder / f"{name}.safetensors"
    save_file({key: value.contiguous() for key, value in tensors.items()}, path)
    return path


def good(gate: Gate) -> dict[str, torch.Tensor]:
    with safe_open(gate.world.good, "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # no mapping


def base(store: Path) -> tuple[dict[str, Any], Any]:
    """Recipe and pixels of the one image without a LoRA."""
    seen = [(png.seen(path)[1], decoding.decode(path)) for path in sorted(store.rglob("*.png"))]
    (found,) = [(recipe, pixels) for recipe, pixels in seen if recipe["lora_sha256"] is None]
    return found


@pytest.fixture(scope="module")
def compiled(world: World, first_run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """The first run, compiled: its outcome and its store."""
    assert first_run.code == 1
    traced = Gate(tmp_path_factory.mktemp("compiled"), world)
    traced.conftest(EAGER)
    store = traced.folder / "store"
    return traced("--lora", world.good, "--lora", world.bad, "--lora-store", store, "--lora-compile"), store


def test_verdicts_are_those_of_the_plain_run(
    compiled: tuple[Run, Path], first_run: Run, world: World
) -> None:
    run, store = compiled
    assert run.code == 1, run.out + run.err
    assert run.report["run"]["compiled"] == "the denoiser's repeated blocks"
    assert run.outcomes == first_run.outcomes
    assert run.values == pytest.approx(first_run.values, abs=1e-3)
    recipes = [png.seen(path)[1] for path in store.rglob("*.png")]
    assert recipes
    assert all(recipe["compiled"] is True for recipe in recipes)
    assert made(store).keys().isdisjoint(made(world.store))


def test_the_base_is_the_same_around_any_rank_and_its_recipe_names_the_seat(
    traced: Gate, compiled: tuple[Run, Path]
) -> None:
    wide = {  # the same change at nine times the rank
        key: torch.cat([value] * 9, dim=0) if "lora_A" in key else torch.cat([value] * 9, dim=1) / 9
        for key, value in good(traced).items()
    }
    policy = traced.world.write(traced.folder / "policy", row("faces", "arcface", "stat: missing, max: 1"), 1)
    lora, store = written(traced, "wide", wide), traced.folder / "store"
    run = traced("--lora", lora, "--lora-policy", policy, "--lora-store", store, "--lora-compile")
    assert run.code == 0, run.out + run.err
    (narrow, pixels), (broad, same) = base(compiled[1]), base(store)
    assert np.array_equal(pixels, same)
    assert narrow["digest"] != broad["digest"]
    assert narrow["compiled_around"] != broad["compiled_around"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("dora", "other.safetensors has layers of kind dora, and only plain LoRAs can be swapped"),
        ("fewer", "other.safetensors changes other layers than good.safetensors"),
    ],
)
def test_one_lora_makes_the_run_plain_and_it_says_why(
    traced: Gate, first_run: Run, change: str, why: str
) -> None:
    tensors = good(traced)
    if change == "dora":
        ups = [key for key in tensors if "lora_B" in key]
        tensors |= {
            key.replace("lora_B.weight", "lora_magnitude_vector"): torch.ones(len(tensors[key]))
            for key in ups
        }
    else:
        tensors = {key: value for key, value in tensors.items() if "attn" in key}
    other = written(traced, "other", tensors)
    run = traced("--lora", traced.world.good, "--lora", other, "--lora-compile", "-k", "good")
    assert why in run.err
    assert run.report["run"]["compiled"].startswith(f"no: {why}")
    assert run.report["run"]["made"]["images"] == 0  # the plain run's images are this run's
    rows = {row["check"]: row["outcome"] for row in run.report["loras"][0]["rows"]}
    assert rows == {check: found for (name, check), found in first_run.outcomes.items() if name == "good"}
