"""--lora-compile with torch's own compiler, in bfloat16, where compiled code rounds unlike plain code."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import bare_lora
import numpy as np
import pytest
import torch
from families import load
from sampled import FolderOf, prompts, specs

from lora_checks.core.records import Base, Lora
from lora_checks.diffusion.base import resolve
from lora_checks.diffusion.generate import Studio
from lora_checks.lora.file import inspect

HAS_COMPILER = any(map(shutil.which, ("g++", "clang++", "c++")))
pytestmark = pytest.mark.skipif(
    not HAS_COMPILER, reason="inductor compiles with g++ or clang++: neither is here"
)


@pytest.fixture(scope="module", autouse=True)
def nothing_compiled_before(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("inductor")))
        torch._dynamo.reset()
        yield
        torch._dynamo.reset()


@pytest.fixture(scope="module")
def folder(family_folder: FolderOf) -> Path:
    return family_folder("Qwen-Image")  # one kind of block, so little to compile


def lora(folder: Path, path: Path, layers: str, seed: int) -> Lora:
    change = bare_lora.drawn(load(folder), "transformer", seed=seed)
    chosen = {spot: value for spot, value in change.items() if layers in spot[1]}
    return replace(inspect(bare_lora.write(chosen, path), path.stem), scale=1 - seed / 3)


def pixels(studio: Studio, lora: Lora | None) -> Any:
    return np.stack([image.sampled.pixels for image in studio.render(specs(prompts(), 2, "bfloat16"), lora)])


def test_loras_of_one_rank_share_code_and_others_leave_the_base_as_it_was(
    folder: Path, tmp_path: Path
) -> None:
    first, second = (lora(folder, tmp_path / f"lora{i}.safetensors", "attn", i) for i in (0, 1))
    other = lora(folder, tmp_path / "other.safetensors", "mlp", 2)
    base = resolve(Base(str(folder)))
    plain = Studio(base, prompts(), "cpu", "bfloat16")
    compiled = Studio(base, prompts(), "cpu", "bfloat16", compiled=True, first=lambda: first)
    bare = pixels(compiled, None)
    with torch._dynamo.config.patch(error_on_recompile=True):
        ours, theirs = pixels(compiled, first), pixels(compiled, second)
        assert np.array_equal(pixels(compiled, None), bare)
    for made, with_lora in ((bare, None), (ours, first), (theirs, second)):
        assert np.abs(made - pixels(plain, with_lora)).mean() < np.abs(ours - bare).mean() / 5
    pixels(compiled, other)  # code around other layers rounds otherwise
    assert np.array_equal(pixels(compiled, None), bare)
