"""Real images of the miniature's pipeline; wherever diffusers would go on in silence there is an error."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file
from world import TEXT, World

from lora_checks.core.errors import GenerationError, LoraFileError
from lora_checks.core.records import ImageSpec, Lora, Policy
from lora_checks.diffusion.base import resolve
from lora_checks.diffusion.generate import Studio
from lora_checks.gate.run import open_generating
from lora_checks.images import plan, png
from lora_checks.lora.file import inspect
from lora_checks.policy.reading import load_policy


@pytest.fixture(scope="module")
def policy(world: World) -> Policy:
    return load_policy(world.policy)


@pytest.fixture(scope="module")
def specs(policy: Policy) -> tuple[ImageSpec, ...]:
    """Of the base, at a single step: what they show does not matter here."""
    prompts = replace(policy.prompts, sampler=replace(policy.prompts.sampler, steps=1))
    return plan.baseline(prompts, plan.Machine("base", "cpu", "float32", ()))[:4]


@pytest.fixture(scope="module")
def studio(policy: Policy) -> Studio:
    return Studio(resolve(policy.prompts.base), policy.prompts, "cpu", "float32")


@pytest.fixture(scope="module")
def without(studio: Studio, specs: Sequence[ImageSpec]) -> list[Any]:
    """The base's images, before any LoRA was on the pipeline."""
    return rendered(studio, specs)


def rendered(studio: Studio, specs: Sequence[ImageSpec], lora: Lora | None = None) -> list[Any]:
    pictures = [Image.open(io.BytesIO(one.png())) for one in studio.render(specs, lora)]
    return [np.asarray(picture).astype(int) for picture in pictures]


@contextmanager
def silent(_total: int) -> Iterator[Any]:
    """No progress bar."""
    yield lambda _done: None


def changed(world: World, path: Path, change: Any) -> Lora:
    """The good LoRA with its tensors changed, as another file."""
    save_file(dict(change(*pair) for pair in load_file(world.good).items()), path)
    return inspect(path, path.stem)


def test_an_image_does_not_depend_on_the_others_of_its_batch(
    studio: Studio, specs: Sequence[ImageSpec], without: list[Any]
) -> None:
    alone = [rendered(studio, [spec])[0] for spec in specs]
    assert max(np.abs(a - b).max() for a, b in zip(alone, without, strict=True)) <= 1
    backwards = rendered(studio, specs[::-1])[::-1]
    assert max(np.abs(a - b).max() for a, b in zip(backwards, without, strict=True)) <= 1
    assert np.abs(without[0] - without[1]).max() > 50  # they are not all one


def test_a_lora_changes_the_images_and_leaves_no_trace(
    world: World, studio: Studio, specs: Sequence[ImageSpec], without: list[Any]
) -> None:
    with_lora = rendered(studio, specs, inspect(world.good, "good"))
    assert all(np.abs(a - b).max() > 20 for a, b in zip(with_lora, without, strict=True))
    assert all((a == b).all() for a, b in zip(rendered(studio, specs), without, strict=True))


def test_one_lora_after_another_is_that_lora_alone(
    world: World, studio: Studio, specs: Sequence[ImageSpec]
) -> None:
    alone = rendered(studio, specs[:1], inspect(world.bad, "bad"))[0]
    rendered(studio, specs[:1], inspect(world.good, "good"))
    assert (rendered(studio, specs[:1], inspect(world.bad, "bad"))[0] == alone).all()


def test_every_image_holds_its_recipe(studio: Studio, specs: Sequence[ImageSpec]) -> None:
    spec = specs[0]
    (one,) = studio.render([spec], None)
    found = json.loads(Image.open(io.BytesIO(one.png())).text[png.METADATA_KEY])
    assert found["digest"] == spec.digest
    assert found["prompt"] == TEXT.format("red", "mint")
    assert (found["prompt_id"], found["seed"], found["steps"]) == ("red", spec.seed, 1)
    assert (found["batch"], found["vae_dtype"]) == (1, "float32")
    assert (found["guidance_scale"], found["lora_sha256"], found["base"]) == (2.0, None, "base")


def keys(old: str, new: str) -> Any:
    return lambda name, tensor: (name.replace(old, new), tensor)


def other_shape(name: str, tensor: Any) -> tuple[str, Any]:
    """Made for a base with wider text features."""
    wide = name.endswith("attn2.to_k.lora_A.weight")
    return name, np.concatenate([tensor, tensor], axis=1) if wide else tensor


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_shape, r"other\.safetensors: unet layer '.*attn2\.to_k' does not fit the base: LoRA 96x256"),
        (keys("unet.", "unet.nowhere."), r"other\.safetensors: 0 of 106 layers match the base, such as "),
        (keys("unet.mid_block.", "unet.end_block."), r"other\.safetensors: \d+ of 106 unet layers"),
        (keys("unet.", "text_encoder."), r"other\.safetensors: 0 of 106 layers match the base, such as "),
    ],
    ids=["shape", "no key", "some keys", "another component"],
)  # fmt: skip
def test_a_lora_of_another_base_is_refused_and_the_base_stays_clean(
    world: World,
    studio: Studio,
    specs: Sequence[ImageSpec],
    without: list[Any],
    tmp_path: Path,
    change: Any,
    message: str,
) -> None:
    lora = changed(world, tmp_path / "other.safetensors", change)
    with pytest.raises(GenerationError, match=message) as error:
        rendered(studio, specs[:1], lora)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 250  # a sentence, not a list of every layer
    assert (rendered(studio, specs)[0] == without[0]).all()


def test_a_file_that_changed_after_it_was_read_is_refused(
    world: World, studio: Studio, specs: Sequence[ImageSpec], tmp_path: Path
) -> None:
    path = tmp_path / "swapped.safetensors"
    path.write_bytes(world.good.read_bytes())
    lora = inspect(path, "swapped")
    path.write_bytes(world.bad.read_bytes())
    with pytest.raises(LoraFileError, match=r"swapped\.safetensors changed while it was being gated"):
        rendered(studio, specs[:1], lora)


def test_values_that_overflow_are_an_error_and_no_black_image(
    world: World, studio: Studio, specs: Sequence[ImageSpec], tmp_path: Path
) -> None:
    lora = changed(
        world, tmp_path / "huge.safetensors", lambda name, tensor: (name, np.full(tensor.shape, 3e38, "f4"))
    )
    with pytest.raises(GenerationError, match=r"prompt 'red', noise seed \d+: the image is "):
        rendered(studio, specs[:1], lora)


@pytest.mark.parametrize(
    ("value", "dtype", "message"),
    [
        (np.nan, "float32", "the image is not finite (NaN); the LoRA or the base holds values that overflow"),
        (np.nan, "float16", "overflows in float16: pass --lora-dtype bfloat16"),
        (np.inf, "float32", "the image is not finite"),
        (0.0, "float32", "the image is black; nothing can be measured on it"),
    ],
)
def test_an_image_that_cannot_be_measured(
    specs: Sequence[ImageSpec], value: float, dtype: str, message: str
) -> None:
    image = np.full((8, 8, 3), value, np.float32)
    with pytest.raises(GenerationError) as error:
        png.to_uint8(image, specs[0], dtype)
    assert f"prompt 'red', noise seed {specs[0].seed}: " in str(error.value)
    assert message in str(error.value)


def test_a_lora_without_effect_is_an_error(world: World, policy: Policy, tmp_path: Path) -> None:
    """It is trained and every layer of it is applied, and still the base would be judged in its name."""
    lora = changed(
        world,
        tmp_path / "faint.safetensors",
        lambda name, tensor: (name, tensor.astype("f4") * (1e-6 if "lora_B" in name else 1)),
    )
    short = replace(policy, prompts=replace(policy.prompts, prompts=policy.prompts.prompts[:1]))
    run = open_generating(short, tmp_path / "store", "cpu", "float32", None, lambda _: silent)
    with pytest.raises(
        GenerationError, match=r"faint\.safetensors had no effect on the unet: its output moves by "
    ):
        run.candidate(lora)
