"""A base that is exchanged while it is used: no image of the other weights is kept under its identity."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from world import MINIATURE, World

from lora_checks.core.contents import Contents
from lora_checks.core.errors import GenerationError, PrerequisiteError
from lora_checks.core.records import Base, ImageSpec, Policy
from lora_checks.diffusion import generate, sampling
from lora_checks.diffusion.base import hub, resolve
from lora_checks.diffusion.generate import Studio
from lora_checks.images import plan
from lora_checks.lora.file import inspect
from lora_checks.policy.reading import load_policy

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """The miniature's pipeline, its ``unet`` a link to a folder elsewhere."""
    folder = Path(shutil.copytree(MINIATURE / "pipeline", tmp_path / "pipeline"))
    (folder / "unet").rename(tmp_path / "unet")
    (folder / "unet").symlink_to(tmp_path / "unet")
    return folder


@pytest.fixture
def policy(world: World, pipeline: Path) -> Policy:
    found = load_policy(world.policy)
    prompts = replace(found.prompts, base=Base(str(pipeline)))
    return replace(found, prompts=replace(prompts, sampler=replace(prompts.sampler, steps=1)))


@pytest.fixture
def specs(policy: Policy) -> Sequence[ImageSpec]:
    return plan.baseline(policy.prompts, plan.Machine("base", "cpu", "float32", ()))[:1]


def studio_of(policy: Policy, base: Base | None = None) -> Studio:
    return Studio(resolve(base or policy.prompts.base), policy.prompts, "cpu", "float32")


def exchange(file: Path) -> None:
    """Other weights of the same names and sizes."""
    tensors = {name: np.ascontiguousarray(tensor[::-1]) for name, tensor in load_file(file).items()}
    save_file(tensors, file.with_name("other"), metadata={"format": "pt"})
    file.with_name("other").replace(file)


def refused(studio: Studio, specs: Sequence[ImageSpec], file: Path) -> None:
    with pytest.raises(GenerationError, match="changed while it was being used") as error:
        list(studio.render(specs, None))
    assert str(file) in str(error.value)


@pytest.mark.parametrize("part", ["unet", "vae"])
def test_before_it_is_loaded(policy: Policy, specs: Sequence[ImageSpec], pipeline: Path, part: str) -> None:
    studio = studio_of(policy)
    exchange(pipeline / part / WEIGHTS)
    refused(studio, specs, pipeline / part / WEIGHTS)


def test_while_it_is_loaded_and_put_back(
    policy: Policy, specs: Sequence[ImageSpec], pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, load = pipeline / "unet" / WEIGHTS, generate.load_pipeline

    def between(*arguments: Any) -> Any:
        aside = file.rename(file.with_name("aside"))
        shutil.copy2(aside, file)
        exchange(file)
        pipe = load(*arguments)
        aside.replace(file)
        return pipe

    monkeypatch.setattr(generate, "load_pipeline", between)
    refused(studio_of(policy), specs, file)


def test_while_images_are_made(
    policy: Policy, specs: Sequence[ImageSpec], pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio, sample = studio_of(policy), sampling.sample
    assert len(list(studio.render(specs, None))) == 1

    def meanwhile(*arguments: Any) -> Any:
        exchange(pipeline / "unet" / WEIGHTS)
        return sample(*arguments)

    monkeypatch.setattr(generate, "sample", meanwhile)
    refused(studio, specs, pipeline / "unet" / WEIGHTS)


def test_while_a_lora_is_proven(policy: Policy, world: World, pipeline: Path) -> None:
    studio = studio_of(policy)
    exchange(pipeline / "unet" / WEIGHTS)
    with pytest.raises(GenerationError, match="changed while it was being used"):
        studio.prove(inspect(world.good, "good"), [])


@pytest.mark.parametrize("whole", [True, False])
def test_a_vae_in_its_place(
    policy: Policy, specs: Sequence[ImageSpec], pipeline: Path, tmp_path: Path, whole: bool
) -> None:
    vae = Path(shutil.copytree(pipeline / "vae", tmp_path / "vae"))
    studio = studio_of(policy, Base(str(pipeline), vae=str(vae if whole else vae / WEIGHTS)))
    exchange(vae / WEIGHTS)
    refused(studio, specs, vae / WEIGHTS)


def test_a_base_that_was_only_touched_goes_on(
    policy: Policy, specs: Sequence[ImageSpec], pipeline: Path
) -> None:
    studio = studio_of(policy)
    list(studio.render(specs, None))
    (pipeline / "unet" / WEIGHTS).touch()
    assert len(list(studio.render(specs, None))) == 1


def in_the_hub(folder: Path, place: Path) -> Path:
    """``folder`` as the hub's cache holds a download: links to blobs named by their SHA-256."""
    (place / "blobs").mkdir(parents=True)
    snapshot = place / "snapshots" / ("3f2a91" + "0" * 34)
    for path, sha256 in Contents(folder):
        shutil.copy(path, place / "blobs" / sha256)
        link = snapshot / path.relative_to(folder)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(place / "blobs" / sha256)
    return snapshot


@pytest.mark.parametrize("when", ["before", "after"])
def test_of_the_hub(
    policy: Policy, specs: Sequence[ImageSpec], pipeline: Path, tmp_path: Path, when: str
) -> None:
    """The commit names it; no byte of it is hashed before it is loaded."""
    snapshot = in_the_hub(pipeline, tmp_path / "models--team--base")
    base = replace(resolve(policy.prompts.base), folder=snapshot, identity="team/base@3f2a91", hashed=())
    studio = Studio(base, policy.prompts, "cpu", "float32")
    blob = (snapshot / "unet" / WEIGHTS).resolve()
    if when == "before":
        exchange(blob)
        with pytest.raises(PrerequisiteError, match=r"in the hub's cache is damaged or was edited"):
            list(studio.render(specs, None))
        return
    assert len(list(studio.render(specs, None))) == 1
    exchange(blob)
    refused(studio, specs, snapshot / "unet" / WEIGHTS)


def test_a_file_of_a_small_name_in_the_hub_is_no_digest(tmp_path: Path) -> None:
    """A small file's blob is named as Git names it."""
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / ("a" * 40)).write_text("{}")
    hub.refuse_damaged(Contents(tmp_path))
