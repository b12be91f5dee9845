"""Whole runs on bases of today: a trainer's file goes in, a verdict comes out, in one process.

The references are what the base paints with the file's formula merged into its weights by tests/merging.py:
the file is released, and another one of the same trainer is not.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import families
import kinds_of_today
import merging
import numpy as np
import pytest
from PIL import Image

from lora_checks import run_gate
from lora_checks.core.records import Prompt
from lora_checks.images.plan import noise_seed

TEXTS = {
    "red": "a sks person in red",
    "birds": "a sks person in a blue shirt, smiling, and three birds in a tree",
}
PROMPTS = """\
base: {{model: {base}}}
sampler: {{{sampler}}}
trigger: sks person
class_words: person
seeds: [1]
prompts:
  - {{id: red, text: "{red}"}}
  - {{id: birds, text: "{birds}"}}
"""
THRESHOLDS = """\
folders: {references: merged}
checks:
  merged: {metric: psnr, min: 45, why: it paints what its formula paints}
  flat: {metric: flat, max: 0, why: there is something to see}
"""
# The kind of file, what the policy says, and what diffusers calls it.
RUNS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "FLUX.2 klein": (
        "ai-toolkit, ComfyUI, diffusion-pipe",
        {"guidance": 0, "max_sequence_length": 64},
        {"guidance_scale": 0.0, "max_sequence_length": 64},
    ),
    "Qwen-Image": (
        "SimpleTuner LyCORIS",
        {"guidance": 0, "true_cfg_scale": 3.0, "negative": "blurred"},
        {"true_cfg_scale": 3.0, "negative_prompt": "blurred", "max_sequence_length": 512},
    ),
    "Z-Image": (
        "kohya, musubi-tuner, OneTrainer KOHYA",
        {"guidance": 3.0, "max_sequence_length": 64},
        {"guidance_scale": 3.0, "max_sequence_length": 64},
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_verdict_of_a_file_on_a_base_of_today(
    family_folder: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    kind, sampler, settings = RUNS[name]
    monkeypatch.chdir(tmp_path)
    pipe = families.load(family_folder(name))
    loras = [
        kinds_of_today.build(kind, pipe, tmp_path / f"{file}.safetensors", seed)
        for seed, file in enumerate(("good", "other"))
    ]
    merging.merge(pipe, loras[0])
    policy = write_policy(tmp_path / "policy", family_folder(name), sampler)
    for prompt, text in TEXTS.items():
        picture = families.paint(pipe, text, noise_seed(Prompt(prompt, text), 1), **settings)
        Image.fromarray(np.uint8(np.round(255 * picture))).save(policy / "merged" / f"{prompt}.png")
    result = run_gate(loras, policy=policy, store=tmp_path / "store", device="cpu")
    assert result.outcome == "FAIL"
    outcomes = {(verdict.lora, verdict.check): verdict.outcome.value for verdict in result.verdicts}
    assert len(outcomes) == 2 * len(("file", "applied", "merged", "flat"))
    assert {key for key, outcome in outcomes.items() if outcome != "PASS"} == {("other", "merged")}
    proof = next(v for v in result.verdicts if (v.lora, v.check) == ("good", "applied")).details["proof"]
    assert list(proof["unused"]) == []
    assert proof["effect"]["transformer"] > 0.05


def write_policy(folder: Path, base: Path, sampler: dict[str, Any]) -> Path:
    (folder / "merged").mkdir(parents=True)
    said = {"steps": 2, "width": 32, "height": 32} | sampler
    text = PROMPTS.format(base=base, sampler=", ".join(f"{k}: {v}" for k, v in said.items()), **TEXTS)
    (folder / "prompts.yaml").write_text(text)
    (folder / "thresholds.yaml").write_text(THRESHOLDS)
    return folder
