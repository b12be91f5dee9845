"""`lora-checks demo` gates the miniature without any file of the user's."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from world import Run, World

from lora_checks.__main__ import main
from lora_checks.commands import demo
from lora_checks.core.errors import ConfigError


@pytest.fixture
def small(world: World, first_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A miniature with the world's eight prompts, whose images are in the store already."""
    folder, out = tmp_path / "miniature", tmp_path / "lora-checks-demo"
    shutil.copytree(world.policy, folder)
    (folder / "loras").mkdir()
    (folder / "pipeline").symlink_to(world.pipeline)
    for name, lora in zip(demo.LORAS, (world.good, world.bad), strict=True):
        shutil.copy(lora, folder / "loras" / f"{name}.safetensors")
    shutil.copytree(world.store, out / "store", copy_function=os.link)
    assert first_run.outcomes["good", "identity"] == "PASS"
    monkeypatch.setattr(demo, "PLACES", (folder,))
    return folder


@pytest.mark.usefixtures("small")
def test_it_ends_in_a_page_and_both_verdicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTEST_ADDOPTS", "--co")  # is not for the demo
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --collect-only\n")  # nor is this
    assert main(["demo"]) == 0
    shown = capfd.readouterr().out
    assert shown.startswith("$ pytest --lora-policy ")
    assert "1 of 2 LoRAs passed; 1 failed" in shown
    page = tmp_path / "lora-checks-demo" / "report" / "report.html"
    assert page.is_file()
    assert str(page.relative_to(tmp_path)) in shown.splitlines()[-1]
    assert {path.name for path in tmp_path.iterdir()} == {"lora-checks-demo", "miniature", "pytest.ini"}


def test_a_run_without_a_report_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "demo"
    (folder / "report").mkdir(parents=True)
    (folder / "report" / "report.json").write_text("{}")
    monkeypatch.setattr(demo.subprocess, "run", lambda *_, **__: None)  # a run that wrote nothing
    assert main(["demo", "--out", str(folder)]) == 2
    assert "report.json" in capfd.readouterr().err


def test_an_installation_without_the_miniature_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "PLACES", (tmp_path,))
    with pytest.raises(ConfigError, match="the miniature is not in"):
        demo.miniature_folder()
