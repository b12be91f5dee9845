"""The policies of docs/families.md are read by the gate, and each base takes what its policy says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import published
import pytest

from lora_checks.diffusion.base import resolve
from lora_checks.diffusion.base.memory import Memory
from lora_checks.diffusion.base.pipeline import preflight
from lora_checks.policy.reading import load_policy

PAGE = (Path(__file__).parents[2] / "docs" / "families.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^## (.+?)\n.*?^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
TINY = {  # heading -> tiny base of tests/families
    "SD 3.5 large": "SD3.5 large",
    "Chroma": "Chroma",
    "FLUX.2 dev": "FLUX.2 dev",
    "FLUX.2 klein": "FLUX.2 klein",
    "FLUX.2 klein base": "FLUX.2 klein base",
    "Z-Image": "Z-Image",
    "Z-Image Turbo": "Z-Image Turbo",
    "Qwen-Image": "Qwen-Image",
    "Krea 2": "Krea 2",
    "Krea 2 Turbo": "Krea 2 Turbo",
    "HiDream I1": "HiDream",
    "Lumina 2": "Lumina2",
    "AuraFlow": "AuraFlow",
    "CogView4": "CogView4",
    "ERNIE-Image": "ERNIE-Image",
    "HunyuanImage 2.1": "HunyuanImage 2.1",
    "Ideogram 4": "Ideogram 4",
    "Kandinsky 5": "Kandinsky 5",
    "PixArt Sigma": "PixArt Sigma",
    "Sana": "Sana",
    "Anima": "Anima",
}
REST = """
trigger: sks person
class_words: person
seeds: [1]
prompts: [{id: red, text: a sks person in red}]
"""
THRESHOLDS = "checks:\n  light: {metric: brightness, min: 1, why: there is something to see}\n"


def test_each_family_has_a_policy() -> None:
    assert set(BLOCKS) == set(TINY)


@pytest.mark.parametrize("heading", TINY)
def test_a_policy_suits_its_base(family_folder: Callable[[str], Path], tmp_path: Path, heading: str) -> None:
    (tmp_path / "thresholds.yaml").write_text(THRESHOLDS)
    (tmp_path / "prompts.yaml").write_text(BLOCKS[heading] + REST)
    assert "/" in load_policy(tmp_path).prompts.base.model  # a hub id
    local = re.sub(r"model: [^\s}]+", f"model: {family_folder(TINY[heading])}", BLOCKS[heading])
    (tmp_path / "prompts.yaml").write_text(local + REST)
    prompts = load_policy(tmp_path).prompts
    assert preflight(resolve(prompts.base), prompts, Memory()) == ()


def test_the_memory_of_published_bases() -> None:
    assert published.markdown() in PAGE
