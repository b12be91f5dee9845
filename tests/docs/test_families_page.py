"""docs/families.md is made of the bases that `init` knows, and each base takes what its policy says."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import families_page
import pytest
from sampled import loaded, prompts

from lora_checks.core.errors import ConfigError
from lora_checks.diffusion.base import resolve
from lora_checks.diffusion.base.family import classes_of, family_of
from lora_checks.diffusion.base.memory import Memory
from lora_checks.diffusion.base.pipeline import preflight
from lora_checks.diffusion.tried import refuse_ignored
from lora_checks.lora.families import FAMILIES
from lora_checks.policy.reading import load_policy
from lora_checks.policy.starter.bases import BASES, of_family, of_pipeline

TINY = {  # key of `init` -> tiny base of tests/families
    "sd15": "SD 1.x",
    "sd21": "SD 2.x",
    "sdxl": "SDXL",
    "sd35": "SD3",
    "sd35-large": "SD3.5 large",
    "flux": "FLUX",
    "flux-schnell": "FLUX schnell",
    "flux2": "FLUX.2 dev",
    "klein-4b": "FLUX.2 klein base",
    "klein-9b": "FLUX.2 klein base",
    "klein-4b-distilled": "FLUX.2 klein",
    "klein-9b-distilled": "FLUX.2 klein",
    "z-image": "Z-Image",
    "z-image-turbo": "Z-Image Turbo",
    "qwen": "Qwen-Image",
    "chroma": "Chroma",
    "krea2": "Krea 2",
    "krea2-turbo": "Krea 2 Turbo",
    "hidream": "HiDream",
    "lumina2": "Lumina2",
    "auraflow": "AuraFlow",
    "cogview4": "CogView4",
    "sana": "Sana",
    "pixart": "PixArt Sigma",
    "ernie": "ERNIE-Image",
    "kandinsky5": "Kandinsky 5",
    "hunyuan": "HunyuanImage 2.1",
    "ideogram4": "Ideogram 4",
    "anima": "Anima",
}
# Families whose bases make videos; Anima's LoRAs fit Cosmos-Predict2, too; Ovis-Image has no policy yet.
NO_BASE = {"HunyuanVideo", "HunyuanVideo 1.5", "Wan", "LTX", "LTX-2", "Cosmos-Predict2", "Ovis-Image"}
ONE_SIZE = {"hidream", "kandinsky5"}  # a small image becomes one of theirs
REST = """
trigger: sks person
class_words: person
seeds: [1]
prompts: [{id: red, text: a sks person in red}]
"""
THRESHOLDS = "checks:\n  light: {metric: brightness, min: 1, why: there is something to see}\n"


def test_the_page_is_made_of_the_bases() -> None:
    assert families_page.PAGE.read_text(encoding="utf-8") == families_page.page(), (
        "run `python tests/families_page.py`"
    )


def test_each_base_is_checked_here() -> None:
    assert set(BASES) == set(TINY)


def test_each_family_of_loras_has_a_base_or_none_of_images() -> None:
    assert {name for base in BASES.values() for name in base.families} <= set(FAMILIES)
    assert {family for family in FAMILIES if of_family(family) is None} == NO_BASE


def test_a_lora_is_for_the_base_that_it_is_trained_on() -> None:
    chosen = {family: of_family(family) for family in FAMILIES if family not in NO_BASE}
    distilled = ("flux-schnell", "klein-4b-distilled", "klein-9b-distilled", "z-image-turbo", "krea2-turbo")
    assert not set(chosen.values()) & set(distilled)


@pytest.mark.parametrize("key", TINY)
def test_a_policy_suits_its_base(family_folder: Callable[[str], Path], tmp_path: Path, key: str) -> None:
    (tmp_path / "thresholds.yaml").write_text(THRESHOLDS)
    base, folder = BASES[key], family_folder(TINY[key])
    text = families_page.policy(base)
    (tmp_path / "prompts.yaml").write_text(text + REST)
    assert load_policy(tmp_path).prompts.base.model == base.model
    (tmp_path / "prompts.yaml").write_text(text.replace(base.model, str(folder)) + REST)
    policy = load_policy(tmp_path).prompts
    assert preflight(resolve(policy.base), policy, Memory()) == ()
    if base.pipeline:  # `init` knows a pipeline folder by it
        assert of_pipeline(classes_of(folder)[1]) is base


@lru_cache(maxsize=1)  # the distilled of two sizes come one after the other
def pipeline(folder: Path) -> Any:
    return loaded(folder, prompts("a red shirt"))


@pytest.mark.parametrize("key", TINY)
def test_no_setting_is_ignored_by_its_base(family_folder: Callable[[str], Path], key: str) -> None:
    base, folder = BASES[key], family_folder(TINY[key])
    far = {"max_sequence_length": 96} if family_of(folder).sequence is not None else {}
    policy = prompts("photo of sks person", guidance=base.guidance, **far, **base.more)
    if key not in ONE_SIZE:
        refuse_ignored(pipeline(folder), folder, policy)
        return
    with pytest.raises(ConfigError, match="width: this base makes"):  # the last thing that is tried
        refuse_ignored(pipeline(folder), folder, policy)
