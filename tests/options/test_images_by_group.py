"""--lora-images on one folder with the pictures of several LoRAs and steps, and on a folder of each epoch."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from world import SCENES, TEXT, Gate, Run, row

from lora_checks import run_gate

FROM = "{lora}_{step}_{prompt}_{timestamp}.png"
SHIRTS = list(SCENES)
ROWS = row("identity", "arcface", "max_missing: 0.5, min: 0.45") + row(
    "likeness", "trunk_distance", "max: 3.0"
)
STEPS = {"person_v2_000100": "wrong-identity", "person_v2_000200": "good", "other_000100": "good"}


def pictures(gate: Gate, folder: Path, ids: dict[str, str] | None = None) -> Path:
    """The pictures of two LoRAs as a user's script names them, in one folder."""
    folder.mkdir()
    for n, (name, lora) in enumerate(STEPS.items()):
        for shirt in SHIRTS:
            bare(
                generated(gate, lora) / f"{shirt}_1.png",
                folder / f"{name}_{(ids or {}).get(shirt, shirt)}_202411{n}.png",
                n,
            )
    return folder


def generated(gate: Gate, lora: str) -> Path:
    (folder,) = gate.world.store.glob(f"{lora}-??????")
    return folder


def bare(source: Path, target: Path, shade: int = 0) -> None:
    """The picture without metadata; another ``shade`` of one pixel keeps two LoRAs' pictures apart."""
    with Image.open(source) as image:
        image.load()
        image.putpixel((0, 0), (shade, shade, shade))
        image.info.clear()
        image.save(target)


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def gated(gate: Gate, folder: Path, spec: str | None = FROM, **more: Any) -> Any:
    return run_gate(
        [], policy=more.pop("policy", gate.world.policy), store=gate.world.store, images=folder,
        images_from=spec, report=gate.folder / "report", **more,
    )  # fmt: skip


def outcomes(document: Any) -> dict[str, str]:
    return {lora["name"]: lora["outcome"] for lora in document["loras"]}


@pytest.fixture
def policy(gate: Gate) -> Path:
    return gate.world.write(gate.folder / "policy", ROWS)


@pytest.fixture
def dictionary(gate: Gate) -> Path:
    path = gate.folder / "prompts.json"
    texts = {f"{i:02}": TEXT.format(shirt, SCENES[shirt]) for i, shirt in enumerate(SHIRTS)}
    path.write_text(json.dumps({"trigger": "sks person", "class_words": "person", **texts}))
    return path


def test_each_lora_and_step_of_a_folder_is_a_candidate(gate: Gate, policy: Path) -> None:
    folder = pictures(gate, gate.folder / "samples")
    run: Run = gate("--lora-images", folder, "--lora-images-from", FROM, "--lora-policy", policy)
    assert run.code == 1, run.out + run.err
    assert outcomes(run.report) == {
        "other-000100": "PASS", "person_v2-000100": "FAIL", "person_v2-000200": "PASS"
    }  # fmt: skip
    board = {place["lora"]: place for place in run.report["ranking"]["leaderboard"]}
    assert [board[name]["step"] for name in ("person_v2-000100", "person_v2-000200")] == [100, 200]
    curve = next(c for c in run.report["ranking"]["curves"] if c["check"] == "identity")
    assert {series["name"]: [p["x"] for p in series["points"]] for series in curve["series"]} == {
        "person_v2": [100, 200], "other": [100]
    }  # fmt: skip
    assert "person_v2-000200" in run.out
    values = [line for line in lines(run.report_folder / "values.csv") if line["lora"] == "person_v2-000200"]
    assert {(line["run"], line["step"]) for line in values} == {("person_v2", "200")}
    assert {line["prompt"]: line["file"] for line in values}["red"] == "person_v2_000200_red_2024111.png"
    assert {line["prompt"]: line["text"] for line in values}["red"] == TEXT.format("red", SCENES["red"])


def test_a_dictionary_of_prompts_is_enough(gate: Gate, policy: Path, dictionary: Path) -> None:
    """The script's own table: LoRA, step, prompt and a column for each score."""
    ids = {shirt: f"{i:02}" for i, shirt in enumerate(SHIRTS)}
    folder = pictures(gate, gate.folder / "samples", ids)
    (policy / "prompts.yaml").unlink()
    result = gated(gate, folder, policy=policy, prompts=dictionary)
    run = result.document["run"]
    assert (run["seeds"], run["trigger"], "sampler" in run) == ([0], "sks person", False)
    assert outcomes(result.document)["person_v2-000200"] == "PASS"
    table = lines(gate.folder / "report" / "images.csv")
    assert len(table) == 3 * len(SHIRTS)
    first = next(line for line in table if line["file"] == "person_v2_000100_00_2024110.png")
    assert (first["run"], first["step"], first["prompt"]) == ("person_v2", "100", "00")
    scores = [float(line["likeness"]) for line in table if line["lora"] == "person_v2-000100"]
    summary = next(
        line for line in lines(gate.folder / "report" / "experiments.csv")
        if (line["lora"], line["check"]) == ("person_v2-000100", "likeness")
    )  # fmt: skip
    assert float(summary["average"]) == pytest.approx(sum(scores) / len(scores))
    assert (float(summary["minimum"]), float(summary["maximum"])) == (min(scores), max(scores))
    assert (summary["images"], summary["outcome"]) == ("8", "PASS")
    assert "(min to max)" in (gate.folder / "report" / "report.md").read_text()
    assert result.document["run"]["policy"]["parts"]["prompts"] != ""


def test_other_texts_are_another_policy(gate: Gate, policy: Path, dictionary: Path) -> None:
    folder = pictures(gate, gate.folder / "samples", {s: f"{i:02}" for i, s in enumerate(SHIRTS)})
    before = gated(gate, folder, policy=policy, prompts=dictionary).document["run"]["policy"]["digest"]
    dictionary.write_text(dictionary.read_text().replace("serious", "smiling"))
    after = gated(gate, folder, policy=policy, prompts=dictionary).document["run"]["policy"]["digest"]
    assert before != after


def test_several_pictures_of_a_prompt_are_its_seeds(gate: Gate, policy: Path, dictionary: Path) -> None:
    """Every prompt of every LoRA needs as many as the one with most."""
    ids = {shirt: f"{i:02}" for i, shirt in enumerate(SHIRTS)}
    folder = pictures(gate, gate.folder / "samples", ids)
    for shirt in SHIRTS:
        bare(generated(gate, "good") / f"{shirt}_1.png", folder / f"other_000100_{ids[shirt]}_2025.png", 9)
    found = gated(gate, folder, policy=policy, prompts=dictionary).document
    assert found["run"]["seeds"] == [0, 1]
    assert outcomes(found)["person_v2-000200"] == "ERROR"
    reason = next(lora for lora in found["loras"] if lora["name"] == "person_v2-000200")["rows"][0]["reason"]
    assert "8 of 16 pictures are missing (00/1, 01/1, 02/1, ...)" in reason
    other = next(lora for lora in found["loras"] if lora["name"] == "other-000100")
    assert [picture["seed"] for picture in other["pictures"]][:2] == [0, 1]


def test_a_missing_picture_and_a_stranger_are_errors_of_their_candidates(gate: Gate, policy: Path) -> None:
    folder = pictures(gate, gate.folder / "samples")
    (folder / "other_000100_red_2024112.png").unlink()
    found = gated(gate, folder, policy=policy).document
    assert outcomes(found) == {
        "other-000100": "ERROR", "person_v2-000100": "FAIL", "person_v2-000200": "PASS"
    }  # fmt: skip
    shutil.copy(folder / "other_000100_blue_2024112.png", folder / "sketch.png")
    found = gated(gate, folder, policy=policy).document
    assert set(outcomes(found).values()) == {"ERROR"}  # it may be any LoRA's
    assert "sketch.png: --lora-images-from" in str(found["loras"][2]["rows"])


def test_a_pattern_of_folders(gate: Gate) -> None:
    """One prompt, several seeds, a folder of each epoch."""
    policy = gate.world.write(gate.folder / "policy", ROWS, prompts=1)
    prompts = policy / "prompts.yaml"
    prompts.write_text(prompts.read_text().replace("seeds: [1]", "seeds: [1, 2]"))
    for epoch, lora in ((10, "wrong-identity"), (20, "good")):
        folder = gate.folder / f"generated/exp_e{epoch}"
        folder.mkdir(parents=True)
        for n, shirt in enumerate(("red", "blue"), start=1):
            bare(generated(gate, lora) / f"{shirt}_1.png", folder / f"img_{n:02}_seed1236.png")
    spec = "img_{seed}_*.png"
    found = gated(gate, gate.folder / "generated" / "exp_e*", spec, policy=policy).document
    assert outcomes(found) == {"exp_e10": "FAIL", "exp_e20": "PASS"}
    assert found["ranking"]["axis"] == "epoch"
    assert [place["epoch"] for place in found["ranking"]["leaderboard"]] == [20, 10]
    table = lines(gate.folder / "report" / "experiments.csv")
    assert {(line["run"], line["epoch"]) for line in table} == {("exp", "10"), ("exp", "20")}
    with pytest.raises(Exception, match=r"holds no pictures, but its folders do \(exp_e10\)"):
        gated(gate, gate.folder / "generated", spec, policy=policy)
    with pytest.raises(Exception, match="no folder matches"):
        gated(gate, gate.folder / "generated" / "run*", spec, policy=policy)


def test_images_are_not_generated_from_a_dictionary(gate: Gate, dictionary: Path) -> None:
    with pytest.raises(Exception, match="a dictionary of prompts is for --lora-images"):
        run_gate(gate.world.good, policy=gate.world.policy, store=gate.world.store, prompts=dictionary)
    with pytest.raises(Exception, match=r"--lora-seeds: the seeds of .* are those of the pictures"):
        gated(gate, generated(gate, "good"), None, prompts=dictionary, seeds=2)


def test_a_rank_in_the_names_is_the_axis_of_curves_and_tables(gate: Gate, policy: Path) -> None:
    folder = gate.folder / "samples"
    folder.mkdir()
    for n, (rank, lora) in enumerate({"r4": "wrong-identity", "r16": "good"}.items()):
        for shirt in SHIRTS:
            bare(generated(gate, lora) / f"{shirt}_1.png", folder / f"person_{rank}_{shirt}_202411{n}.png", n)
    found = gated(gate, folder, "{lora}_{rank}_{prompt}_{timestamp}.png", policy=policy, axis="rank").document
    assert outcomes(found) == {"person-r4": "FAIL", "person-r16": "PASS"}
    assert (found["run"]["axis"], found["ranking"]["axis"]) == ("rank", "rank")
    curve = next(c for c in found["ranking"]["curves"] if c["check"] == "identity")
    assert [(p["x"], p["outcome"]) for p in curve["series"][0]["points"]] == [(4, "FAIL"), (16, "PASS")]
    report = gate.folder / "report"
    assert {(line["lora"], line["rank"]) for line in lines(report / "values.csv")} == {
        ("person-r4", "4"), ("person-r16", "16")
    }  # fmt: skip
    assert "| rank |" in (report / "report.md").read_text()
