"""A base of a family that nothing here knows works without an edit when files use its own names."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import bare_lora
import numpy as np
import pytest
import tomorrow
from test_bases_of_today import EFFECT, TOLERANCE, Gate

from lora_checks.lora.file import inspect

SPELLINGS: dict[str, Callable[[str, str], str]] = {
    "diffusers": bare_lora.peft,
    "ai-toolkit, ComfyUI": lambda _, path: f"diffusion_model.{path}",
    "PEFT": lambda _, path: f"base_model.model.{path}",
    "kohya": lambda _, path: "lora_unet_" + path.replace(".", "_"),
    "SimpleTuner": lambda _, path: "lycoris_" + path.replace(".", "_"),
    "OneTrainer": lambda _, path: "lora_transformer_" + path.replace(".", "_"),
    "bare": lambda _, path: path,
}


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    folder = tmp_path_factory.mktemp("tomorrow")
    with pytest.MonkeyPatch.context() as monkeypatch:
        tomorrow.register(monkeypatch)
        yield Gate(tomorrow.save(folder / "base"), folder / "policy")


def test_its_folder_names_classes_that_no_list_has(gate: Gate) -> None:
    index = json.loads((gate.folder / "model_index.json").read_text())
    assert index["_class_name"] == "TomorrowPipeline"
    assert index["transformer"] == ["diffusers", "TomorrowDreamer2DModel"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_from_the_file_to_the_picture_of_the_merged_weights(
    gate: Gate, tmp_path: Path, spelling: str
) -> None:
    change = bare_lora.drawn(gate.plain, "transformer")
    if spelling == "PEFT":  # keeps the strength beside its file
        config = {"peft_type": "LORA", "r": 2, "lora_alpha": 2}
        (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    path = bare_lora.write(change, tmp_path / "lora.safetensors", SPELLINGS[spelling])
    lora = inspect(path, "lora")
    proof = gate.studio.prove(lora, ())
    assert proof.layers == len(change) == 11
    merged = gate.merged(change)
    assert np.abs(merged - gate.base).max() > EFFECT
    assert np.abs(gate.made(lora) - merged).max() <= TOLERANCE
