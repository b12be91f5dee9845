"""A policy of one prompt, for tests of what its thresholds.yaml may say."""

from __future__ import annotations

from pathlib import Path

from lora_checks.core.records import Policy
from lora_checks.policy.reading import load_policy

PROMPTS = """\
base: {model: pipeline}
sampler: {steps: 4, guidance: 2.0, width: 64, height: 64}
trigger: sks person
class_words: person
seeds: [1]
prompts: [{id: red, text: a sks person in red}]
"""


def small_policy(folder: Path, thresholds: str) -> Policy:
    (folder / "pipeline").mkdir(exist_ok=True)
    (folder / "prompts.yaml").write_text(PROMPTS)
    (folder / "thresholds.yaml").write_text(thresholds)
    return load_policy(folder)
