"""What pictures made elsewhere say of their LoRA: none, another one, another strength, or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_provided_images import IDS, LORA, PROMPTS, RED, TENSORS, a1111, draw, every, graph, ours

from lora_checks.core.errors import MeasureError
from lora_checks.core.records import Prompt
from lora_checks.images.provided.origin import read_origin
from lora_checks.images.provided.picture_names import read_names
from lora_checks.images.provided.pictures import GivenImages, read

Text = Callable[[Prompt, int], Mapping[str, str]]


def comfyui(*loaders: Mapping[str, Any], text: str | None = None) -> Text:
    """A graph whose sampler has these nodes one after another before it, on the way to the checkpoint."""

    def made(prompt: Prompt, seed: int) -> Mapping[str, str]:
        nodes = graph(text or prompt.text, seed)
        del nodes["10"]
        before = "4"
        for i, inputs in enumerate(loaders):
            nodes[f"{20 + i}"] = {"class_type": "Loader", "inputs": {**inputs, "model": [before, 0]}}
            before = f"{20 + i}"
        nodes["3"]["inputs"]["model"] = [before, 0]
        nodes["6"]["inputs"]["clip"] = nodes["7"]["inputs"]["clip"] = ["4", 1]
        return {"prompt": json.dumps(nodes)}

    return made


def loader(name: str = "good.safetensors", model: float = 1.0, clip: float = 1.0) -> dict[str, Any]:
    return {"lora_name": name, "strength_model": model, "strength_clip": clip}


def webui(tags: str, more: str = "") -> Text:
    """As stable-diffusion-webui writes it, without "Lora hashes"."""
    return lambda prompt, seed: {
        "parameters": f"{prompt.text}{tags}\nNegative prompt: old\nSteps: 9, Seed: {seed}{more}, Model: x"
    }


WITHOUT = {
    "ComfyUI without a loader": comfyui(),
    "ComfyUI at strength 0": comfyui(loader(model=0, clip=0.0)),
    "ComfyUI, none chosen": comfyui({"lora_name": "None", "strength_model": 1.0}),
    "rgthree's loader, off": comfyui({"lora_1": {"on": False, "lora": "good.safetensors", "strength": 1}}),
    "A1111": webui(""),
    "A1111 at strength 0": webui(" <lora:good:0>"),
    "ours at strength 0": lambda prompt, seed: ours(prompt, seed, scale=0.0),
}
WITH = {
    "ComfyUI": comfyui(loader()),
    "ComfyUI, two": comfyui(loader("style.safetensors", 0.5), loader()),
    "ComfyUI, one of two at 0": comfyui(loader(model=0, clip=0), loader("style.safetensors")),
    "ComfyUI, the text encoder only": comfyui(loader(model=0)),
    "rgthree's loader": comfyui({"lora_1": {"on": True, "lora": "good.safetensors", "strength": 1}}),
    "an unknown loader": comfyui({"lora_stack": ["21", 0]}),
    "ComfyUI, by a tag": comfyui(text="photo, <lora:good:0.7>"),
    "A1111": webui(" <lora:good:1>"),
    "A1111, civitai": webui("", ', Civitai resources: [{"type":"lora","weight":0.8}]'),
    "SD.Next": webui("", ", LoRA networks: good"),
}


@pytest.mark.parametrize("text", WITHOUT.values(), ids=WITHOUT)
def test_pictures_of_the_base_do_not_stand_for_the_lora(tmp_path: Path, text: Text) -> None:
    every(tmp_path, "{n}.png", text)
    with pytest.raises(MeasureError, match=r"4 are stale \(0.png: made without a LoRA\)"):
        read(tmp_path, "candidate", PROMPTS, None, LORA)
    assert len(read(tmp_path, "baseline", PROMPTS, None, None).images.images) == 4


@pytest.mark.parametrize("text", WITH.values(), ids=WITH)
def test_pictures_with_any_lora_may_stand_for_it(tmp_path: Path, text: Text) -> None:
    every(tmp_path, "{prompt}_{seed}.png", text)
    names = read_names("{prompt}_{seed}", tmp_path, IDS)
    assert len(read(tmp_path, "candidate", PROMPTS, names, LORA).images.images) == 4


@pytest.mark.parametrize("name", ["ComfyUI", "ComfyUI, two", "rgthree's loader", "A1111"])
def test_a_lora_that_is_named_makes_no_baseline(tmp_path: Path, name: str) -> None:
    every(tmp_path, "{n}.png", WITH[name])
    with pytest.raises(MeasureError, match=r"4 are stale \(0.png: made with a LoRA\)"):
        read(tmp_path, "baseline", PROMPTS, None, None)


@pytest.mark.parametrize(
    ("usual", "odd", "message"),
    [
        (comfyui(loader()), comfyui(loader(model=0.6)), "strength 0.6, and others have another"),
        (webui(" <lora:good:1>"), webui(" <lora:good:0.6>"), "strength 0.6, and others have another"),
        (
            comfyui(loader()),
            comfyui(loader("sub\\other.safetensors")),
            "made with the LoRA 'other', others with 'good'",
        ),
        (
            webui(" <lora:good:1>"),
            webui(" <lora:good:1> <lora:style:1>"),
            "made with the LoRA 'good' and 'style', others with 'good'",
        ),
    ],
)
def test_pictures_of_two_loras_or_strengths_are_stale(
    tmp_path: Path, usual: Text, odd: Text, message: str
) -> None:
    every(tmp_path, "{n}.png", usual)
    draw(tmp_path / "3.png", odd(PROMPTS.prompts[1], 1))
    with pytest.raises(MeasureError, match=rf"1 is stale \(3.png: {message}\)"):
        read(tmp_path, "candidate", PROMPTS, None, LORA)


def test_a_lora_of_another_name_is_mentioned_only(tmp_path: Path) -> None:
    """A file may have been renamed since."""
    every(tmp_path, "{n}.png", comfyui(loader("person-v2.safetensors")))
    assert "made with 'person-v2' by their own word" in GivenImages(tmp_path, PROMPTS).described(LORA)


def test_a_digest_speaks_louder_than_a_name(tmp_path: Path) -> None:
    every(tmp_path, "{n}.png", lambda prompt, seed: a1111(prompt.id, seed, TENSORS[:12]))
    renamed = replace(LORA, path=Path("renamed.safetensors"))
    assert "own word" not in GivenImages(tmp_path, PROMPTS).described(renamed)


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le", "ascii"])
def test_a1111_s_text_in_a_jpeg_or_webp(tmp_path: Path, suffix: str, encoding: str) -> None:
    """As EXIF's UserComment, where modules/images.py and what imitates it put it."""
    code = b"ASCII\0\0\0" if encoding == "ascii" else b"UNICODE\0"
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = code + webui(" <lora:good:0.8>")(RED, 1)["parameters"].encode(encoding)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / f"a{suffix}", exif=exif)
    found = read_origin(tmp_path / f"a{suffix}")
    assert (found.prompt, found.seed, found.scale) == (RED.text, 1, 0.8)


def test_comfyui_s_graph_in_a_webp(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0110] = "prompt:" + comfyui(loader(model=0.5))(RED, 1)["prompt"]
    exif[0x010F] = "workflow:{}"
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.webp", exif=exif)
    found = read_origin(tmp_path / "a.webp")
    assert (found.prompt, found.seed, found.scale) == (RED.text, 1, 0.5)


def test_a_photo_s_own_exif_says_nothing(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0110], exif.get_ifd(0x8769)[0x9286] = "Camera", b"UNICODE\0odd"
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    assert read_origin(tmp_path / "a.jpg").source == ""


@pytest.mark.parametrize("link", ["image", "samples"])
def test_a_later_pass_over_the_picture_has_no_say(tmp_path: Path, link: str) -> None:
    """Detailers and tiled upscalers take pictures, and have seeds of their own."""
    nodes = graph(RED.text, 1)
    nodes["8"] = {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}}
    nodes["50"] = {
        "class_type": "FaceDetailer",
        "inputs": {
            link: ["8", 0],
            "seed": 77,
            "positive": ["6", 0],
            "negative": ["7", 0],
            "model": ["10", 0],
        },
    }
    assert read_origin(draw(tmp_path / "a.png", {"prompt": json.dumps(nodes)})).seed == 1
