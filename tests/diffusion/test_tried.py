"""Before the first image, what a base accepts and ignores is an error, and what it reads is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import families
import pytest
from diffusers import DDIMScheduler
from sampled import FolderOf, checked, copied, images, loaded, prompts

from lora_checks.core.errors import ConfigError
from lora_checks.core.records import PromptSet
from lora_checks.core.store import Store
from lora_checks.diffusion.base import ResolvedBase
from lora_checks.diffusion.base.family import family_of
from lora_checks.diffusion.generate import Studio
from lora_checks.diffusion.settled import FOLDER, Settled
from lora_checks.diffusion.tried import refuse_ignored
from lora_checks.images import plan

NAMES = tuple(families._FILES)
SCALED = {"HiDream": "128x128", "Kandinsky 5": "1024x1024"}  # they make every size one of a few
MACHINE = plan.Machine("base", "cpu", "float32", ("torch 1",))


class Bases:
    """One pipeline of each family, loaded once."""

    def __init__(self, folder_of: FolderOf) -> None:
        self.folder_of = folder_of
        self._pipes: dict[str, Any] = {}

    def refuse(self, name: str, policy: PromptSet) -> None:
        folder = self.folder_of(name)
        if name not in self._pipes:
            self._pipes[name] = loaded(folder, policy)
        refuse_ignored(self._pipes[name], folder, policy)


@pytest.fixture(scope="module")
def bases(family_folder: FolderOf) -> Bases:
    return Bases(family_folder)


def right(folder: Path) -> dict[str, Any]:
    """Every setting that the base reads."""
    family = family_of(folder)
    settings: dict[str, Any] = {"guidance": None if family.unguided else 3.0}
    if family.negative != "never":
        settings["negative"] = "dark"
    if family.negative == "true_cfg_scale":
        settings["true_cfg_scale"] = 3.0
    if family.sequence is not None:
        settings["max_sequence_length"] = 96
    return settings


@pytest.mark.parametrize("name", NAMES)
def test_what_a_base_reads_is_accepted(bases: Bases, name: str) -> None:
    policy = prompts("photo of sks person", **right(bases.folder_of(name)))
    assert checked(bases.folder_of(name), policy) == ()
    if name not in SCALED:
        bases.refuse(name, policy)
        return
    with pytest.raises(ConfigError, match=f"^prompts.yaml:2: sampler.width: .* write {SCALED[name]}$"):
        bases.refuse(name, policy)


FAR = {"max_sequence_length": 48, "guidance": None}
IGNORED = [
    ("SD 1.x", {"guidance": 0.5}, "2: sampler.guidance: guidance_scale 0.5 has no effect"),
    ("SD 1.x", {"guidance": 1.0, "negative": "dark"}, "2: sampler.negative: the negative prompt has no eff"),
    ("SD 1.x", {"text": "a" * 76}, "9: prompt 'p0' has 78 tokens .* only the first 77; shorten it"),
    ("SD 1.x", {"width": 36}, "2: sampler.height: this base refuses it: .*divisible by 8"),
    ("FLUX", {"negative": "dark"}, "2: sampler.negative: the negative prompt has no eff"),
    ("FLUX", {"width": 34}, "2: sampler.width: this base makes 32x32 where 34x32 is asked .* write 32x32"),
    ("FLUX schnell", {"guidance": 3.5}, "2: sampler.guidance: .* remove it, and set 'true_cfg_scale'"),
    ("FLUX.2 klein", {"guidance": 4.0}, "2: sampler.guidance: guidance_scale 4.0 has no ef.* remove it$"),
    ("FLUX.2 klein", {"text": "a" * 47, **FAR}, "9: prompt 'p0' has .* only the first 48; shorten it or"),
    ("Qwen-Image", {"guidance": 4.0}, "2: sampler.guidance: .* set 'true_cfg_scale' above 1"),
    ("Qwen-Image", {"text": "a" * 60, **FAR}, "9: the end of prompt 'p0' .* changes nothing"),
    ("Z-Image", {"guidance": 0.0, "negative": "dark"}, "2: sampler.negative: the negative prompt has no eff"),
    ("Z-Image", {"text": "a" * 47, **FAR}, "9: prompt 'p0' has .* only the first 48; shorten it or"),
    ("Krea 2", {"guidance": 0.0, "negative": "dark"}, "2: sampler.negative: the negative prompt has no eff"),
    ("Lumina2", {"max_sequence_length": 600}, "2: sampler.max_sequence_length: this base refuses it: .*512"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "settings", "message"), IGNORED)
def test_what_a_base_ignores_is_found_by_trying(
    bases: Bases, name: str, settings: dict[str, Any], message: str
) -> None:
    """The trial alone: none of what is declared of a family is asked."""
    asked = dict(settings)
    text = asked.pop("text", "photo of sks person")
    with pytest.raises(ConfigError, match=rf"^prompts\.yaml:{message}"):
        bases.refuse(name, prompts(text, **asked))


def test_steps_that_a_scheduler_does_not_count(family_folder: FolderOf) -> None:
    class Stubborn(DDIMScheduler):
        def set_timesteps(self, _steps: int, device: Any = None) -> None:
            super().set_timesteps(4, device)

    policy = prompts("photo of sks person", steps=20)
    pipe = loaded(family_folder("SD 1.x"), policy)
    pipe.scheduler = Stubborn.from_config(pipe.scheduler.config)
    with pytest.raises(ConfigError, match=r"sampler\.steps: this base takes 4 steps whatever is asked"):
        refuse_ignored(pipe, family_folder("SD 1.x"), policy)


def test_a_pipeline_is_left_as_it_was(family_folder: FolderOf) -> None:
    policy = prompts("photo of sks person", negative="dark")
    pipe = loaded(family_folder("SD 1.x"), policy)
    before = images(pipe, policy)[0].pixels
    refuse_ignored(pipe, family_folder("SD 1.x"), policy)
    assert "step" not in vars(pipe.scheduler)
    assert (images(pipe, policy)[0].pixels == before).all()


@contextmanager
def counted(module: Any) -> Iterator[list[int]]:
    """Collect how many latent values each call of a denoiser reads; Z-Image hands them over in a list."""
    sizes: list[int] = []

    def count(_: Any, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        latents = args[0] if args else named["hidden_states"]
        sizes.append(sum(part.numel() for part in latents))

    hook = module.register_forward_pre_hook(count, with_kwargs=True)
    try:
        yield sizes
    finally:
        hook.remove()


@pytest.mark.parametrize("name", ["SD 1.x", "FLUX", "Z-Image"])
def test_it_costs_less_than_half_an_image(family_folder: FolderOf, name: str) -> None:
    """Even at the four steps of a distilled LoRA, with every setting in use."""
    folder = family_folder(name)
    settings = {**right(folder), "steps": 4, "width": 128, "height": 128}
    policy = prompts("photo of sks person", **settings)
    pipe = loaded(folder, policy)
    denoiser = getattr(pipe, "unet", None) or pipe.transformer
    with counted(denoiser) as trial:
        refuse_ignored(pipe, folder, policy)
    with counted(denoiser) as image:
        images(pipe, policy)
    assert 0 < sum(trial) < sum(image) / 2


class Counting(Studio):
    tried = 0

    def try_settings(self) -> None:
        self.tried += 1
        super().try_settings()


def studio(folder: Path, policy: PromptSet) -> Counting:
    return Counting(ResolvedBase(folder, "id", "label"), policy, "cpu", "float32")


def test_a_repeat_costs_nothing_and_another_setting_is_tried(family_folder: FolderOf, tmp_path: Path) -> None:
    folder, store = family_folder("SD 1.x"), Store(tmp_path)
    tried = []
    for guidance in (3.0, 3.0, 4.0):
        policy = prompts("photo of sks person", guidance=guidance)
        maker = studio(folder, policy)
        settled = Settled(store, maker, policy)
        settled.refuse_ignored(MACHINE)
        settled.refuse_ignored(MACHINE)
        tried.append(maker.tried)
    assert tried == [1, 0, 1]


def test_what_was_refused_is_not_stored(family_folder: FolderOf, tmp_path: Path) -> None:
    policy = prompts("photo of sks person", guidance=0.5)
    maker = studio(family_folder("SD 1.x"), policy)
    settled = Settled(Store(tmp_path), maker, policy)
    for _ in range(2):  # every row asks; it is tried once
        with pytest.raises(ConfigError, match="no effect"):
            settled.refuse_ignored(MACHINE)
    assert maker.tried == 1
    assert not list((tmp_path / FOLDER).glob("*"))


def rendered(maker: Studio, specs: Sequence[Any]) -> list[bytes]:
    return [image.png() for image in maker.render(specs, None)]


def test_the_base_s_images_are_those_of_a_policy_with_its_settings(family_folder: FolderOf) -> None:
    """Address and bytes: another policy's images of the base serve this one."""
    folder = family_folder("SD 1.x")
    own = prompts("photo of sks person", steps=3)
    few = prompts("photo of sks person", steps=2, guidance=1.0, scheduler="LCMScheduler")
    both = replace(few, base_sampler=own.sampler)
    of_base, with_lora = plan.baseline(both, MACHINE), plan.without_lora(both, MACHINE)
    assert of_base == plan.baseline(own, MACHINE)
    maker = studio(folder, both)
    made = [rendered(maker, with_lora), rendered(maker, of_base), rendered(maker, with_lora)]
    assert made[0] == made[2] == rendered(studio(folder, few), with_lora)
    assert made[1] == rendered(studio(folder, own), of_base)
    assert made[0] != made[1]


def test_settings_of_the_base_s_own_images_are_tried_too(family_folder: FolderOf) -> None:
    policy = prompts("photo of sks person", guidance=1.0)
    wrong = replace(
        policy,
        base_sampler=replace(policy.sampler, steps=3, negative="dark"),
        places={**policy.places, "base.negative": "prompts.yaml:5: sampler.base.negative"},
    )
    with pytest.raises(ConfigError, match=r"^prompts\.yaml:5: sampler\.base\.negative: "):
        studio(family_folder("SD 1.x"), wrong).try_settings()
    with pytest.raises(ConfigError, match=r"^prompts\.yaml:5: sampler\.base\.negative: "):
        checked(family_folder("SD 1.x"), wrong)


def test_kontext_makes_the_size_that_is_asked_for(family_folder: FolderOf, tmp_path: Path) -> None:
    """It would make a megapixel of each."""
    index = {"_class_name": "FluxKontextPipeline"}
    folder = copied(family_folder("FLUX"), tmp_path / "base", model_index=index)
    policy = prompts("photo of sks person", max_sequence_length=64)
    pipe = loaded(folder, policy)
    refuse_ignored(pipe, folder, policy)
    assert images(pipe, policy)[0].pixels.shape == (32, 32, 3)
