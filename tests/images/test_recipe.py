"""The recipe of an image names what painted it, our own code too."""

from __future__ import annotations

from pathlib import Path

import pytest
from world import MINIATURE

from lora_checks.core.store import Progress
from lora_checks.gate.workbench import Workbench, open_workbench
from lora_checks.images import plan
from lora_checks.policy import reading


def bench(folder: Path) -> Workbench:
    def silent(_what: str) -> Progress:
        raise AssertionError("nothing is made here")

    return open_workbench(reading.load_policy(MINIATURE), folder, "cpu", "auto", None, silent)


def test_images_that_an_earlier_version_of_our_own_code_painted_are_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, before = bench(tmp_path), bench(tmp_path)
    new = plan.baseline(now.policy.prompts, now.machine)[0]
    monkeypatch.setattr(plan, "OWN_CODE", "lora_checks.pixels 0")
    old = plan.baseline(before.policy.prompts, before.machine)[0]
    assert new.digest != old.digest
    assert set(new.versions) - set(old.versions) == {"lora_checks.pixels 1"}
