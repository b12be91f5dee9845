"""Pipelines that were saved without a part."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from test_bases_of_today import BASES, Gate, policy_of

from lora_checks.core.errors import ConfigError
from lora_checks.diffusion.base import resolve
from lora_checks.diffusion.base.memory import Memory
from lora_checks.diffusion.base.pipeline import preflight

FolderOf = Callable[[str], Path]


def without(folder: Path, to: Path, *parts: str) -> Path:
    shutil.copytree(folder, to)
    index = json.loads((to / "model_index.json").read_text())
    for part in parts:
        shutil.rmtree(to / part)
    (to / "model_index.json").write_text(json.dumps(index | {part: [None, None] for part in parts}))
    return to


@pytest.mark.parametrize("parts", [("text_encoder_4",), ("text_encoder_4", "tokenizer_4")])
def test_hidream_without_its_llama_says_what_to_do(
    family_folder: FolderOf, tmp_path: Path, parts: tuple[str, ...]
) -> None:
    base = without(family_folder("HiDream"), tmp_path / "base", *parts)
    prompts = policy_of(base, tmp_path / "policy", **BASES["HiDream"]).prompts
    with pytest.raises(ConfigError) as error:
        preflight(resolve(prompts.base), prompts, Memory())
    assert f"without {' and '.join(parts)}" in str(error.value)
    assert ", ".join(f"{part}=..." for part in parts) in str(error.value)


def test_sd3_without_t5_makes_another_picture(family_folder: FolderOf, tmp_path: Path) -> None:
    whole = family_folder("SD3.5 large")
    bare = without(whole, tmp_path / "base", "text_encoder_3", "tokenizer_3")
    made = Gate(bare, tmp_path / "policy", **BASES["SD3.5 large"])
    assert made.plain.text_encoder_3 is None
    assert abs(made.base - Gate(whole, tmp_path / "whole", **BASES["SD3.5 large"]).base).max() > 0.01
