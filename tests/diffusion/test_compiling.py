"""--lora-compile: LoRAs are swapped into compiled blocks, and the images are those of the plain pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import bare_lora
import kinds
import numpy as np
import pytest
import torch
from families import load
from sampled import FolderOf, prompts, specs

from lora_checks.core.errors import GenerationError
from lora_checks.core.records import Base, Lora
from lora_checks.diffusion import apply, compiling, seating
from lora_checks.diffusion.apply import seat
from lora_checks.diffusion.base import resolve
from lora_checks.diffusion.generate import Studio
from lora_checks.lora.file import inspect

FAMILY = "FLUX"


@pytest.fixture(scope="module")
def folder(family_folder: FolderOf) -> Path:
    return family_folder(FAMILY)


@pytest.fixture(scope="module")
def loras(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Lora]:
    where, pipe = tmp_path_factory.mktemp("loras"), load(folder)
    paths = [kinds.build("kohya LoRA", pipe, where / f"lora{i}.safetensors", seed=i) for i in range(3)]
    return [replace(inspect(path, path.stem), scale=1 - i / 3) for i, path in enumerate(paths)]


@pytest.fixture(autouse=True)
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(compiling, "BACKEND", "eager")
    yield
    torch._dynamo.reset()


def studio(folder: Path, compiled: bool, *companions: Lora, dtype: str = "float32") -> Studio:
    return Studio(
        resolve(Base(str(folder))), prompts(), "cpu", dtype, companions=companions, compiled=compiled
    )


def pixels(one: Studio, lora: Lora | None, count: int = 1) -> Any:
    return np.stack([image.sampled.pixels for image in one.render(specs(prompts(), count), lora)])


def test_loras_of_one_rank_are_swapped_in_without_compiling_anew(folder: Path, loras: list[Lora]) -> None:
    plain, compiled = studio(folder, False), studio(folder, True)
    compiled.prove(loras[0], ())
    pixels(compiled, loras[0])
    torch._dynamo.config.error_on_recompile = True
    try:
        made = [(lora, pixels(compiled, lora)) for lora in (None, *loras, None)]
        proofs = [compiled.prove(lora, ()) for lora in loras]
    finally:
        torch._dynamo.config.error_on_recompile = False
    for lora, images in made:
        assert np.abs(images - pixels(plain, lora)).max() < 1e-5
    assert [p.layers for p in proofs] == [len(lora.layers) for lora in loras]


def test_the_base_comes_through_the_code_of_the_loras_also_if_it_comes_first(
    folder: Path, loras: list[Lora]
) -> None:
    """In bfloat16 a block without a seat rounds otherwise, and one digest would name two pictures."""
    compiled = Studio(
        resolve(Base(str(folder))), prompts(), "cpu", "float32", compiled=True, first=lambda: loras[1]
    )
    first = pixels(compiled, None)
    torch._dynamo.config.error_on_recompile = True
    try:
        compiled_after = [pixels(compiled, lora) for lora in (loras[0], None)]
    finally:
        torch._dynamo.config.error_on_recompile = False
    assert np.array_equal(first, compiled_after[1])
    assert not np.array_equal(first, compiled_after[0])


@pytest.mark.parametrize(("rank", "size"), [(1, 8), (8, 8), (9, 16), (16, 16), (100, 128)])
def test_a_seat_depends_on_the_rank_alone(rank: int, size: int) -> None:
    assert seat.capacity(rank) == size


def test_what_is_no_plain_lora_is_said(folder: Path, loras: list[Lora], tmp_path: Path) -> None:
    path = kinds.build("LyCORIS LoHa", load(folder), tmp_path / "loha.safetensors")
    loha = inspect(path, "loha")
    assert compiling.why_plain(loras, folder, "auto") == ""
    assert "kind loha" in compiling.why_plain([*loras, loha], folder, "none")
    assert "sequential" in compiling.why_plain(loras, folder, "sequential")
    assert "quantised" in compiling.why_plain(loras, folder, "none", quantised=True)
    with pytest.raises(GenerationError, match="cannot be swapped into compiled layers"):
        studio(folder, True).prove(loha, ())


def test_the_base_s_seat_is_the_first_that_fits(folder: Path, loras: list[Lora], tmp_path: Path) -> None:
    change = bare_lora.drawn(load(folder), "transformer")
    wrong = {spot: (down[:, :-1], up) for spot, (down, up) in change.items()}
    unfit = inspect(bare_lora.write(wrong, tmp_path / "unfit.safetensors"), "unfit")
    every = inspect(bare_lora.write(change, tmp_path / "every.safetensors"), "every")
    found = seating.decide([unfit, *loras], (), folder, "none")
    assert (found.why_plain, found.first) == ("", loras[0])
    assert found.name == seating.decide(loras[1:], (), folder, "none").name
    assert found.name != seating.decide([every], (), folder, "none").name
    assert seating.decide([unfit], (), folder, "none") == seating.Seating()
    assert (
        "every.safetensors changes other layers than lora0"
        in seating.decide([*loras, every], (), folder, "none").why_plain
    )


def test_numbers_of_the_lora_before_are_found(folder: Path, loras: list[Lora]) -> None:
    one = studio(folder, True)
    one.prove(loras[0], ())
    with (
        patch.object(seat, "_copy", lambda held, *_: held),
        pytest.raises(GenerationError, match=r"lora1.* layer .* on "),
    ):
        one.prove(loras[1], ())


def test_compiled_code_with_old_numbers_is_found(folder: Path, loras: list[Lora]) -> None:
    """As after folding weights into the code: the modules are right, and what runs is not."""
    one = studio(folder, True)
    list(one.render(specs(prompts()), None))
    plain = one._compiled
    assert plain is not None

    @contextmanager
    def without() -> Iterator[None]:
        seats = [slot for slots in apply.slots(one._pipe).values() for slot in slots]
        kept = [float(slot.strength) for slot in seats]
        for slot in seats:
            slot.strength.zero_()
        yield
        for slot, strength in zip(seats, kept, strict=True):
            slot.strength.fill_(strength)

    with patch.object(plain, "on", without), pytest.raises(GenerationError, match="compiled"):
        one.prove(loras[0], ())


def test_companions_stay_beside_the_seat(folder: Path, loras: list[Lora]) -> None:
    plain, compiled = (studio(folder, on, loras[2]) for on in (False, True))
    compiled.prove(loras[2], ())
    for lora in (loras[0], loras[1], None):
        if lora:
            assert compiled.prove(lora, loras[2:]).layers == len(lora.layers)
        assert np.abs(pixels(compiled, lora) - pixels(plain, lora)).max() < 1e-5
    compiled.prove(loras[2], ())  # the seat is taken, and adds nothing


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_strength_in_a_seat_rounds_as_a_number_does(dtype: str) -> None:
    up = torch.nn.Linear(4, 5, bias=False, dtype=getattr(torch, dtype))
    x = torch.randn(64, 4, generator=torch.Generator().manual_seed(0)).to(up.weight.dtype)
    wrapped = seat._module(up)
    for strength in (0.7, 1 / 3, 1.0, -0.123456789):
        wrapped.strength.fill_(strength)
        assert torch.equal(wrapped(x), up(x) * strength)
    wrapped.strength.fill_(0.0)
    assert not wrapped(torch.full_like(x, torch.inf)).any()
