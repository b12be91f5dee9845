"""Where memory runs out in making images, LoRAs that are switched off go first, then the batch is halved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import kinds
import pytest
import torch
from families import load
from sampled import FolderOf, images, loaded, prompts, specs

from lora_checks.core.errors import NoRoomError
from lora_checks.core.records import Base, Lora
from lora_checks.core.store import Store
from lora_checks.diffusion.apply import slots
from lora_checks.diffusion.base import resolve
from lora_checks.diffusion.base.memory import Memory
from lora_checks.diffusion.generate import Rendered, Studio
from lora_checks.diffusion.quantised.weights import without_gradients
from lora_checks.images import made
from lora_checks.lora.file import inspect

Fits = Callable[[int, int], bool]  # of how many LoRAs are there, and how many images at a time


@pytest.fixture(scope="module")
def folder(family_folder: FolderOf) -> Path:
    return family_folder("SD 1.x")


@pytest.fixture(scope="module")
def loras(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Lora]:
    where, pipe = tmp_path_factory.mktemp("loras"), load(folder)
    paths = [kinds.build("kohya LoRA", pipe, where / f"lora{i}.safetensors", seed=i) for i in range(4)]
    return [inspect(path, path.stem) for path in paths]


def studio(folder: Path, offload: str = "none", **more: Any) -> tuple[Studio, list[str]]:
    said: list[str] = []
    base = resolve(Base(str(folder)))
    # "cpu:0" is another device than "cpu" to torch: weights that are offloaded are really copied
    return Studio(base, prompts(), "cpu:0", "float32", memory=Memory(offload), say=said.append, **more), said


def render(one: Studio, lora: Lora | None, count: int = 1) -> list[Rendered]:
    return list(one.render(specs(prompts(), count), lora))


def shrink(one: Studio, fits: Fits, part: str = "unet") -> None:
    """Let the loaded pipeline run out of memory as a card would, by its layers."""
    pipe = one._pipe
    layer = pipe.unet.conv_out if part == "unet" else pipe.vae.decoder.conv_out
    forward = layer.forward

    def short(x: Any) -> Any:
        if not fits(len(slots(pipe)), len(x)):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return forward(x)

    layer.forward = short


def there(one: Studio) -> list[str]:
    return [name.removeprefix("lora_") for name in slots(one._pipe)]


def short_names(loras: list[Lora]) -> list[str]:
    return [lora.sha256[:16] for lora in loras]


@pytest.mark.parametrize("offload", ["none", "model", "group"])
def test_loras_that_are_switched_off_go_before_the_batch(
    folder: Path, loras: list[Lora], offload: str
) -> None:
    plain, _ = studio(folder)
    one, said = studio(folder, offload)
    for lora in loras[:3]:
        render(one, lora)
    shrink(one, lambda there, _: there <= 2)
    found, expected = render(one, loras[0], 4), render(plain, loras[0], 4)  # lora1 was not used for longest
    assert [image.how["batch"] for image in found] == [4] * 4
    assert there(one) == short_names([loras[0], loras[2]])
    assert all((a.sampled.pixels == b.sampled.pixels).all() for a, b in zip(found, expected, strict=True))
    assert said == ["memory ran out: no more than 2 LoRAs at a time on the base from here on"]
    render(one, loras[3])
    assert set(there(one)) == set(short_names([loras[0], loras[3]]))  # and does not run out again
    assert len(said) == 1


def test_the_batch_is_halved_when_no_other_lora_is_left(folder: Path, loras: list[Lora]) -> None:
    one, said = studio(folder)
    for lora in loras:
        render(one, lora)
    shrink(one, lambda there, images: there == 1 and images <= 4)  # guidance doubles a batch
    found = render(one, loras[3], 4)
    assert [image.how["batch"] for image in found] == [2] * 4
    assert there(one) == short_names(loras[3:])
    assert [line.split(":")[0] for line in said] == ["memory ran out"] * 3 + [
        "memory holds no 4 images at a time"
    ]


@pytest.mark.parametrize("offload", ["none", "model", "group"])
def test_only_what_is_moved_runs_outside_of_inference_mode(family_folder: FolderOf, offload: str) -> None:
    """Compiled blocks are compiled for one mode; FLUX's pipeline leaves an empty registry of hooks behind."""
    pipe = loaded(family_folder("FLUX"), prompts(), memory=Memory(offload))
    for _ in range(2):
        with without_gradients(pipe):
            assert torch.is_inference_mode_enabled() is (offload == "none")
            assert not torch.is_grad_enabled()
        images(pipe, prompts())


def test_companions_stay(folder: Path, loras: list[Lora]) -> None:
    one, said = studio(folder, companions=[loras[0]])
    for lora in loras[1:3]:
        render(one, lora)
    shrink(one, lambda there, _: there <= 1)
    with pytest.raises(NoRoomError, match="cpu has not enough memory for one 32x32 image"):
        render(one, loras[2])
    assert len(said) == 1


def test_the_base_needs_no_lora_beside_it(folder: Path, loras: list[Lora]) -> None:
    one, said = studio(folder)
    render(one, loras[0])
    shrink(one, lambda there, _: there == 0)
    (found,) = render(one, None)
    (expected,) = render(studio(folder)[0], None)
    assert (found.sampled.pixels == expected.sampled.pixels).all()
    assert there(one) == []
    assert said == ["memory ran out: no more than 1 LoRA at a time on the base from here on"]


def test_decoding_has_the_room_too(folder: Path, loras: list[Lora]) -> None:
    one, said = studio(folder)
    for lora in loras[:2]:
        render(one, lora)
    shrink(one, lambda there, _: there == 1, "vae")
    (found,) = render(one, loras[1])
    assert there(one) == short_names(loras[1:2])
    assert found.how["resident_loras"] == 1
    assert len(said) == 1


def test_the_record_says_how_few(folder: Path, loras: list[Lora], tmp_path: Path) -> None:
    store = Store(tmp_path)
    one, _ = studio(folder)
    with made.another_run():
        for lora in loras[:3]:
            (image,) = render(one, lora)
            assert "resident_loras" not in image.how
            made.note(store, image.sampled.spec, image.how)
        assert "resident_loras" not in made.summary(store, 0)
        shrink(one, lambda there, _: there <= 2)
        (image,) = render(one, loras[0])
        made.note(store, image.sampled.spec, image.how)
        assert made.summary(store, 0)["resident_loras"] == 2
