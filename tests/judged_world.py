"""The miniature's second policy, where a vision model judges, and images of its LoRAs."""

from __future__ import annotations

from pathlib import Path

from lora_checks.core.filling import silent
from lora_checks.core.records import ImageSet, Measurement, Outcome, Policy, Verdict
from lora_checks.core.store import Store
from lora_checks.images.decoding import image_file
from lora_checks.judge.measurer import Measurer
from lora_checks.judge.verdict import judge
from lora_checks.lora.file import inspect

ROOT = Path(__file__).parents[1]
MINIATURE = ROOT / "examples" / "miniature"
POLICY = MINIATURE / "judged"
MODEL = MINIATURE / "evaluators" / "vlm"
PICTURES = ROOT / "tests" / "data" / "judged"  # what the policy generates, seed 1: 16 images of each LoRA


def images(policy: Policy, name: str) -> ImageSet:
    by_id = {prompt.id: prompt for prompt in policy.prompts.prompts}
    files = sorted((PICTURES / name).glob("*.png"))
    found = [image_file(file, f"{file.stem}/1", by_id[file.stem]) for file in files]
    return ImageSet("baseline" if name == "base" else "candidate", tuple(found))


def opened(policy: Policy, store: Path) -> Measurer:
    """Return a measurer whose networks were tried on their controls."""
    base = {image.prompt: image for image in images(policy, "base").images}

    def counterparts(chosen: ImageSet) -> ImageSet:
        return ImageSet("baseline", tuple(base[image.prompt] for image in chosen.images))

    measurer = Measurer(policy, Store(store), "cpu", lambda _: silent, counterparts)
    measurer.preflight()
    measurer.test_networks()
    return measurer


def measured(measurer: Measurer, policy: Policy, name: str) -> dict[str, Measurement]:
    return {row.name: measurer.measure_row(row, images(policy, name)) for row in policy.thresholds}


def verdicts(policy: Policy, found: dict[str, Measurement]) -> dict[str, Verdict]:
    lora = inspect(MINIATURE / "loras" / "good.safetensors", "any")  # a verdict names one; it decides nothing
    return {row.name: judge(found[row.name], row, lora) for row in policy.thresholds}


def failed(policy: Policy, found: dict[str, Measurement]) -> set[str]:
    return {name for name, each in verdicts(policy, found).items() if each.outcome is not Outcome.PASS}
