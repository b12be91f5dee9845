"""A card that is too small: what is sent home, what is said, and how often anything is loaded."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import kinds
import numpy as np
import pytest
import torch
from card import DEVICE, Card, card, size_of
from families import load
from sampled import FolderOf, guidance, images, loaded, prompts, specs
from world import World

from lora_checks.core import memory as host
from lora_checks.core.errors import GenerationError, LoraFileError, NoRoomError
from lora_checks.core.records import Base, Lora
from lora_checks.core.store import Store
from lora_checks.diffusion.base import pipeline, resolve, room
from lora_checks.diffusion.base.memory import Memory, choose_memory, place
from lora_checks.diffusion.decoder import Limits
from lora_checks.diffusion.generate import Studio
from lora_checks.diffusion.generated import GeneratedImages
from lora_checks.diffusion.proof import kept
from lora_checks.diffusion.sampling import sample
from lora_checks.images import plan
from lora_checks.lora.file import inspect
from lora_checks.policy.reading import load_policy

AMPLE = 1 << 40
OUT = "CUDA out of memory. Tried to allocate 2.00 GiB"


@pytest.fixture(scope="module")
def folder(family_folder: FolderOf) -> Path:
    return family_folder("SDXL")


@pytest.fixture(scope="module")
def sizes(folder: Path) -> dict[str, int]:
    return size_of(load(folder))


@pytest.fixture(scope="module")
def loras(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Lora]:
    """Two LoRAs of the denoiser and both text encoders."""
    where, pipe = tmp_path_factory.mktemp("loras"), load(folder)
    paths = [kinds.build("kohya LoRA", pipe, where / f"lora{i}.safetensors", seed=i) for i in range(2)]
    return [inspect(path, path.stem) for path in paths]


def studio(folder: Path, offload: str = "none", dtype: str = "float32") -> Studio:
    return Studio(resolve(Base(str(folder))), prompts(), DEVICE, dtype, memory=Memory(offload))


@contextmanager
def loads() -> Iterator[list[str]]:
    """How often a pipeline was begun to be read."""
    begun: list[str] = []
    read = pipeline._read

    def counted(*arguments: Any) -> Any:
        begun.append("")
        return read(*arguments)

    with patch.object(pipeline, "_read", counted):
        yield begun


def refused(run: Any) -> NoRoomError:
    with pytest.raises(NoRoomError) as error:
        run()
    return error.value


# --- offloaded: one network at a time


def test_no_network_comes_beside_another(folder: Path, loras: list[Lora]) -> None:
    """In a proof, after it, and in the images that follow; nothing stays there at the end."""
    with card(AMPLE) as there:
        one = studio(folder, "model")
        proof = one.prove(loras[0], ())
        assert set(proof.effect) == {"unet", "text_encoder", "text_encoder_2"}
        assert there.held == 0
        list(one.render(specs(prompts(), 1), loras[0]))
    assert (there.beside, there.held) == (1, 0)
    assert there.most > 0


def test_no_network_comes_beside_one_that_ran_out_of_memory(folder: Path) -> None:
    said: list[str] = []
    with card(AMPLE) as there:
        pipe = loaded(folder, prompts(guidance=1.0))
        place(pipe, DEVICE, Memory("model"))
        forward = pipe.unet._old_forward

        def short(latents: Any, *rest: Any, **options: Any) -> Any:
            if len(latents) > 1:
                raise torch.OutOfMemoryError(OUT)
            return forward(latents, *rest, **options)

        pipe.unet._old_forward = short
        made = list(sample(pipe, specs(prompts(guidance=1.0), 2), Limits(), said.append))
    assert [one.batch for one in made] == [1, 1]
    assert len(said) == 1
    assert there.beside == 1


def test_a_move_that_breaks_off_is_undone(folder: Path, sizes: dict[str, int]) -> None:
    pipe = load(folder)
    with card(sizes["text_encoder"] + sizes["unet"] / 2) as there:
        with pytest.raises(torch.OutOfMemoryError):
            place(pipe, DEVICE, Memory())
        assert there.most > sizes["unet"] / 2
        assert there.held == 0


HEAVY_READER = "FLUX.2 dev"  # its text encoder outweighs its denoiser


@pytest.mark.parametrize("family", ["SDXL", HEAVY_READER])
def test_networks_take_turns_by_themselves_where_they_do_not_fit(
    family: str, family_folder: FolderOf
) -> None:
    """The most that is on the card is the largest network, and pixels are those of a card with room."""
    where = family_folder(family)
    sizes = size_of(load(where))
    largest = max(sizes, key=lambda name: sizes[name])
    assert (largest == "text_encoder") is (family == HEAVY_READER)
    made = []
    for free, offload in ((sum(sizes.values()) * 2, "none"), (sum(sizes.values()) * 1.05, "model")):
        with card(free) as there:
            one = studio(where, "auto")
            made.append(
                [image.png() for image in one.render(specs(prompts(guidance=guidance(family)), 1), None)]
            )
            assert one.memory.offload == offload
        if offload == "model":
            assert there.most <= 1.15 * sizes[largest]
    assert made[0] == made[1]


def test_that_networks_take_turns_is_said(folder: Path, sizes: dict[str, int]) -> None:
    said: list[str] = []
    with card(sum(sizes.values())):
        list(
            Studio(
                resolve(Base(str(folder))),
                prompts(),
                DEVICE,
                "float32",
                memory=Memory("auto"),
                say=said.append,
            ).render(specs(prompts(), 1), None)
        )
    assert len(said) == 1
    assert said[0].endswith("free: one network at a time is there (--lora-offload model)")


@pytest.mark.parametrize(
    ("device", "asked", "chosen"),
    [("cpu", "auto", "none"), ("mps", "auto", "none"), ("cuda:1", "auto", "auto")],
)
def test_auto_is_for_cards_with_a_memory_of_their_own(device: str, asked: str, chosen: str) -> None:
    assert choose_memory(asked, None, device).offload == chosen


# --- a base that does not fit


@pytest.mark.parametrize("known", [True, False], ids=["known before", "found out"])
def test_a_base_that_does_not_fit_is_tried_once(
    folder: Path, sizes: dict[str, int], loras: list[Lora], known: bool
) -> None:
    with card(sum(sizes.values()) - 1e4) as there, loads() as begun:
        with patch.object(room, "device_room", room.device_room if known else lambda _: None):
            one = studio(folder)
            errors = [refused(lambda lora=lora: one.prove(lora, ())) for lora in loras]
            errors += [refused(lambda: list(one.render(specs(prompts(), 1), None)))]
        assert len(begun) == (0 if known else 1)
        assert there.held == 0  # though the errors are kept, and their tracebacks with them
    assert len({str(error) for error in errors}) == 1
    text = str(errors[0])
    assert text.startswith(f"{DEVICE} has not enough memory for base model ")
    assert f"its weights take {sum(sizes.values()) / 2**20:.1f} MiB in float32" in text
    assert f"the unet alone {sizes['unet'] / 2**20:.1f} MiB" in text
    assert "--lora-offload model" in text
    assert "--lora-dtype" in text
    assert ("are free" in text) is known
    assert "\n" not in text


def test_the_largest_part_does_not_fit_either(folder: Path, sizes: dict[str, int], loras: list[Lora]) -> None:
    with card(sizes["unet"] / 2):
        for offload in ("none", "model"):
            error = refused(lambda o=offload: studio(folder, o, "float32").prove(loras[0], ()))
            assert "--lora-offload group" in str(error)
    with card(sizes["unet"] / 20):
        for offload in ("none", "model", "group"):
            error = refused(lambda o=offload: studio(folder, o, "float32").prove(loras[0], ()))
            assert "--lora-offload sequential" in str(error)
        base = resolve(Base(str(folder)))
        room.Room(base, DEVICE, "float32", Memory("sequential")).refuse()  # holds a layer at a time


def test_main_memory_is_asked_before(folder: Path, sizes: dict[str, int], loras: list[Lora]) -> None:
    """Weights in the files' own format can be read again; those that are converted cannot."""
    total = sum(sizes.values())
    with patch.object(host, "available", lambda: total // 4):
        with loads() as begun:
            half = Studio(resolve(Base(str(folder))), prompts(), "cpu", "bfloat16")
            error = refused(lambda: half.prove(loras[0], ()))
        assert begun == []
        assert "main memory does not hold base model" in str(error)
        needed, left = f"{total / 2**21:.1f} MiB", f"{total / 2**22:.1f} MiB"
        assert f"take {needed} of it in bfloat16, and {left} are" in str(error)
        room.Room(resolve(Base(str(folder))), "cpu", "float32", Memory()).refuse()


def test_an_error_that_is_kept_keeps_no_pipeline(folder: Path, loras: list[Lora]) -> None:
    """Every error of a run is kept to its end; each would keep a pipeline on the card."""
    with card(AMPLE) as there:
        one = studio(folder)
        list(one.render(specs(prompts(), 1), None))
        assert there.held
        fails = patch("lora_checks.diffusion.apply.activate", side_effect=GenerationError("another base"))
        with fails, pytest.raises(GenerationError, match="another base") as error:
            one.prove(loras[0], ())
        gc.collect()
        assert error.value.__traceback__ is not None
        assert there.held == 0


def test_a_base_that_is_refused_after_loading_is_gone(folder: Path) -> None:
    fails = patch.object(pipeline, "_check_whole", side_effect=GenerationError("a weight is missing"))
    with card(AMPLE) as there, fails, pytest.raises(GenerationError, match="weight is missing") as error:
        list(studio(folder).render(specs(prompts(), 1), None))
    assert error.value.__traceback__ is not None
    assert there.most
    assert there.held == 0


def test_main_memory_holds_one_network_at_a_time(folder: Path, sizes: dict[str, int]) -> None:
    at_home: list[int] = []
    enter = Card._enter

    def seen(self: Card, module: Any, where: str) -> None:
        at_home.append(weights_at_home() - before)
        enter(self, module, where)

    gc.collect()
    before = weights_at_home()
    with card(AMPLE), patch.object(Card, "_enter", seen):
        assert list(studio(folder).render(specs(prompts(), 1), None))
    assert len(at_home) >= 4
    assert max(at_home) == sizes["unet"]


def weights_at_home() -> int:
    """Return the bytes of all weights in this process that are on the CPU."""
    alive = (thing for thing in gc.get_objects() if type(thing) is torch.nn.Parameter)
    return sum(weight.nbytes for weight in alive if weight.device.type == "cpu")


@pytest.mark.parametrize(("free", "trips"), [(8 << 30, 0), (1 << 30, 2)])
def test_weights_stay_where_there_is_room(folder: Path, free: int, trips: int) -> None:
    """The measuring networks come beside them; where they do not fit, it is one trip home and one back."""
    with card(AMPLE) as there, patch.object(room, "device_room", lambda _: (free, AMPLE)):
        one = studio(folder)
        list(one.render(specs(prompts(), 1), None))
        before = len(there.trips)
        one.rest()
        one.rest()
        list(one.render(specs(prompts(), 1), None))
        assert len(there.trips) - before == trips * 4  # two text encoders, the unet, the vae


@contextmanager
def silent(_total: int) -> Iterator[Any]:
    """No progress bar."""
    yield lambda _done: None


def test_each_lora_takes_one_trip_home(world: World, folder: Path, loras: list[Lora], tmp_path: Path) -> None:
    """The base's image, which each LoRA's first is compared with, is made on the same stay."""
    said = replace(prompts(), base=Base(str(folder)))
    policy = replace(load_policy(world.policy), prompts=said)
    with card(AMPLE) as there, patch.object(room, "device_room", lambda _: (1 << 30, AMPLE)):
        source = GeneratedImages(policy, Store(tmp_path), DEVICE, "float32", 1, lambda _: silent)
        for lora in loras:
            assert len(source.candidate(lora, said).images) == 1
        home = [network for network, where in there.trips if where == "cpu"]
    assert home.count("UNet2DConditionModel") == len(loras)


def test_all_loras_of_a_run_take_one_trip_home(
    world: World, folder: Path, loras: list[Lora], tmp_path: Path
) -> None:
    """Their images are made on one stay, and the base's too; what cannot be made waits for its turn."""
    said = replace(prompts(), base=Base(str(folder)))
    policy = replace(load_policy(world.policy), prompts=said)
    broken = replace(loras[1], sha256="0" * 64, name="broken")
    with card(AMPLE) as there, patch.object(room, "device_room", lambda _: (1 << 30, AMPLE)):
        source = GeneratedImages(policy, Store(tmp_path), DEVICE, "float32", 1, lambda _: silent)
        source.ahead(lambda: [loras[0], broken, loras[1]], with_base=True)
        for lora in loras:
            images = source.candidate(lora, said)
            assert len(source.counterparts(images).images) == 1
        trips = [where for network, where in there.trips if network == "UNet2DConditionModel"]
        assert trips.count("cpu") == 1
        with pytest.raises(LoraFileError, match="changed while it was being gated"):
            source.candidate(broken, said)


def test_workers_on_two_cards_share_images_and_proofs(
    world: World, folder: Path, loras: list[Lora], tmp_path: Path
) -> None:
    said = replace(prompts(), base=Base(str(folder)))
    policy, store = replace(load_policy(world.policy), prompts=said), Store(tmp_path)
    places = set()
    for device in ("cuda", "cuda:0", "cuda:1", "cpu"):
        machine = GeneratedImages(policy, store, device, "float32", 1, lambda _: silent).machine
        places.add((kept.place(store, machine, loras[0], ()), plan.baseline(said, machine)[0].digest))
    assert len(places) == 2  # of a GPU, and of a CPU


# --- the VAE


class Counted:
    """Counts what the denoiser does, and lets the decoder hold so many images."""

    def __init__(self, pipe: Any, hold: int) -> None:
        self.denoised, self.decoded = 0, list[int]()
        denoise, decode = pipe.unet.forward, pipe.vae.decoder.forward

        def unet(*args: Any, **kwargs: Any) -> Any:
            self.denoised += 1
            return denoise(*args, **kwargs)

        def decoder(latents: Any, *args: Any, **kwargs: Any) -> Any:
            self.decoded.append(len(latents))
            if len(latents) > hold:
                raise torch.OutOfMemoryError(OUT)
            return decode(latents, *args, **kwargs)

        pipe.unet.forward, pipe.vae.decoder.forward = unet, decoder


def test_latents_outlive_a_vae_that_runs_out_of_memory(family_folder: FolderOf) -> None:
    limits, said = Limits(), list[str]()
    plain = images(loaded(family_folder("SD 1.x"), prompts()), prompts(), 3)
    pipe = loaded(family_folder("SD 1.x"), prompts())
    counted = Counted(pipe, hold=1)
    for _ in range(2):
        made = list(sample(pipe, specs(prompts(), 3), limits, said.append))
        assert [one.batch for one in made] == [3, 3, 3]
        apart = max(np.abs(a.pixels - b.pixels).max() for a, b in zip(made, plain, strict=True))
        assert apart < 1 / 255
    assert counted.denoised == 2 * prompts().sampler.steps
    assert counted.decoded == [3, *[1] * 6]  # tried together once in the run
    assert len(said) == 1
    assert "one at a time" in said[0]
    assert "decode" not in vars(pipe.vae)


def test_a_vae_without_room_for_one_image(family_folder: FolderOf) -> None:
    pipe = loaded(family_folder("SD 1.x"), prompts())
    counted = Counted(pipe, hold=0)
    error = refused(lambda: list(sample(pipe, specs(prompts(), 2), Limits(), print)))
    assert "cpu has not enough memory to decode one 32x32 image" in str(error)
    assert "--lora-save-memory vae-tiling" in str(error)
    assert counted.denoised == prompts().sampler.steps  # no smaller batch would have helped


def test_on_a_card_the_vae_decodes_one_at_a_time(family_folder: FolderOf) -> None:
    folder = family_folder("SD 1.x")
    with card(AMPLE):
        pipe = pipeline.load_pipeline(resolve(Base(str(folder))), prompts(), DEVICE, "float32", Memory())
        counted = Counted(pipe, hold=9)
        list(sample(pipe, specs(prompts(), 2), Limits(), print))
    assert counted.decoded == [1, 1]
    assert not loaded(folder, prompts()).vae.use_slicing  # a batch is faster on a CPU
