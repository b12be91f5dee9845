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
from lora_checks.images.provided.uses import Use, tagged

Text = Callable[[Prompt, int], Mapping[str, str]]


def comfyui(*loaders: Mapping[str, Any], text: str | None = None) -> Text:
    """A graph whose sampler and text have these nodes one after another on the way to the checkpoint."""

    def made(prompt: Prompt, seed: int) -> Mapping[str, str]:
        nodes = graph(text or prompt.text, seed)
        del nodes["10"]
        before = "4"
        for i, inputs in enumerate(loaders):
            links = {"model": [before, 0], "clip": [before, 1]}
            nodes[f"{20 + i}"] = {"class_type": "Loader", "inputs": {**inputs, **links}}
            before = f"{20 + i}"
        nodes["3"]["inputs"]["model"] = [before, 0]
        nodes["6"]["inputs"]["clip"] = nodes["7"]["inputs"]["clip"] = [before, 1]
        return {"prompt": json.dumps(nodes)}

    return made


def loader(name: str = "good.safetensors", model: float = 1.0, clip: float = 1.0) -> dict[str, Any]:
    return {"lora_name": name, "strength_model": model, "strength_clip": clip}


def webui(tags: str, more: str = "") -> Text:
    """Return text as stable-diffusion-webui writes it, without "Lora hashes"."""
    return lambda prompt, seed: {
        "parameters": f"{prompt.text}{tags}\nNegative prompt: old\nSteps: 9, Seed: {seed}{more}, Model: x"
    }


WITHOUT = {
    "ComfyUI without a loader": comfyui(),
    "ComfyUI at strength 0": comfyui(loader(model=0, clip=0.0)),
    "ComfyUI, a tag that it ignores": comfyui(text="photo, <lora:good:0.7>"),
    "ComfyUI, none chosen": comfyui({"lora_name": "None", "strength_model": 1.0}),
    "rgthree's loader, off": comfyui({"lora_1": {"on": False, "lora": "good.safetensors", "strength": 1}}),
    "A1111": webui(""),
    "A1111 at strength 0": webui(" <lora:good:0>"),
    "ours at strength 0": lambda prompt, seed: ours(prompt, seed, scale=0.0),
}
WITH = {
    "ComfyUI": comfyui(loader()),
    "ComfyUI, two": comfyui(loader("style.safetensors", 0.5), loader()),
    "ComfyUI, the other of two at 0": comfyui(loader(), loader("style.safetensors", model=0, clip=0)),
    "ComfyUI, the text encoder only": comfyui(loader(model=0)),
    "rgthree's loader": comfyui({"lora_1": {"on": True, "lora": "good.safetensors", "strength": 1}}),
    "an unknown loader": comfyui({"lora_stack": ["21", 0]}),
    "A1111": webui(" <lora:good:1>"),
    "A1111, civitai": webui("", ', Civitai resources: [{"type":"lora","weight":0.8}]'),
    "SD.Next": webui("", ", LoRA networks: good"),
}


@pytest.mark.parametrize("text", WITHOUT.values(), ids=WITHOUT)
def test_pictures_of_the_base_do_not_stand_for_the_lora(tmp_path: Path, text: Text) -> None:
    names = read_names("{prompt}_{seed}", every(tmp_path, "{prompt}_{seed}.png", text), IDS)
    with pytest.raises(
        MeasureError, match=r"4 are stale \(blue_0.png: made without a LoRA(: 'good' at strength 0)?\)"
    ):
        read(tmp_path, "candidate", PROMPTS, names, LORA)
    assert len(read(tmp_path, "baseline", PROMPTS, names, None).images.images) == 4


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
        (
            comfyui(loader()),
            comfyui(loader(model=0.6)),
            r"made with 'good' at strength 0.6 \(text encoder 1\), the others at strength 1",
        ),
        (
            webui(" <lora:good:1>"),
            webui(" <lora:good:0.6>"),
            "made with 'good' at strength 0.6, the others at strength 1",
        ),
        (
            comfyui(loader()),
            comfyui(loader("sub\\other.safetensors")),
            "made with 'other', not with good.safetensors; if it is this file, say so with "
            "--lora-images-made-with other",
        ),
        (
            webui(" <lora:good:1>"),
            webui(" <lora:good:1> <lora:style:1>"),
            "made with 'good' and 'style', the others with 'good'",
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


def test_a_lora_of_another_name_is_refused_unless_the_user_says_that_it_is_the_file(tmp_path: Path) -> None:
    """A file may have been renamed since."""
    every(tmp_path, "{n}.png", comfyui(loader("person-v2.safetensors")))
    with pytest.raises(MeasureError, match=r"say so with --lora-images-made-with person-v2"):
        read(tmp_path, "candidate", PROMPTS, None, LORA)
    given = GivenImages(tmp_path, PROMPTS, made_with="person-v2")
    assert "'person-v2' is good.safetensors according to the user" in given.described(LORA)
    assert given.words(LORA)["red/0"]["lora_by"] == "--lora-images-made-with"
    with pytest.raises(
        MeasureError,
        match=r"--lora-images-made-with v2: no picture names a LoRA of that name; they name 'per",
    ):
        GivenImages(tmp_path, PROMPTS, made_with="v2").described(LORA)


@pytest.mark.parametrize("name", ["sks-person", "sks-person.safetensors", "SKS-Person"])
def test_a_lora_may_be_called_by_its_title(tmp_path: Path, name: str) -> None:
    """stable-diffusion-webui uses the name that the trainer wrote into the file."""
    every(tmp_path, "{n}.png", webui(f"<lora:{name}:1>"))
    titled = replace(LORA, facts={"title": "sks-person"})
    assert len(read(tmp_path, "candidate", PROMPTS, None, titled).images.images) == 4


def test_the_user_s_word_overrules_a_digest_and_no_strength(tmp_path: Path) -> None:
    """Forge writes a digest of the name."""
    every(tmp_path, "{n}.png", lambda prompt, seed: a1111(prompt.id, seed, "5a4becfcc624"))
    with pytest.raises(
        MeasureError, match=r"made with 'good', but of digest 5a4be.*--lora-images-made-with good"
    ):
        read(tmp_path, "candidate", PROMPTS, None, LORA)
    assert len(read(tmp_path, "candidate", PROMPTS, None, LORA, "good").images.images) == 4
    every(tmp_path, "{n}.png", webui("<lora:good:0>"))
    with pytest.raises(MeasureError, match="made without a LoRA"):
        read(tmp_path, "candidate", PROMPTS, None, LORA, "good")


def test_the_gated_lora_at_strength_0_beside_another_one_is_stale(tmp_path: Path) -> None:
    every(tmp_path, "{n}.png", comfyui(loader(model=0, clip=0), loader("style.safetensors")))
    with pytest.raises(MeasureError, match=r"4 are stale \(0.png: made with 'good' at strength 0\)"):
        read(tmp_path, "candidate", PROMPTS, None, LORA)


def test_a_digest_speaks_louder_than_a_name(tmp_path: Path) -> None:
    every(tmp_path, "{n}.png", lambda prompt, seed: a1111(prompt.id, seed, TENSORS[:12]))
    renamed = replace(LORA, path=Path("renamed.safetensors"))
    assert "made with 'good' at strength 0.8 by their metadata" in GivenImages(tmp_path, PROMPTS).described(
        renamed
    )


NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("length", [8, 10, 12, 64])
def test_the_digest_of_nothing_is_no_match(tmp_path: Path, length: int) -> None:
    """A trainer wrote this digest into every file for months, and programs copied it."""
    stating = replace(LORA, path=Path("person.safetensors"), facts={"tensors sha256": NOTHING})
    every(tmp_path, "{n}.png", lambda prompt, seed: a1111(prompt.id, seed, NOTHING[:length]))
    with pytest.raises(
        MeasureError, match=r"4 are stale \(0.png: made with 'good', not with person.safetensors"
    ):
        read(tmp_path, "candidate", PROMPTS, None, stating)
    named = replace(stating, path=Path("good.safetensors"))
    assert len(read(tmp_path, "candidate", PROMPTS, None, named).images.images) == 4


def test_the_number_of_pictures_with_an_unknown_lora_is_reported(tmp_path: Path) -> None:
    every(tmp_path, "{prompt}_{seed}.png", webui(" <lora:good:1>"))
    draw(tmp_path / "red_1.png")
    draw(tmp_path / "blue_1.png", webui("<lora:good:1:lbw=1,0,0.5>")(PROMPTS.prompts[1], 1))
    given = GivenImages(tmp_path, PROMPTS, read_names("{prompt}_{seed}", tmp_path, IDS))
    text = given.described(LORA)
    assert "2 made with 'good' at strength 1 by their metadata" in text
    assert "LoRA or strength of 2 of 4 pictures unknown (red_1.png: nothing in the file says so)" in text
    words = given.words(LORA)
    assert words["blue/1"]["lora"] == "unknown: 'good' at an unknown strength"
    assert [words[name]["lora_by"] for name in ("red/0", "red/1")] == ["its A1111 parameters", ""]


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le", "ascii"])
def test_a1111_s_text_in_a_jpeg_or_webp(tmp_path: Path, suffix: str, encoding: str) -> None:
    """In EXIF's UserComment, where modules/images.py and its imitators write it."""
    code = b"ASCII\0\0\0" if encoding == "ascii" else b"UNICODE\0"
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = code + webui(" <lora:good:0.8>")(RED, 1)["parameters"].encode(encoding)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / f"a{suffix}", exif=exif)
    found = read_origin(tmp_path / f"a{suffix}")
    assert (found.prompt, found.seed, found.loras) == (RED.text, 1, (Use("good", 0.8, 0.8),))


def test_comfyui_s_graph_in_a_webp(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0110] = "prompt:" + comfyui(loader(model=0.5))(RED, 1)["prompt"]
    exif[0x010F] = "workflow:{}"
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.webp", exif=exif)
    found = read_origin(tmp_path / "a.webp")
    assert (found.prompt, found.seed, found.loras) == (RED.text, 1, (Use("good", 0.5, 1.0),))


def test_exif_of_a_photo_is_ignored(tmp_path: Path) -> None:
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


@pytest.mark.parametrize(
    ("tag", "model", "clip"),
    [  # sd_hijack's order: the text encoder first
        ("<lora:good>", 1, 1),
        ("<lora:good:0.8>", 0.8, 0.8),
        ("<lora:good:0:1>", 1, 0),
        ("<lora:good:0.5:0.25>", 0.25, 0.5),
        ("<lora:good:te=0:unet=0>", 0, 0),
        ("<lora:good:1:unet=0.5>", 0.5, 1),
        ("<lora:good:0:ALL>", 0, 0),
        ("<lora:good:0:lbw=1,0,1>", 0, 0),
        ("<lora:good:0:0:lbw=MIDD>", 0, 0),
        ("<lora:good:0:dyn=8>", 0, 0),
        ("<lora:good:1:NONE>", 0, 0),
        ("<lora:good:1:lbw=0,0,0>", 0, 0),
        ("<lora:good:0.7:ALL>", 0.7, 0.7),
        ("<lora:good:0.7:lbw=1,1,1>", 0.7, 0.7),
        ("<lora:good:1:MIDD>", None, None),
        ("<lora:good:1:1:dyn=8>", None, None),
        ("<lora:good:1:1:8>", None, None),
        ("<lora:good:1:stop=10>", None, None),
        ("<lora:good:1:in=0:mid=1:out=1>", None, None),
        ("<lora:good:1@0,0.2@10>", None, None),
        ("<lora:good:strong>", None, None),
        ("<lora:good:nan>", None, None),
        ("<lyco:good:0.6>", 0.6, 0.6),
        ("<LORA:styles/good.safetensors:0>", 0, 0),
    ],
)
def test_strengths_of_a_tag(tag: str, model: float | None, clip: float | None) -> None:
    assert tagged(tag) == [Use("good", model, clip)]


@pytest.mark.parametrize("tag", ["<lora:good:0:ALL>", "<lora:good:te=0:unet=0>", "<lyco:good:0:lbw=0.5,1>"])
def test_strength_0_under_a_preset_is_without_a_lora(tmp_path: Path, tag: str) -> None:
    every(tmp_path, "{n}.png", webui(f" {tag}"))
    with pytest.raises(MeasureError, match="made without a LoRA: 'good' at strength 0"):
        read(tmp_path, "candidate", PROMPTS, None, LORA)


@pytest.mark.parametrize(
    ("usual", "odd"),
    [
        (webui("<lora:good:1><lora:style:1>"), webui("<lora:good:0.2><lora:style:1>")),
        (webui("<lora:good:1:1>"), webui("<lora:good:1:0.2>")),
        (webui("<lora:good:te=1:unet=1>"), webui("<lora:good:te=1:unet=0.2>")),
    ],
)
def test_strengths_that_differ_in_one_part_are_stale(tmp_path: Path, usual: Text, odd: Text) -> None:
    every(tmp_path, "{n}.png", usual)
    draw(tmp_path / "3.png", odd(PROMPTS.prompts[1], 1))
    with pytest.raises(MeasureError, match=r"1 is stale \(3.png: made with 'good' at strength 0.2"):
        read(tmp_path, "candidate", PROMPTS, None, LORA)


def parameters(tail: str, prompt: str = "red") -> Text:
    return lambda _prompt, seed: {"parameters": f"{prompt}\nSteps: 9, Seed: {seed}, Model: flora{tail}"}


@pytest.mark.parametrize(
    ("text", "loras"),
    [
        (parameters(', Lora hashes: "good: 0123456789ab"'), (Use("good", digests=("0123456789ab",)),)),
        (
            parameters(", LoRA networks: good, LoRA hashes: 0123456789ab", "red <lora:good:0.5>"),  # SD.Next
            (Use("good", 0.5, 0.5, ("0123456789ab",)),),
        ),
        (
            parameters(', Hashes: {"model": "aa", "lora:good": "0123456789"}', "red <lora:good:1>"),
            (Use("good", 1, 1, ("0123456789",)),),
        ),
        (
            parameters(
                ", AddNet Enabled: True, AddNet Module 1: LoRA, AddNet Model 1: good(0123456789ab), "
                "AddNet Weight A 1: 0.5, AddNet Weight B 1: 0"
            ),
            (Use("good", 0.5, 0.0, ("0123456789ab",)),),
        ),
        (parameters(', Civitai resources: [{"type":"lora","weight":0}], VAE: x'), (Use("", 0.0, 0.0),)),
        (parameters(', Lora hashes: "a: e3b0c44298"', "red <lora:a:1>"), (Use("a", 1, 1),)),
        (parameters(', Template: "red <lora:good:1>"'), ()),
        (parameters("", "red\nNegative prompt: <lora:good:1>"), ()),
        (parameters(""), ()),
    ],
)
def test_what_webuis_say_of_loras(tmp_path: Path, text: Text, loras: tuple[Use, ...]) -> None:
    found = read_origin(draw(tmp_path / "a.png", text(RED, 1)))
    assert (found.loras, found.unclear) == (loras, "")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (parameters(', ADetailer prompt: "face <lora:good:1>"'), "'adetailer prompt' in its parameters"),
        (
            parameters(', Hires prompt: "red <lora:good:0.2>"', "red <lora:good:1>"),
            "its second pass has other",
        ),
        (parameters(", LoRA module: b"), "'lora module' in its parameters is not understood"),
        (
            parameters(', Lora hashes: "style: 0123456789ab"', "red <lora:good:1>"),
            "its digests leave out 'good'",
        ),
        (parameters(", Version: ComfyUI", "red <lora:good:1>"), "ComfyUI made it, which ignores tags"),
    ],
)
def test_what_is_not_understood_of_webuis_is_unknown(tmp_path: Path, text: Text, why: str) -> None:
    found = read_origin(draw(tmp_path / "a.png", text(RED, 1)))
    assert found.unclear.startswith(why)
    assert not found.is_without
