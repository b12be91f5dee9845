"""Whole runs of the gate, from the file to the verdict, on bases of today and on one of tomorrow."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bare_lora
import families
import numpy as np
import pytest
import quantised_bases
import tomorrow
from PIL import Image

from lora_checks import Outcome, run_gate

SAMPLER = "steps: 2, guidance: 3.0, width: 32, height: 32"
PROMPTS = """\
base: {{model: {base}}}
sampler: {{{sampler}}}
trigger: sks person
class_words: person
seeds: [1]
prompts:
"""
THRESHOLDS = """\
checks:
  light: {metric: brightness, min: 1, why: the picture is not black}
  dark: {metric: brightness, max: 1, why: no picture is this dark}
"""
COLOURS = ("red", "blue", "green", "pink", "grey", "gold", "teal", "plum")


def policy_of(folder: Path, base: Path | str, sampler: str = SAMPLER) -> Path:
    folder.mkdir()
    prompts = "".join(f"  - {{id: {colour}, text: a sks person in {colour}}}\n" for colour in COLOURS)
    (folder / "prompts.yaml").write_text(PROMPTS.format(base=base, sampler=sampler) + prompts)
    (folder / "thresholds.yaml").write_text(THRESHOLDS)
    return folder


def gated(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The result of the gate for a LoRA of the whole transformer."""
    monkeypatch.chdir(tmp_path)
    change = bare_lora.drawn(families.load(base), "transformer")
    lora = bare_lora.write(change, tmp_path / "lora.safetensors")
    return run_gate(lora, policy=policy_of(tmp_path / "policy", base), device="cpu", dtype="float32")


def check(result: Any) -> None:
    outcomes = {verdict.check: verdict.outcome for verdict in result.verdicts}
    assert outcomes["file"] is outcomes["applied"] is outcomes["light"] is Outcome.PASS
    assert outcomes["dark"] is Outcome.FAIL
    assert result.outcome == "FAIL"


@pytest.mark.parametrize("name", ["ERNIE-Image", "Ideogram 4", "Anima"])
def test_from_the_file_to_the_verdict(
    family_folder: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    result = gated(family_folder(name), tmp_path, monkeypatch)
    check(result)
    applied = next(verdict for verdict in result.verdicts if verdict.check == "applied")
    assert applied.details["proof"]["effect"]["transformer"] > 0.1
    assert not applied.details["proof"]["unused"]


def test_a_base_of_tomorrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tomorrow.register(monkeypatch)
    result = gated(tomorrow.save(tmp_path / "base"), tmp_path, monkeypatch)
    check(result)
    shown = next(path for path in tmp_path.rglob("*.png") if "lora-" in str(path))
    assert np.asarray(Image.open(shown)).shape == (32, 32, 3)


def test_a_base_whose_transformer_is_a_gguf_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    base = quantised_bases.wide_flux(tmp_path)
    file = quantised_bases.write_gguf(base, tmp_path / "flux-Q4_0.gguf", "Q4_0")
    lora = quantised_bases.lora(base, tmp_path / "lora.safetensors")
    policy = policy_of(tmp_path / "policy", f"{base}, transformer: {file}")
    result = run_gate(lora, policy=policy, device="cpu", dtype="float32")
    check(result)
    report = json.loads(next(tmp_path.rglob("report.json")).read_text())
    assert report["run"]["base"]["quantization"] == {"transformer": "GGUF Q4_0"}
    assert report["run"]["base"]["digest"].endswith(hashlib.sha256(file.read_bytes()).hexdigest())
