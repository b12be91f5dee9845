"""Each pipeline of diffusers that loads LoRAs makes images of prompts, or is refused for what it does."""

# ruff: noqa: ARG002  # what a pipeline takes is read from its signature

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import pytest
from diffusers.loaders.lora_base import LoraBaseMixin
from diffusers.pipelines import auto_pipeline
from diffusers.utils import BaseOutput

from lora_checks.core.errors import ConfigError
from lora_checks.diffusion.base import task
from lora_checks.diffusion.base.family import pipeline_class

NAMES = """
AltDiffusion AuraFlow BriaFibo BriaFibo2 Chroma CogView4 ErnieImage Flux Flux2 Flux2Klein Flux2KleinKV
FluxKontext HiDreamImage Ideogram4 Kandinsky3 Kandinsky5T2I Krea2 LatentConsistencyModel Lumina2 PRX QwenImage
QwenImage21 Sana SanaSprint StableDiffusion StableDiffusion3 StableDiffusionXL ZImage ZImageOmni
"""
PROMPT_ALONE = sorted(NAMES.split())  # of diffusers 0.42, by their documentation


def lora_pipelines() -> list[str]:
    kinds = {name: getattr(diffusers, name, None) for name in dir(diffusers)}
    return sorted(
        name
        for name, kind in kinds.items()
        if isinstance(kind, type)
        and issubclass(kind, LoraBaseMixin)
        and issubclass(kind, diffusers.DiffusionPipeline)
    )


@pytest.fixture(scope="module")
def outcomes() -> Mapping[str, str]:
    """By the name of a pipeline: "images", or the sentence that refuses it."""
    found = {}
    for name in lora_pipelines():
        try:
            pipeline_class(Path("base"), name)
        except ConfigError as error:
            found[name] = str(error)
        else:
            found[name] = "images"
    return found


def test_none_crashes_and_each_refusal_is_one_sentence_with_a_remedy(outcomes: Mapping[str, str]) -> None:
    assert len(outcomes) >= 170
    refusals = {name: why for name, why in outcomes.items() if why != "images"}
    for name, why in refusals.items():
        assert why.startswith(f"base base: {name} does not make an image of a prompt alone: it"), why
        assert "; name " in why
        assert "\n" not in why
        assert len(why) < 330, why


@pytest.mark.parametrize("name", PROMPT_ALONE)
def test_a_pipeline_that_needs_no_picture_is_accepted(outcomes: Mapping[str, str], name: str) -> None:
    assert outcomes[f"{name}Pipeline"] == "images"


def test_what_makes_videos_or_sound_is_refused_for_it(outcomes: Mapping[str, str]) -> None:
    """By the names that diffusers gives its pipelines, and by its own lists of what makes videos."""
    lists = {key: value for key, value in vars(auto_pipeline).items() if key.startswith("AUTO_")}
    listed = [kinds for key, kinds in lists.items() if "VIDEO" in key]
    videos = {kind.__name__ for kinds in listed for kind in kinds.values()} & set(outcomes)
    videos |= {name for name in outcomes if re.search("Video|2V|Animate|Wan|LTX|SkyReels|Mochi|Helios", name)}
    assert len(videos) > 45
    assert all("it makes videos" in outcomes[name] for name in videos)
    assert "it makes sound" in outcomes["AceStepPipeline"]


def test_what_starts_from_a_picture_is_refused_or_made_its_text_to_image_sibling(
    outcomes: Mapping[str, str],
) -> None:
    """By diffusers' own list of pipelines for inpainting, of which some have the weights of one for text."""
    paints = {kind.__name__ for kind in auto_pipeline.AUTO_INPAINT_PIPELINES_MAPPING.values()} & set(outcomes)
    assert len(paints) > 8
    for name in sorted(paints):
        if outcomes[name] == "images":
            assert "Inpaint" not in pipeline_class(Path("base"), name).__name__
        elif "Control" not in name:
            assert "it paints into pictures (inpainting) and needs" in outcomes[name]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("QwenImageEditPipeline", "starts from a picture, as for editing, and needs 'image'"),
        ("QwenImageEditPlusPipeline", "starts from a picture"),
        ("Kandinsky5I2IPipeline", "starts from a picture"),
        ("StableDiffusionXLInstructPix2PixPipeline", "starts from a picture"),
        ("FluxFillPipeline", "paints into pictures (inpainting) and needs 'image' and 'mask_image'"),
        ("FluxControlPipeline", "is led by a control picture and needs 'control_image'"),
        ("StableDiffusionControlNetPipeline", "is led by a control picture"),
        ("StableDiffusionLDM3DPipeline", "makes rgb and depth"),
        ("WuerstchenPriorPipeline", "makes image embeddings"),
        ("TextToVideoZeroPipeline", "makes videos"),  # its frames are called images
    ],
)
def test_the_sentence_says_what_a_pipeline_does_instead(
    outcomes: Mapping[str, str], name: str, reason: str
) -> None:
    assert f"it {reason}" in outcomes[name]
    assert "--lora-images" in outcomes[name]


@dataclass
class Made(BaseOutput):
    images: Any


@dataclass
class Sung(BaseOutput):
    audios: Any


class Tomorrow(diffusers.DiffusionPipeline):
    """A pipeline that no list can know."""

    def __init__(self, transformer: Any) -> None:
        super().__init__()

    def __call__(
        self,
        prompt: Any = None,
        image: Any = None,
        width: int = 1024,
        height: int = 1024,
        num_inference_steps: int = 4,
        generator: Any = None,
        output_type: str = "pil",
    ) -> Any:
        pictures = [] if image is None else [image]
        return Made(images=pictures)


class Singer(Tomorrow):
    def __call__(self, prompt: Any = None) -> Any:
        return Sung(audios=[prompt])


class Editor(Tomorrow):
    def __call__(self, prompt: Any, image: Any) -> Any:
        return Made(images=[image])


@pytest.mark.parametrize(
    ("pipeline", "reason"),
    [(Tomorrow, ""), (Singer, "it makes sound"), (Editor, "it starts from a picture")],
)
def test_a_pipeline_that_diffusers_gains_tomorrow_is_read_in_the_same_way(pipeline: Any, reason: str) -> None:
    assert task.refusal(pipeline)[: len(reason) or None] == reason


def test_a_picture_that_a_pipeline_can_do_without_is_known() -> None:
    """So that a policy may give one, one day."""
    assert task.task_of(Tomorrow).pictures == ("image",)
    assert task.task_of(diffusers.FluxKontextPipeline).pictures == ("image",)
    assert task.task_of(Editor).needs == ("image",)
