"""The metadata of Fooocus, InvokeAI and SwarmUI, in PNG text and in the EXIF of JPEG and WebP."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_provided_images import LORA, PROMPTS, RED, SHA, TENSORS, draw, every

from lora_checks.core.errors import MeasureError
from lora_checks.core.records import Prompt
from lora_checks.images.provided.origin import Origin, read_origin
from lora_checks.images.provided.pictures import GivenImages, read
from lora_checks.images.provided.uses import Use

Text = Callable[[Prompt, int, float], Mapping[str, str]]
NO_MATCH = "0123456789ab" * 5 + "0123"


def fooocus(prompt: Prompt, seed: int, weight: float) -> dict[str, str]:
    """Return text as FooocusMetadataParser writes it, with the digest of the whole file."""
    parameters = {
        "base_model": "juggernaut",
        "full_prompt": [f"{prompt.text}, cinematic still", "harmonious"],
        "lora_combined_1": f"good : {weight}",
        "loras": [["good", weight, SHA]],
        "metadata_scheme": "fooocus",
        "performance": "Speed",
        "prompt": prompt.text,
        "seed": str(seed),
        "styles": "['Fooocus V2', 'Fooocus Cinematic']",
        "version": "Fooocus v2.5.5",
    }
    return {"parameters": json.dumps(parameters), "fooocus_scheme": "fooocus"}


def fooocus_a1111(prompt: Prompt, seed: int, weight: float) -> dict[str, str]:
    raw = f'Raw prompt: "{prompt.text}"'
    return {
        "parameters": f"{prompt.text}, cinematic still\nNegative prompt: ugly\nSteps: 30, Sampler: DPM++, "
        f'Seed: {seed}, Size: 64x64, {raw}, Lora hashes: "good: {SHA[:10]}", Lora weights: "good: {weight}", '
        "Version: Fooocus v2.5.5",
        "fooocus_scheme": "a1111",
    }


def invokeai(prompt: Prompt, seed: int, weight: float) -> dict[str, str]:
    model = {"key": "k", "hash": f"blake3:{NO_MATCH}", "name": "good", "base": "sd-1", "type": "lora"}
    found = {
        "generation_mode": "txt2img",
        "positive_prompt": prompt.text,
        "seed": seed,
        "loras": [{"model": model, "weight": weight}],
    }
    return {"invokeai_metadata": json.dumps(found)}


def invokeai_3(prompt: Prompt, seed: int, weight: float) -> dict[str, str]:
    entry = {"lora": {"model_name": "good", "base_model": "sd-1"}, "weight": weight}
    return {"invokeai_metadata": json.dumps({"positive_prompt": prompt.text, "seed": seed, "loras": [entry]})}


def invokeai_2(prompt: Prompt, seed: int, weight: float) -> dict[str, str]:
    written = f"{prompt.text} withLora(good,{weight}) [ugly]"
    image = {"prompt": [{"prompt": written, "weight": 1.0}], "seed": seed, "type": "txt2img"}
    return {"sd-metadata": json.dumps({"app_version": "2.3.5", "image": image}), "Dream": f'"{written}" -S 9'}


def dream(prompt: Prompt, seed: int, weight: float) -> dict[str, str]:
    return {"Dream": f'"{prompt.text} withLora(good,{weight})" -s 50 -S {seed} -W 512 -A k_lms'}


def swarmui(prompt: Prompt, seed: int, weight: float) -> dict[str, str]:
    params = {"prompt": prompt.text, "seed": seed, "loras": ["x/good"], "loraweights": [str(weight)]}
    models = [{"name": "x/good.safetensors", "param": "loras", "hash": f"0x{TENSORS}"}]
    found = {"sui_image_params": params | {"swarm_version": "0.9"}, "sui_models": models}
    return {"parameters": json.dumps(found, indent=2)}


def swarmui_older(prompt: Prompt, seed: int, weight: float) -> dict[str, str]:
    params = {"prompt": prompt.text, "seed": str(seed), "loras": "good,style", "loraweights": f"{weight},1"}
    return {"parameters": json.dumps({"sui_image_params": params | {"lorasectionconfinement": "0,-1"}})}


WRITERS: dict[str, Text] = {
    "Fooocus": fooocus,
    "Fooocus in A1111's text": fooocus_a1111,
    "InvokeAI": invokeai,
    "InvokeAI 3": invokeai_3,
    "InvokeAI 2": invokeai_2,
    "InvokeAI 1": dream,
    "SwarmUI": swarmui,
    "SwarmUI, texts": swarmui_older,
}
each_writer = pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)


@each_writer
def test_prompt_seed_and_lora(tmp_path: Path, writer: Text) -> None:
    every(tmp_path, "{n}.png", lambda prompt, seed: writer(prompt, seed, 0.8))
    text = GivenImages(tmp_path, PROMPTS).described(LORA)
    assert "made with 'good' at strength 0.8" in text
    assert "unknown" not in text


@each_writer
def test_strength_0(tmp_path: Path, writer: Text) -> None:
    every(tmp_path, "{n}.png", lambda prompt, seed: writer(prompt, seed, 0.0))
    with pytest.raises(MeasureError, match=r"4 are stale \(0.png: made with.* 'good' at strength 0\)"):
        read(tmp_path, "candidate", PROMPTS, None, LORA)


@each_writer
def test_different_strengths(tmp_path: Path, writer: Text) -> None:
    every(
        tmp_path, "{n}.png", lambda prompt, seed: writer(prompt, seed, 0.2 if seed and prompt == RED else 1)
    )
    with pytest.raises(MeasureError, match=r"1 is stale \(1.png: .*'good' at strength 0.2"):
        read(tmp_path, "candidate", PROMPTS, None, LORA)


@each_writer
def test_another_lora(tmp_path: Path, writer: Text) -> None:
    def other(prompt: Prompt, seed: int) -> dict[str, str]:
        texts = writer(prompt, seed, 1).items()
        return {key: text.replace("good", "other").replace(SHA[:10], "01" * 5) for key, text in texts}

    every(tmp_path, "{n}.png", other)
    if writer is swarmui:  # its digest is of the tensors
        assert read(tmp_path, "candidate", PROMPTS, None, LORA).pictures[0].origin.names == ("other",)
        return
    with pytest.raises(MeasureError, match=r"4 are stale \(0.png: made with 'other'"):
        read(tmp_path, "candidate", PROMPTS, None, LORA)


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
@pytest.mark.parametrize("writer", [fooocus, fooocus_a1111, swarmui])
def test_exif(tmp_path: Path, writer: Text, suffix: str) -> None:
    """Fooocus writes both tags into the root directory, SwarmUI into the right one."""
    texts = writer(RED, 1, 0.8)
    exif = Image.Exif()
    if "fooocus_scheme" in texts:
        exif[0x9286], exif[0x0131] = texts["parameters"], "Fooocus v2.5.5"
        exif[0x927C] = texts["fooocus_scheme"]
    else:
        exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + texts["parameters"].encode("utf-16-le")
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / f"a{suffix}", exif=exif)
    found = read_origin(tmp_path / f"a{suffix}")
    assert (found.prompt, found.seed, [str(use) for use in found.on]) == (
        RED.text,
        1,
        ["'good' at strength 0.8"],
    )


@pytest.mark.parametrize("writer", [fooocus, fooocus_a1111])
def test_a_style_is_recorded_and_its_prompt_matched_as_written(tmp_path: Path, writer: Text) -> None:
    every(tmp_path, "{n}.png", lambda prompt, seed: writer(prompt, seed, 1))
    given = GivenImages(tmp_path, PROMPTS)
    assert given.described(LORA).endswith("prompt of 4 expanded by styles")
    assert "inematic" in given.words(LORA)["red/0"]["style"]


def origin(tmp_path: Path, key: str, found: object) -> Origin:
    text = found if isinstance(found, str) else json.dumps(found)
    return read_origin(draw(tmp_path / "a.png", {key: text}))


def swarm(**params: Any) -> dict[str, Any]:
    return {"sui_image_params": {"prompt": RED.text, "seed": 1, **params}}


UNKNOWN = [
    ("parameters", swarm(loras=["good"], loraweights=["1"], lorasectionconfinement=["3"])),
    ("parameters", swarm(loras=["good"], loraweights=["much"])),
    ("parameters", swarm(prompt=f"{RED.text} <lora:good:1>")),
    ("parameters", swarm() | {"sui_extra_data": {"unused_parameters": ["loraweights"]}}),
    ("invokeai_metadata", {"positive_prompt": RED.text, "seed": 1}),
    ("invokeai_metadata", {"positive_prompt": RED.text, "seed": 1, "loras": [{"weight": 1}]}),
    ("invokeai_metadata", {"positive_prompt": RED.text, "seed": 1, "loras": [{"model": {"name": "good"}}]}),
]


@pytest.mark.parametrize(("key", "found"), UNKNOWN)
def test_what_is_not_understood_is_unknown(tmp_path: Path, key: str, found: object) -> None:
    got = origin(tmp_path, key, found)
    assert got.prompt == RED.text
    assert not got.is_without
    assert got.unclear or not all(use.is_known for use in got.on)


WITHOUT = [
    ("parameters", swarm()),
    ("parameters", swarm(loras=[])),
    ("invokeai_metadata", {"positive_prompt": RED.text, "seed": 1, "loras": []}),
    ("invokeai_metadata", {"positive_prompt": RED.text, "seed": 1, "generation_mode": "txt2img"}),
    (
        "parameters",
        {"prompt": RED.text, "full_prompt": RED.text, "performance": "Speed", "loras": [], "seed": 1},
    ),
    ("parameters", f"{RED.text}\nSteps: 30, Seed: 1, Model: x, Version: Fooocus v2.5.5"),
    ("Dream", f'"{RED.text}" -s 50 -S 1'),
]


@pytest.mark.parametrize(("key", "found"), WITHOUT)
def test_without_a_lora(tmp_path: Path, key: str, found: object) -> None:
    got = origin(tmp_path, key, found)
    assert (got.prompt, got.seed, got.is_without) == (RED.text, 1, True)


def test_swarmui_s_default_weight_and_its_text_encoder(tmp_path: Path) -> None:
    got = origin(
        tmp_path, "parameters", swarm(loras=["a/good", "b"], loraweights=["0.5"], loratencweights=["0"])
    )
    assert got.loras == (Use("good", 0.5, 0.0), Use("b", 1.0, 1.0))


def test_older_fooocus_has_weights_among_the_hashes(tmp_path: Path) -> None:
    text = f'{RED.text}\nSteps: 30, Seed: 1, Lora hashes: "good: {SHA[:10]}: 0.5, b: 0123456789: 1.0"'
    got = origin(tmp_path, "parameters", f"{text}, Version: Fooocus v2.2.0")
    assert got.loras == (Use("good", 0.5, 0.5, (SHA[:10],)), Use("b", 1.0, 1.0, ("0123456789",)))


@pytest.mark.parametrize("key", ["parameters", "invokeai_metadata", "sd-metadata", "Dream", "prompt"])
@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "{",
            "[]",
            "null",
            "[" * 3000,
            '{"loras": 5}',
            '{"positive_prompt": 1}',
            '{"image": {"prompt": []}}',
        ),
        *('{"sui_image_params": []}', '{"sui_image_params": {"loras": {"a": 1}, "loraweights": 3}}'),
    ],
)
def test_odd_metadata_is_no_traceback(tmp_path: Path, key: str, text: str) -> None:
    assert origin(tmp_path, key, text).seed is None


@pytest.mark.parametrize("key", ["parameters", "Dream", "prompt"])
@pytest.mark.parametrize(
    "part", ["<lora:", "withLora(", "[", "a ", 'b: "', " -S ", "Hashes: {", "\nSteps: 1, "]
)
def test_long_metadata_is_read_in_no_time(tmp_path: Path, key: str, part: str) -> None:
    path = draw(tmp_path / "a.png", {key: f"red\nSteps: 1, {part * 20_000}"})
    start = time.process_time()
    read_origin(path)
    assert time.process_time() - start < 5


def test_names_from_outside_are_shown_as_one_line(tmp_path: Path) -> None:
    name = "\x1b[31m" + "x" * 500
    every(tmp_path, "{n}.png", lambda prompt, seed: swarmui(prompt, seed, 1))
    text = f"{RED.text}<lora:{name}:1>\nSteps: 1, Seed: 0"
    draw(tmp_path / "0.png", {"parameters": text})
    with pytest.raises(MeasureError) as raised:
        read(tmp_path, "candidate", PROMPTS, None, LORA)
    assert "\x1b" not in str(raised.value)
