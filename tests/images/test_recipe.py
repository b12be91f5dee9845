"""The recipe of an image names what painted it, our own code too."""

from __future__ import annotations

from pathlib import Path

import pytest
from world import MINIATURE

from lora_checks.core.store import Progress
from lora_checks.diffusion.generated import GeneratedImages
from lora_checks.gate.run import open_generating
from lora_checks.images import plan
from lora_checks.policy import reading


def source(folder: Path) -> GeneratedImages:
    def silent(_what: str) -> Progress:
        raise AssertionError("nothing is made here")

    run = open_generating(reading.load_policy(MINIATURE), folder, "cpu", "auto", None, silent)
    assert isinstance(run.source, GeneratedImages)
    return run.source


def test_images_by_an_earlier_version_of_the_gate_are_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, before = source(tmp_path), source(tmp_path)
    new = plan.baseline(now.policy.prompts, now.machine)[0]
    monkeypatch.setattr(plan, "OWN_CODE", "lora_checks.pixels 0")
    old = plan.baseline(before.policy.prompts, before.machine)[0]
    assert new.digest != old.digest
    assert set(new.versions) - set(old.versions) == {"lora_checks.pixels 1"}
