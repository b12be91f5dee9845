"""--lora-images DIR: the pictures of a folder, made elsewhere, are gated; nothing is generated."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from spy import HEAVY
from world import SCENES, TEXT, Gate, Run, made, row

from lora_checks.images.source import CAVEAT

ROWS = ("faces", "identity", "likeness", "distribution")
SHIRTS = list(SCENES)


def generated(gate: Gate, lora: str = "good") -> Path:
    """Where the gate shows what it made with a LoRA of the world."""
    (folder,) = gate.world.store.glob(f"{lora}-??????")
    return folder


def copied(gate: Gate, name: str = "samples", lora: str = "good") -> Path:
    """As they are: with our own metadata."""
    folder = gate.folder / name
    folder.mkdir()
    for picture in generated(gate, lora).glob("*.png"):
        shutil.copy(picture, folder)
    return folder


def resaved(gate: Gate, folder: str, name: Callable[[str], str], key: str, lora: str = "good") -> Path:
    """The same pixels as another program saves them: its names, its metadata under ``key`` or none."""
    target = gate.folder / folder
    target.mkdir()
    for shirt in SHIRTS:
        text = TEXT.format(shirt, SCENES[shirt])
        info = PngInfo()
        if key == "parameters":  # stable-diffusion-webui
            info.add_text(
                key, f"{text} <lora:good:1>\nSteps: 4, Sampler: DDIM, CFG scale: 2, Seed: 1, Size: 64x64"
            )
        elif key == "prompt":  # ComfyUI
            info.add_text(key, json.dumps(graph(text)))
        with Image.open(generated(gate, lora) / f"{shirt}_1.png") as image:
            image.load()
            image.save(target / name(shirt), pnginfo=info)
    return target


def graph(text: str) -> dict[str, object]:
    sampler = {
        "seed": 1,
        "model": ["10", 0],
        "positive": ["6", 0],
        "negative": ["7", 0],
        "latent_image": ["5", 0],
    }
    return {
        "10": {"class_type": "LoraLoader", "inputs": {"lora_name": "good.safetensors", "model": ["4", 0]}},
        "3": {"class_type": "KSampler", "inputs": sampler},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": text}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry"}},
    }


def number(shirt: str) -> int:
    return SHIRTS.index(shirt)


@pytest.mark.parametrize(
    ("name", "key", "spec"),
    [
        (lambda shirt: f"{number(shirt):05d}-1.png", "parameters", ()),
        (lambda shirt: f"ComfyUI_{number(shirt) + 1:05d}_.png", "prompt", ()),
        (
            lambda shirt: f"good_000100_{number(shirt):02d}_20240101120000_1.png",
            "",
            ("--lora-images-from", "{lora}_{step}_{index}_{timestamp}_{seed}.png"),
        ),
        (
            lambda shirt: f"good_000100_{shirt}_20240101120000.png",
            "",
            ("--lora-images-from", "{lora}_{step}_{prompt}_{timestamp}.png"),
        ),
    ],
    ids=["A1111", "ComfyUI", "sd-scripts", "a pattern"],
)
def test_what_other_programs_save_is_measured_as_what_the_gate_made(
    gate: Gate, first_run: Run, name: Callable[[str], str], key: str, spec: tuple[str, ...]
) -> None:
    run = gate("--lora-images", resaved(gate, "samples", name, key), *spec)
    assert run.code == 0, run.out + run.err
    assert run.outcomes == {("samples", check): "PASS" for check in ("images", *ROWS)}
    for check in ROWS:
        assert run.values["samples", check] == pytest.approx(first_run.values["good", check], rel=1e-5)


def test_the_pictures_of_a_bad_lora_fail(gate: Gate) -> None:
    run = gate("--lora-images", copied(gate, "samples", "wrong-identity"))
    assert run.code == 1
    assert [pair for pair, outcome in run.outcomes.items() if outcome != "PASS"] == [("samples", "identity")]
    assert run.report["outcome"] == "FAIL"


def test_a_csv_file(gate: Gate) -> None:
    folder = resaved(gate, "samples", lambda shirt: f"{number(shirt)}.png", "")
    with (gate.folder / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [("file", "prompt", "seed"), *((f"{number(s)}.png", s, 1) for s in SHIRTS)]
        )
    assert gate("--lora-images", folder, "--lora-images-from", "list.csv").code == 0


def test_nothing_is_generated_and_nothing_heavy_imported(gate: Gate) -> None:
    """Not even the base has to be there."""
    folder, seen, before = copied(gate), gate.folder / "seen", made(gate.world.store)
    policy = gate.world.write(gate.folder / "policy")
    prompts = policy / "prompts.yaml"
    prompts.write_text(prompts.read_text().replace(str(gate.world.pipeline), "team/of-nobody"))
    spy = {"SPY": str(seen), "PYTHONPATH": os.pathsep.join(map(str, Path(__file__).parents[1:3]))}
    run = gate("-p", "spy", "--lora-images", folder, "--lora-policy", policy, **spy)
    assert run.code == 0, run.out + run.err
    assert set(seen.read_text().split()) & (set(HEAVY) - {"numpy", "PIL", "yaml", "jinja2"}) == set()
    assert made(gate.world.store) == before


def test_the_report_says_what_is_not_proven(gate: Gate) -> None:
    run = gate("--lora-images", copied(gate), "--junitxml", "junit.xml")
    assert CAVEAT in run.out
    assert CAVEAT in (run.report_folder / "report.md").read_text().splitlines()[0]
    assert CAVEAT in (gate.folder / "junit.xml").read_text()
    assert run.report["run"]["elsewhere"]["images"] == str(gate.folder / "samples")
    assert run.report["run"]["elsewhere"]["made_with"] == ""
    assert "base" not in run.report["run"]
    (lora,) = run.report["loras"]
    assert (lora["name"], lora["sha256"], lora["images"]) == ("samples", "", ["samples"])
    digests = run.row("images", "samples")["details"]["pictures"]
    assert (
        digests["red/1"]["sha256"]
        == hashlib.sha256((gate.folder / "samples/red_1.png").read_bytes()).hexdigest()
    )


def test_with_the_lora_its_file_is_judged_and_the_proof_is_not_claimed(gate: Gate) -> None:
    run = gate("--lora-images", copied(gate), "--lora", gate.world.good)
    assert run.code == 0, run.out + run.err
    assert run.outcomes == {("good", check): "PASS" for check in ("file", "images", *ROWS)}
    assert CAVEAT in run.out


def test_pictures_of_another_lora_are_stale(gate: Gate) -> None:
    run = gate("--lora-images", copied(gate), "--lora", gate.world.bad)
    assert run.code == 1
    assert run.outcomes["wrong-identity", "file"] == "PASS"
    assert {run.outcomes["wrong-identity", check] for check in ("images", *ROWS)} == {"ERROR"}
    assert "8 are stale" in run.row("images", "wrong-identity")["reason"]


def test_each_folder_is_a_candidate_of_its_own(gate: Gate) -> None:
    """The last one is not taken for all."""
    bad, good = copied(gate, "bad", "wrong-identity"), copied(gate, "good")
    run = gate("--lora-images", bad, "--lora-images", good)
    assert run.code == 1
    assert {lora["name"]: lora["outcome"] for lora in run.report["loras"]} == {"bad": "FAIL", "good": "PASS"}
    assert run.outcomes["bad", "identity"] == "FAIL"
    assert len(run.outcomes) == 2 * (1 + len(ROWS))
    assert run.report["run"]["elsewhere"]["images"] == f"{bad}, {good}"


def test_folders_of_one_name_are_told_apart(gate: Gate) -> None:
    for parent in ("one", "two"):
        (gate.folder / parent).mkdir()
        copied(gate, f"{parent}/samples.v2")
    run = gate("--lora-images", "one/samples.v2", "--lora-images", "two/samples.v2", "-n", "2")
    assert run.code == 0, run.out + run.err
    assert {lora["name"] for lora in run.report["loras"]} == {"one-samples.v2", "two-samples.v2"}


def test_gains_of_two_folders_are_over_one_base(gate: Gate) -> None:
    """And a list may be of pictures in all of them."""
    policy = gate.world.write(gate.folder / "policy", GAIN)
    base = resaved(gate, "base", lambda shirt: f"base-{shirt}.png", "", "wrong-identity")
    folders = [resaved(gate, name, lambda shirt, name=name: f"{name}-{shirt}.png", "") for name in ("a", "b")]
    with (gate.folder / "list.csv").open("w", newline="") as file:
        names = [(f"{folder.name}-{shirt}.png", shirt, 1) for folder in (*folders, base) for shirt in SHIRTS]
        csv.writer(file).writerows([("file", "prompt", "seed"), *names])
    both: list[object] = [part for folder in folders for part in ("--lora-images", folder)]
    run = gate(
        *both, "--lora-baseline-images", base, "--lora-images-from", "list.csv", "--lora-policy", policy
    )
    assert run.code == 0, run.out + run.err
    assert run.values["a", "gain"] == run.values["b", "gain"] > 0.05


def test_the_user_s_word_on_the_lora_is_recorded(gate: Gate) -> None:
    folder = resaved(gate, "samples", lambda shirt: f"{number(shirt)}.png", "parameters")
    renamed = shutil.copy(gate.world.good, gate.folder / "person.safetensors")
    run = gate("--lora-images", folder, "--lora", renamed)
    assert run.code == 1
    assert "made with 'good', not with person.safetensors" in run.row("images", "person")["reason"]
    run = gate("--lora-images", folder, "--lora", renamed, "--lora-images-made-with", "good")
    assert run.code == 0, run.out + run.err
    row = run.row("images", "person")
    assert "'good' is person.safetensors according to the user (--lora-images-made-with)" in row["reason"]
    assert row["details"]["pictures"]["red/1"]["lora_by"] == "--lora-images-made-with"
    assert run.report["run"]["elsewhere"]["made_with"] == "good"


def test_a_damaged_lora_stops_every_row(gate: Gate) -> None:
    (gate.folder / "broken.safetensors").write_bytes(b"PK\x03\x04")
    run = gate("--lora-images", copied(gate), "--lora", "broken.safetensors")
    assert run.code == 1
    assert set(run.outcomes.values()) == {"ERROR"}


def test_missing_and_surplus_pictures_are_one_sentence_and_no_pass(gate: Gate) -> None:
    folder = copied(gate)
    (folder / "red_1.png").unlink()
    shutil.copy(folder / "blue_1.png", folder / "blue-again.png")
    run = gate("--lora-images", folder)
    assert run.code == 1
    assert set(run.outcomes.values()) == {"ERROR"}
    assert run.row("images", "samples")["reason"].endswith(
        "1 of 8 pictures are missing (red/1); 1 is surplus (blue_1.png: blue/1 is blue-again.png already)"
    )
    assert "Traceback" not in run.out


def test_a_picture_that_is_damaged_is_an_error(gate: Gate) -> None:
    folder = copied(gate)
    data = (folder / "red_1.png").read_bytes()
    (folder / "red_1.png").write_bytes(data[:-200])
    run = gate("--lora-images", folder)
    assert run.code == 1
    assert run.outcomes["samples", "images"] == "ERROR"
    assert "red_1.png: cannot be decoded as a picture" in run.row("images", "samples")["reason"]


@pytest.mark.parametrize("arguments", [("-k", "identity"), ("-k", "idnetity"), ("--co",)], ids=" ".join)
def test_rows_that_were_not_judged_are_no_pass(gate: Gate, arguments: tuple[str, ...]) -> None:
    run = gate("--lora-images", copied(gate), *arguments)
    assert run.code == 1
    if "identity" in arguments:
        assert run.report["loras"][0]["missing"] == ["images", "faces", "likeness", "distribution"]


def test_two_workers(gate: Gate) -> None:
    run = gate("--lora-images", copied(gate), "-n", "2")
    assert run.code == 0, run.out + run.err
    assert set(run.outcomes) == {("samples", check) for check in ("images", *ROWS)}


GAIN = row("gain", "arcface", "gain: true, min: 0.05, max_missing: 0.5")


def test_a_gain_needs_the_pictures_without_the_lora(gate: Gate) -> None:
    policy = gate.world.write(gate.folder / "policy", GAIN)
    run = gate("--lora-images", copied(gate), "--lora-policy", policy)
    assert run.code == 1
    assert run.outcomes == {("samples", "images"): "PASS", ("samples", "gain"): "ERROR"}
    assert "pass --lora-baseline-images DIR" in run.row("gain", "samples")["reason"]


def test_a_gain_over_the_pictures_without_the_lora(gate: Gate, first_run: Run) -> None:
    """Those of the other person stand in for the base's."""
    del first_run
    policy = gate.world.write(gate.folder / "policy", GAIN)
    names: tuple[object, ...] = ("--lora-images-from", "{prompt}_{seed}.png")
    base = resaved(gate, "base", lambda shirt: f"{shirt}_1.png", "", "wrong-identity")
    run = gate("--lora-images", copied(gate), "--lora-baseline-images", base, *names, "--lora-policy", policy)
    assert run.code == 0, run.out + run.err
    assert run.row("gain", "samples")["measurement"]["gain"] is True
    assert run.values["samples", "gain"] > 0.05


def test_a_check_of_ones_own_gets_the_pictures_and_no_proof(gate: Gate) -> None:
    (gate.folder / "test_own.py").write_text(
        "def test_names(images):\n    assert images.images[0].name == 'red/1'\n"
        "def test_proof(proof):\n    pass\n"
    )
    run = gate("--lora-images", copied(gate), "test_own.py")
    assert "1 error" in run.out
    assert f"samples: {CAVEAT}" in run.out
    assert set(run.outcomes.values()) == {"PASS"}
    assert run.code == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--lora-images", "gone"), "gone is not a folder"),
        (("--lora-images", ""), "--lora-images: the argument is empty"),
        (("--lora-images", ".", "--lora-images-from", "{promt}.png"), "has an unknown field"),
        (("--lora-images", ".", "--lora-baseline-images", "gone"), "--lora-baseline-images: "),
        (("--lora-images", ".", "--lora-scale", "0.5"), "--lora-scale is for images that the gate generates"),
        (
            ("--lora-images", ".", "--lora-base", "team/base"),
            "--lora-base is for images that the gate generates",
        ),
        (("--lora-images", ".", "--lora-with", "x"), "--lora-with is for images that the gate generates"),
        (
            ("--lora-images", ".", "--lora-until-decided", "64"),
            "--lora-until-decided is for images that the gate generates",
        ),
        (
            ("--lora-images", ".", "--lora", "two"),
            "--lora-images holds the pictures of one LoRA, and --lora names 2 files",
        ),
        (("--lora-images", ".", "--lora-images", "."), "--lora-images: "),
        (
            ("--lora-images", ".", "--lora-images", "two", "--lora", "two/good.safetensors"),
            "--lora-images names 2 folders, and --lora one file",
        ),
        (
            ("--lora-images", ".", "--lora-images-made-with", "x"),
            "--lora-images-made-with says what the pictures",
        ),
        (
            ("--lora-images", ".", "--lora-baseline-images", "a", "--lora-baseline-images", "b"),
            "--lora-baseline-images is given 2 times; it is for all folders, so give it once",
        ),
        (
            ("--lora-images", ".", "--lora-images-from", "{prompt}", "--lora-images-from", "{index}"),
            "--lora-images-from is given 2 times",
        ),
        (("--lora-images-from", "{prompt}.png"), "--lora-images-from is for --lora-images DIR"),
        (("--lora-baseline-images", "."), "--lora-baseline-images is for --lora-images DIR"),
    ],
)
def test_arguments_that_cannot_be_meant(gate: Gate, arguments: tuple[str, ...], message: str) -> None:
    (gate.folder / "two").mkdir()
    for lora in (gate.world.good, gate.world.bad):
        shutil.copy(lora, gate.folder / "two")
    run = gate(*arguments)
    assert run.code == 4
    assert message in run.err
    assert "Traceback" not in run.out + run.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a.tar",), "unpack it and name the folder: mkdir samples && tar -xf"),
        (("a.tar.gz",), "unpack it and name the folder"),
        (("{a,b}.tar",), "unpack the tars, and name the folder"),
        (("*.tar",), "unpack the tars, and name the folder"),
        (("a.parquet",), "rows of a table have no file names"),
        (("saved",), "rows of a table have no file names"),
        ((".", "--lora-baseline-images", "a.tar"), "--lora-baseline-images: "),
    ],
)
def test_files_that_hold_many_pictures_are_refused_with_the_way_out(
    gate: Gate, arguments: tuple[str, ...], message: str
) -> None:
    for name in ("a.tar", "b.tar", "a.tar.gz", "a.parquet", "saved/state.json"):
        (gate.folder / name).parent.mkdir(exist_ok=True)
        (gate.folder / name).write_bytes(b"x")
    run = gate("--lora-images", *arguments)
    assert run.code == 4
    assert message in run.err
    assert "pictures made elsewhere are read from folders" in run.err


@pytest.mark.parametrize("name", ["file", "applied", "images"])
def test_a_row_may_not_have_the_name_of_one_of_the_gate_s_own(gate: Gate, name: str) -> None:
    """It would be taken for the gate's row, which has passed already."""
    policy = gate.world.write(gate.folder / "policy", row(name, "arcface", "min: 0.99, max_missing: 1"))
    run = gate("--lora", gate.world.good, "--lora-policy", policy)
    assert run.code == 4
    assert f"thresholds.yaml:6: '{name}' is a row of the gate itself; choose another name" in run.err


def test_the_module_imports_nothing_heavy() -> None:
    code = "import sys, lora_checks.gate.provided; print('torch' in sys.modules, 'diffusers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
