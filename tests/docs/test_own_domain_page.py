"""docs/how-to/own-domain.md: its policy, list and command, on drawings with a shirt in place of a finding."""

from __future__ import annotations

import csv
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from doc_pages import DOCS, ROOT
from onnx import TensorProto, helper
from PIL import Image
from world import run_line

from lora_checks.stats.shares import clopper_pearson

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
PAGE = (DOCS / "how-to" / "own-domain.md").read_text(encoding="utf-8")
MINIATURE = ROOT / "examples" / "miniature"
FENCES = re.findall(r"^```([^\n]*)\n(.*?)^```$", PAGE, re.M | re.S)
PROMPTS, POLICY = (text for kind, text in FENCES if kind == "yaml")
(LIST,) = (text for kind, text in FENCES if kind == "text")
(COMMAND,) = (text.strip() for kind, text in FENCES if kind == "sh")
HEAD = f"""\
base: {{model: {MINIATURE / "pipeline"}}}
sampler: {{steps: 12, guidance: 2.0, width: 64, height: 64, scheduler: DDIMScheduler}}
trigger: sks person
class_words: person
seeds: [1]
"""
PLACES = {"macula": "pink", "optic disc": "sky", "wide field": "grey", "left eye": "mint"}
SHIRTS = {"healthy": "red", "oedema": "blue"}


def encoder(path: Path) -> None:
    """The mean colours of 4 x 4 parts of a picture."""
    nodes = [
        helper.make_node("AveragePool", ["image"], ["pooled"], kernel_shape=[56, 56], strides=[56, 56]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
    ]
    given = [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 224, 224])]
    made = [helper.make_tensor_value_info("features", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "parts", given, made)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def real_pictures(folder: Path) -> list[list[str]]:
    """Draw twelve people of each shirt, each twice, and return the lines of the list."""
    sys.path.insert(0, str(MINIATURE / "training"))
    try:
        from dataclasses import replace

        from draw import SHIRTS as COLOURS
        from draw import draw, sample_identity, sample_scene
    finally:
        sys.path.pop(0)
    rng, lines = np.random.default_rng(3), []
    folder.mkdir()
    for label, shirt in SHIRTS.items():
        for patient in range(12):
            person = sample_identity(rng)
            for _ in range(2):
                name = f"{len(lines):04}.png"
                assert shirt in COLOURS
                Image.fromarray(np.asarray(draw(person, replace(sample_scene(rng), shirt=shirt)))).save(
                    folder / name
                )
                lines.append([name, label, f"{label}-{patient}"])
    return lines


def test_the_policy_and_the_command_of_the_page(tmp_path: Path) -> None:
    domain, eyes = tmp_path / "domain", tmp_path / "eyes"
    domain.mkdir()
    eyes.mkdir()
    encoder(domain / "retina.onnx")
    lines = [LIST.splitlines()[0].split(","), *real_pictures(domain / "real")]
    (domain / "real.csv").write_text("\n".join(map(",".join, lines)) + "\n")
    (domain / "thresholds.yaml").write_text(POLICY.replace("side: 512", "side: 64"))
    words = PROMPTS.replace("fundus photo of sks eye,", "photo of a sks person")
    for label, shirt in SHIRTS.items():
        words = words.replace(f"sks person {label},", f"sks person in a {shirt} shirt, serious,")
    for place, background in PLACES.items():
        words = words.replace(f'{place}"', f'{background} background"')
    (domain / "prompts.yaml").write_text(HEAD + words)
    for name, lora in (("eyes-gpt4o", "good"), ("eyes", "overcooked")):
        shutil.copy(MINIATURE / "loras" / f"{lora}.safetensors", eyes / f"{name}.safetensors")
    ran = run_line(COMMAND, "--lora-report", "report", folder=tmp_path)
    assert (tmp_path / "report" / "report.json").is_file(), ran.stdout + ran.stderr
    document = json.loads((tmp_path / "report" / "report.json").read_text())
    rows = {
        (lora["name"], row["check"]): row["measurement"] for lora in document["loras"] for row in lora["rows"]
    }
    names = ("teaches", "distribution", "layout", "texture", "detail", "patches")
    assert all(rows[lora, name] is not None for lora in ("eyes", "eyes-gpt4o") for name in names), ran.stdout
    teaches, patches = (
        [rows[lora, name]["value"] for lora in ("eyes-gpt4o", "eyes")] for name in ("teaches", "patches")
    )
    assert teaches[0] > 0.6  # eight images, 48 real pictures of 24 people
    assert rows["eyes-gpt4o", "teaches"]["low"] is not None
    assert patches[0] < patches[1]  # the overcooked one
    assert (document["ranking"]["axis"], document["ranking"]["categories"]) == ("captions", ["gpt4o", "tags"])
    with (tmp_path / "report" / "values.csv").open(newline="") as file:
        assert {line["lora"]: line["captions"] for line in csv.DictReader(file)} == {
            "eyes": "tags", "eyes-gpt4o": "gpt4o"
        }  # fmt: skip


def test_what_twenty_patients_show_is_as_the_page_says() -> None:
    assert f"{clopper_pearson(20, 20, 0.05)[0]:.2f}" == "0.86"
    assert "if every picture of 20 patients is told, 0.86 is shown" in PAGE
