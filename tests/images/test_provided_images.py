"""Pictures made elsewhere: whose prompt and seed they are, and what is missing, surplus or stale."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lora_checks.core.errors import ConfigError, MeasureError
from lora_checks.core.records import Base, Lora, Prompt, PromptSet, Sampler
from lora_checks.images import plan
from lora_checks.images.png import METADATA_KEY
from lora_checks.images.provided.origin import Origin, read_origin
from lora_checks.images.provided.picture_names import read_names
from lora_checks.images.provided.pictures import Folder, GivenImages, read
from lora_checks.images.provided.uses import Use

RED, BLUE = Prompt("red", "photo of a sks person, red"), Prompt("blue", "photo of a sks person, blue")
PROMPTS = PromptSet(Base("base"), Sampler(4, 2.0, 8, 8), (RED, BLUE), (0, 1), "sks person", "person")
IDS = ["red", "blue"]
SHA, TENSORS = "ab" * 32, "cd" * 32
LORA = Lora(
    Path("good.safetensors"), "good", SHA, "kohya", (4,), (4.0,), {"unet": 1}, 3, tensors_sha256=TENSORS
)

A1111 = (  # stable-diffusion-webui 1.9, modules/processing.py: create_infotext
    "photo of a sks person, {}, <lora:good:0.8>\nNegative prompt: Seed: 9, blurry\n"
    "Steps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7, Seed: {}, Size: 512x512, "
    'Model hash: 6ce0161689, Model: v1-5, Variation seed: 7, Lora hashes: "good: {}", Version: v1.9.4'
)


def draw(path: Path, text: Mapping[str, str] | None = None) -> Path:
    """Write a unique picture with this PNG text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    info = PngInfo()
    for key, value in (text or {}).items():
        info.add_itxt(key, value)
    shade = int.from_bytes(path.name.encode(), "big") % 251
    Image.fromarray(np.full((8, 8, 3), shade, np.uint8)).save(
        path, pnginfo=info if path.suffix == ".png" else None
    )
    return path


def ours(prompt: Prompt, seed: int, lora: str | None = SHA, scale: float = 1.0) -> dict[str, str]:
    recipe = {
        "prompt_id": prompt.id,
        "prompt": prompt.text,
        "seed": seed,
        "lora_sha256": lora,
        "lora_scale": scale,
    }
    return {METADATA_KEY: json.dumps(recipe)}


def a1111(prompt: str, seed: int, digest: str = TENSORS[:12]) -> dict[str, str]:
    return {"parameters": A1111.format(prompt, seed, digest)}


def graph(prompt: str, seed: int, **more: Any) -> dict[str, Any]:
    """ComfyUI's default workflow with a LoRA, in the API format that SaveImage writes (nodes.py)."""
    return {
        "3": {
            "class_type": "KSampler",
            "inputs": {
                "seed": seed,
                "steps": 20,
                "model": ["10", 0],
                "positive": ["6", 0],
                "negative": ["7", 0],
                "latent_image": ["5", 0],
            },
        },
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "v1-5.safetensors"}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 512, "batch_size": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": prompt, "clip": ["10", 1]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["10", 1]}},
        "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "ComfyUI", "images": ["8", 0]}},
        "10": {"class_type": "LoraLoader", "inputs": {"lora_name": "good.safetensors", "model": ["4", 0]}},
        **more,
    }


def every(folder: Path, name: str, text: Callable[[Prompt, int], Mapping[str, str]] | None = None) -> Path:
    """Write a picture for each prompt and seed, named by ``name``."""
    for i, prompt in enumerate(PROMPTS.prompts):
        for seed in PROMPTS.seeds:
            path = folder / name.format(prompt=prompt.id, seed=seed, n=2 * i + seed)
            draw(path, text(prompt, seed) if text else None)
    return folder


def pairs(found: Folder) -> list[tuple[str, str]]:
    return [(image.name, image.path.name) for image in found.images.images]


EXPECTED = [("red/0", "0.png"), ("red/1", "1.png"), ("blue/0", "2.png"), ("blue/1", "3.png")]


@pytest.mark.parametrize(
    "text",
    [
        lambda prompt, seed: ours(prompt, plan.noise_seed(prompt, seed)),
        lambda prompt, seed: ours(prompt, seed),
        lambda prompt, seed: a1111(prompt.id, seed),
        lambda prompt, seed: a1111(f" {prompt.id}", plan.noise_seed(prompt, seed)),
        lambda prompt, seed: {"prompt": json.dumps(graph(prompt.text, seed))},
    ],
    ids=["ours", "ours, the policy's seed", "A1111", "A1111, the noise seed", "ComfyUI"],
)
def test_prompt_and_seed_of_metadata(tmp_path: Path, text: Callable[[Prompt, int], dict[str, str]]) -> None:
    found = read(every(tmp_path, "{n}.png", text), "candidate", PROMPTS, None, LORA)
    assert pairs(found) == EXPECTED
    assert found.images.images[2].prompt == BLUE
    assert found.seeds_told


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("{prompt}_{seed}.png", "{prompt}_{seed}.png"),
        ("{prompt}_{seed}", "{prompt}_{seed}.webp"),
        ("{lora}_{step}_{prompt}_{timestamp}.png", "my_lora_000100_{prompt}_20240101{seed}.png"),
        # sd-scripts, library/train_util.py: sample_image_inference
        (
            "{lora}_{step}_{index}_{timestamp}_{seed}.png",
            "my_lora_e000001_{n:02d}_20240101120000_{seed}.png",
        ),
        # ai-toolkit, jobs/process/BaseSDTrainProcess.py: [time]_[step]_[count]
        ("*__{step}_{index}.png", "1700000009__000000500_{n}.png"),
    ],
)
def test_prompt_and_seed_of_names(tmp_path: Path, spec: str, name: str) -> None:
    found = read(every(tmp_path, name), "candidate", PROMPTS, read_names(spec, tmp_path, IDS), LORA)
    assert [image.name for image in found.images.images] == ["red/0", "red/1", "blue/0", "blue/1"]
    assert found.images.images[2].path.name == name.format(prompt="blue", seed=0, n=2)
    assert found.seeds_told == ("{seed}" in spec)


def test_prompt_and_seed_of_a_list(tmp_path: Path) -> None:
    every(tmp_path / "pictures", "{n}.png")
    (tmp_path / "list.csv").write_text(
        f'file,prompt,seed\n0.png,red,0\n1.png,red,1\n2.png,blue,0\n3.png,"{BLUE.text}",1'
    )
    found = read(tmp_path / "pictures", "candidate", PROMPTS, read_names("list.csv", tmp_path, IDS), LORA)
    assert pairs(found) == EXPECTED


def test_seeds_that_nothing_tells_are_in_the_order_of_the_names(tmp_path: Path) -> None:
    for name in ("red-10.png", "red-9.png", "blue-1.png", "blue-2.png"):
        draw(tmp_path / name)
    found = read(tmp_path, "candidate", PROMPTS, read_names("{prompt}-*", tmp_path, IDS), LORA)
    assert pairs(found)[:2] == [("red/0", "red-9.png"), ("red/1", "red-10.png")]
    assert not found.seeds_told


def test_a_seed_missing_from_the_name_is_taken_from_the_file(tmp_path: Path) -> None:
    for seed, name in ((1, "red-a.png"), (0, "red-b.png"), (0, "blue-a.png"), (1, "blue-b.png")):
        draw(tmp_path / name, a1111(name.partition("-")[0], seed))
    found = read(tmp_path, "candidate", PROMPTS, read_names("{prompt}-*", tmp_path, IDS), LORA)
    assert pairs(found)[0] == ("red/0", "red-b.png")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: (d / "1.png").unlink(), "1 of 4 pictures are missing (red/1)"),
        (
            lambda d: draw(d / "4.png", ours(RED, 7)),
            "1 is surplus (4.png: prompt 'red', seed 7 is not asked for)",
        ),
        (lambda d: draw(d / "4.png", ours(RED, 0)), "1 is surplus (4.png: red/0 is 0.png already)"),
        (
            lambda d: draw(d / "4.png", ours(replace(RED, text="a sks person, navy"), 0)),
            "1 is surplus (4.png: prompts.yaml has no prompt 'a sks person, navy')",
        ),
        (
            lambda d: draw(d / "1.png", ours(RED, 1, "ef" * 32)),
            "1 is stale (1.png: made with the LoRA of digest efef",
        ),
        (
            lambda d: draw(d / "1.png", a1111("red", 1, "123456789abc")),
            "1 is stale (1.png: made with 'good', but of digest 123456789abc, which is not of good",
        ),
        (lambda d: draw(d / "1.png", ours(RED, 1, None)), "1 is stale (1.png: made without a LoRA)"),
        (
            lambda d: draw(d / "1.png", ours(RED, 1, SHA, 0.5)),
            "stale (1.png: strength 0.5, the others at strength 1)",
        ),
        (
            lambda d: draw(d / "4.png"),
            "4.png: its prompt is unknown; looked for text of lora_checks, A1111 and Fooocus",
        ),
        (lambda d: draw(d / "4.gif"), "4.gif: .gif pictures are not read"),
    ],
    ids=["missing", "seed", "twice", "prompt", "other", "hash", "base", "strength", "nothing", "format"],
)
def test_what_is_not_as_the_policy_asks(
    tmp_path: Path, change: Callable[[Path], object], message: str
) -> None:
    every(tmp_path, "{n}.png", ours)
    change(tmp_path)
    with pytest.raises((MeasureError, ConfigError), match=re.escape(message)) as raised:
        read(tmp_path, "candidate", PROMPTS, None, LORA)
    assert len(str(raised.value)) < 300 + len(str(tmp_path))


def test_all_that_is_wrong_is_in_one_sentence(tmp_path: Path) -> None:
    every(tmp_path, "{n}.png", ours)
    (tmp_path / "0.png").unlink()
    draw(tmp_path / "3.png", ours(BLUE, 1, "ef" * 32))
    draw(tmp_path / "5.png", ours(RED, 5))
    draw(tmp_path / "6.png", ours(RED, 6))
    with pytest.raises(MeasureError, match=r"1 of 4 .* missing .*; 2 are surplus .*; 1 is stale"):
        read(tmp_path, "candidate", PROMPTS, None, LORA)


def test_without_a_file_the_pictures_have_to_be_of_one_lora(tmp_path: Path) -> None:
    unknown = replace(LORA, sha256="", tensors_sha256="", path=tmp_path)
    every(tmp_path, "{n}.png", ours)
    assert len(read(tmp_path, "candidate", PROMPTS, None, unknown).images.images) == 4
    draw(tmp_path / "3.png", ours(BLUE, 1, "ef" * 32))
    with pytest.raises(MeasureError, match=r"1 is stale \(3.png: .* the others with another"):
        read(tmp_path, "candidate", PROMPTS, None, unknown)


def test_one_picture_under_two_names_does_not_count_twice(tmp_path: Path) -> None:
    every(tmp_path, "{prompt}_{seed}.png")
    (tmp_path / "red_1.png").write_bytes((tmp_path / "red_0.png").read_bytes())
    with pytest.raises(MeasureError, match=r"1 is surplus \(red_1.png: the same bytes as red_0.png\)"):
        read(tmp_path, "candidate", PROMPTS, read_names("{prompt}_{seed}", tmp_path, IDS), LORA)


def test_what_is_no_picture_is_ignored_and_counted(tmp_path: Path) -> None:
    every(tmp_path, "{n}.png", ours)
    (tmp_path / "0.txt").write_text("photo")
    (tmp_path / "graph.json").write_text("{}")
    draw(tmp_path / "old" / "9.png")
    assert read(tmp_path, "candidate", PROMPTS, None, LORA).ignored == 3
    assert (
        GivenImages(tmp_path, PROMPTS).described(LORA) == "4 pictures, made elsewhere, 3 other files ignored"
    )


def test_a_picture_that_cannot_be_decoded_is_an_error(tmp_path: Path) -> None:
    every(tmp_path, "{prompt}_{seed}.png")
    path = tmp_path / "red_0.png"
    path.write_bytes(path.read_bytes()[:45])
    given = GivenImages(tmp_path, PROMPTS, read_names("{prompt}_{seed}", tmp_path, IDS))
    with pytest.raises(MeasureError, match=r"red_0.png: cannot be decoded"):
        given.described(LORA)


def test_pictures_older_than_the_lora_are_mentioned_only(tmp_path: Path) -> None:
    every(tmp_path / "pictures", "{n}.png", ours)
    os.utime(tmp_path / "pictures" / "0.png", (1, 1))
    (tmp_path / "good.safetensors").write_bytes(b"")
    os.utime(tmp_path / "good.safetensors", (2, 2))
    lora = replace(LORA, path=tmp_path / "good.safetensors")
    assert "1 older than good.safetensors" in GivenImages(tmp_path / "pictures", PROMPTS).described(lora)


def test_two_steps_of_a_training_in_one_folder_are_named(tmp_path: Path) -> None:
    every(tmp_path, "a_000100_{prompt}_{seed}.png")
    every(tmp_path, "a_000200_{prompt}_{seed}.png")
    names = read_names("{lora}_{step}_{prompt}_{seed}.png", tmp_path, IDS)
    with pytest.raises(MeasureError, match=r"4 are surplus .* already, steps 000100 and 000200"):
        read(tmp_path, "candidate", PROMPTS, names, LORA)


def test_a_name_that_the_list_lacks_is_surplus(tmp_path: Path) -> None:
    every(tmp_path, "{n}.png")
    (tmp_path / "list.csv").write_text("file,prompt,seed\n0.png,red,0\n1.png,red,1\n2.png,blue,0\n")
    with pytest.raises(MeasureError, match=r"missing \(blue/1\); 1 is surplus \(3.png: .*does not name it"):
        read(tmp_path, "candidate", PROMPTS, read_names("list.csv", tmp_path, IDS), LORA)


def test_a_picture_of_the_list_that_is_gone_is_an_error(tmp_path: Path) -> None:
    """Somebody made four pictures of a prompt with two seeds and deleted the worst."""
    every(tmp_path / "with", "{n}.png")
    lines = "file,prompt,seed\n0.png,red,0\n1.png,red,1\n2.png,blue,0\n3.png,blue,1\n4.png,red,0\n"
    (tmp_path / "list.csv").write_text(lines)
    names = read_names("list.csv", tmp_path, IDS)
    with pytest.raises(MeasureError, match=r"with: list.csv names 4.png, which is not there"):
        GivenImages(tmp_path / "with", PROMPTS, names).candidate(LORA)
    draw(tmp_path / "base" / "4.png")
    given = GivenImages(tmp_path / "with", PROMPTS, names, tmp_path / "base")
    assert len(given.candidate(LORA).images) == 4


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        (ours(BLUE, 0), "its name says red/0, its metadata blue/0"),
        (ours(RED, plan.noise_seed(RED, 1)), "its name says red/0, its metadata red/1"),
    ],
)
def test_a_name_and_metadata_that_disagree_are_an_error(
    tmp_path: Path, inside: dict[str, str], message: str
) -> None:
    draw(tmp_path / "red_0.png", inside)
    with pytest.raises(MeasureError, match=message):
        read(tmp_path, "candidate", PROMPTS, read_names("{prompt}_{seed}", tmp_path, IDS), LORA)


def test_a_list_may_map_other_seeds_to_the_policy_s(tmp_path: Path) -> None:
    every(tmp_path, "{prompt}_{seed}.png", lambda prompt, seed: a1111(prompt.id, 1000 + seed))
    found = read(tmp_path, "candidate", PROMPTS, read_names("{prompt}_{seed}", tmp_path, IDS), LORA)
    assert len(found.images.images) == 4


def batch(folder: Path, name: str) -> Path:
    """ComfyUI writes the seed of a batch's first picture into each of its files."""
    return every(folder, name, lambda prompt, _seed: {"prompt": json.dumps(graph(prompt.text, 0))})


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("{prompt}_{seed}.png", "{prompt}_{seed}.png"),
        ("ComfyUI_{n:05d}_.png", "ComfyUI_{index}_.png"),
        ("ComfyUI_{n:05d}_.png", "list.csv"),
    ],
)
def test_a_batch_of_comfyui_is_told_apart_by_the_user_s_word(tmp_path: Path, name: str, spec: str) -> None:
    batch(tmp_path / "with", name)
    pictures = [(prompt.id, seed) for prompt in PROMPTS.prompts for seed in PROMPTS.seeds]
    lines = [f"ComfyUI_{n:05d}_.png,{prompt},{seed}" for n, (prompt, seed) in enumerate(pictures)]
    (tmp_path / "list.csv").write_text("\n".join(["file,prompt,seed", *lines]))
    given = GivenImages(tmp_path / "with", PROMPTS, read_names(spec, tmp_path, IDS))
    assert [image.name for image in given.candidate(LORA).images] == ["red/0", "red/1", "blue/0", "blue/1"]
    source = "list.csv" if spec == "list.csv" else "its name"
    assert f"seed of 2 according to the user ({source}, not their metadata)" in given.described(LORA)
    words = given.words(LORA)
    assert (words["red/1"]["seed_by"], words["red/1"]["seed_in_metadata"]) == (source, "0")
    assert "seed_in_metadata" not in words["red/0"]


def test_a_batch_of_comfyui_that_nothing_tells_apart_names_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(
        MeasureError, match=r"2 are surplus .* first seed .* with --lora-images-from, a CSV or a pat"
    ):
        read(batch(tmp_path, "{n}.png"), "candidate", PROMPTS, None, LORA)


def test_seeds_that_the_metadata_tells_apart_are_not_swapped(tmp_path: Path) -> None:
    every(tmp_path, "{prompt}_{seed}.png", lambda prompt, seed: a1111(prompt.id, 1 - seed))
    with pytest.raises(MeasureError, match="its name says blue/0, its A1111 parameters blue/1"):
        read(tmp_path, "candidate", PROMPTS, read_names("{prompt}_{seed}", tmp_path, IDS), LORA)


def test_an_index_beyond_the_plan_is_surplus(tmp_path: Path) -> None:
    every(tmp_path, "{n}.png")
    draw(tmp_path / "4.png")
    with pytest.raises(MeasureError, match=r"1 is surplus \(4.png: .* no picture number 4, counted from 0"):
        read(tmp_path, "candidate", PROMPTS, read_names("{index}", tmp_path, IDS), LORA)


def test_a_name_of_two_prompts_is_an_error(tmp_path: Path) -> None:
    draw(tmp_path / "x_b_a_1.png")
    with pytest.raises(MeasureError, match="fits 'a' and 'b_a'; list the pictures in a CSV file"):
        read(tmp_path, "candidate", PROMPTS, read_names("*_{prompt}_{seed}", tmp_path, ["a", "b_a"]), LORA)


def test_pictures_without_the_lora_are_paired_by_prompt_and_seed(tmp_path: Path) -> None:
    every(tmp_path / "with", "{n}.png", ours)
    every(tmp_path / "base", "{prompt}{seed}.png", lambda prompt, seed: ours(prompt, seed, None))
    given = GivenImages(tmp_path / "with", PROMPTS, without_lora=tmp_path / "base")
    candidate = given.candidate(LORA)
    part = replace(candidate, images=candidate.images[:0:-1])
    assert [image.path.name for image in given.without(part).images] == ["blue1.png", "blue0.png", "red1.png"]


def test_pictures_made_with_a_lora_are_no_baseline(tmp_path: Path) -> None:
    every(tmp_path, "{n}.png", ours)
    with pytest.raises(MeasureError, match=r"4 are stale \(0.png: made with a LoRA\)"):
        GivenImages(tmp_path, PROMPTS, without_lora=tmp_path).baseline()


def test_seeds_that_nothing_tells_pair_with_nothing(tmp_path: Path) -> None:
    every(tmp_path / "with", "{prompt}-{n}.png")
    every(tmp_path / "base", "{prompt}-{n}.png")
    names = read_names("{prompt}-*", tmp_path, IDS)
    given = GivenImages(tmp_path / "with", PROMPTS, names, tmp_path / "base")
    with pytest.raises(MeasureError, match="the pictures' seeds are unknown"):
        given.without(given.candidate(LORA))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("{promt}_{seed}.png", "has an unknown field"),
        ("{prompt}_{prompt}.png", "has {prompt} twice"),
        ("{lora}_{timestamp}.png", "has none of {prompt}, {index} and {seed}"),
        ("{prompt_1.png", "has an unknown field"),
        ("names.txt", "neither a pattern such as {prompt}_{seed}.png nor a .csv file"),
        ("gone.csv", "gone.csv cannot be read: No such file"),
        ("bad.csv", "bad.csv: the first line lacks prompt"),
        ("excel.csv", "lacks file, prompt; it must be file,prompt,seed with commas, but is 'file;prompt'"),
        ("twice.csv", "twice.csv: the first line names a column twice: file,prompt,seed,seed"),
        ("comma.csv", 'comma.csv:2: more cells than columns; put "..." around a comma'),
        ("windows.csv", "windows.csv:2: 'C:\\out\\a.png': name the file without its folder"),
        ("above.csv", "above.csv:2: '../a.png': name the file without its folder"),
        ("seed.csv", "seed.csv:2: each line needs its own file, a prompt and a whole seed"),
    ],
)
def test_a_spec_that_cannot_be_meant(tmp_path: Path, spec: str, message: str) -> None:
    (tmp_path / "bad.csv").write_text("file,text\na.png,red\n")
    (tmp_path / "seed.csv").write_text("file,prompt,seed\na.png,red,1.5\n")
    (tmp_path / "excel.csv").write_text("file;prompt\na.png;red\n")
    (tmp_path / "twice.csv").write_text("file,prompt,seed,seed\na.png,red,1,0\n")
    (tmp_path / "comma.csv").write_text("file,prompt\na.png,photo of a person, red\n")
    (tmp_path / "windows.csv").write_text("file,prompt\nC:\\out\\a.png,red\n")
    (tmp_path / "above.csv").write_text("file,prompt\n../a.png,red\n")
    with pytest.raises(ConfigError, match=re.escape(message)):
        read_names(spec, tmp_path, IDS)


def told(path: Path, content: object) -> Origin:
    return read_origin(draw(path, {"prompt": json.dumps(content)}))


def test_the_first_of_two_passes_is_comfyui_s_seed(tmp_path: Path) -> None:
    second = {
        "class_type": "KSampler",
        "inputs": {"seed": 9, "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["12", 0]},
    }
    upscale = {"class_type": "LatentUpscale", "inputs": {"samples": ["3", 0]}}
    found = told(tmp_path / "a.png", graph(RED.text, 1, **{"11": second, "12": upscale}))
    assert (found.prompt, found.seed) == (RED.text, 1)


def test_comfyui_s_flux_graph(tmp_path: Path) -> None:
    found = told(
        tmp_path / "a.png",
        {
            "13": {
                "class_type": "SamplerCustomAdvanced",
                "inputs": {"noise": ["25", 0], "guider": ["22", 0], "latent_image": ["27", 0]},
            },
            "22": {"class_type": "BasicGuider", "inputs": {"model": ["12", 0], "conditioning": ["26", 0]}},
            "26": {"class_type": "FluxGuidance", "inputs": {"guidance": 3.5, "conditioning": ["6", 0]}},
            "6": {"class_type": "CLIPTextEncode", "inputs": {"text": ["30", 0], "clip": ["11", 0]}},
            "30": {"class_type": "PrimitiveStringMultiline", "inputs": {"value": RED.text}},
            "25": {"class_type": "RandomNoise", "inputs": {"noise_seed": 5}},
            "27": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 1024, "height": 1024}},
        },
    )
    assert (found.prompt, found.seed) == (RED.text, 5)


@pytest.mark.parametrize(
    "content", [[], "text", {"1": 5}, {"1": {"inputs": []}}, {"1": {"inputs": {"seed": "x"}}}]
)
def test_a_text_that_is_not_a_graph_is_ignored(tmp_path: Path, content: object) -> None:
    assert told(tmp_path / "a.png", content) == Origin()


def test_a_loop_in_a_graph_ends(tmp_path: Path) -> None:
    looping = graph(RED.text, 1, **{"6": {"class_type": "Loop", "inputs": {"conditioning": ["6", 0]}}})
    found = told(tmp_path / "a.png", looping)
    assert (found.prompt, found.seed) == ("", 1)


@pytest.mark.parametrize(
    "prompt", ["a, <lora:x:1>, b", "<lora:x:1>, a, b", "a, b, <lora:x:1> <lora:y:0.5:1>", "a,  b<lyco:x:1>"]
)
def test_a1111_s_lora_tags_are_no_part_of_the_prompt(tmp_path: Path, prompt: str) -> None:
    text = f"{prompt}\nSteps: 20, Sampler: Euler a, Seed: 3, Size: 512x512"
    found = read_origin(draw(tmp_path / "a.png", {"parameters": text}))
    assert (found.prompt, found.seed) == ("a, b", 3)


def test_a1111_s_prompt_may_speak_of_seeds_and_span_lines(tmp_path: Path) -> None:
    text = A1111.format("x", 3, TENSORS[:12]).replace("photo of", "Seed: 8, Steps: 2\nphoto of")
    found = read_origin(draw(tmp_path / "a.png", {"parameters": text}))
    assert found.prompt == "Seed: 8, Steps: 2 photo of a sks person, x"
    assert (found.seed, found.loras) == (3, (Use("good", 0.8, 0.8, (TENSORS[:12],)),))
