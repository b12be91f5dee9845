"""Checkpoints as trainers write them, each by a stand-in, are found, told apart and put in order."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from world import MINIATURE, World, environment, row

from lora_checks import run_gate
from lora_checks.gate.watching import Watch
from lora_checks.record import document

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "trainers.md").read_text()
CHECKPOINTS = [MINIATURE / "loras" / "run" / f"step-0{step}00.safetensors" for step in (1, 2)]
TRAINERS = {  # names of two checkpoints, what else lies there, and how the table of curves calls the axis
    "sd-scripts, steps": (["person-step00000500", "person-step00001000"], [], ("step", 500, 1000)),
    "sd-scripts, epochs": (["person-000002", "person-000004"], ["person-000004-state"], ("epoch", 2, 4)),
    "ai-toolkit": (["person_000000500", "person_000001000"], ["optimizer.pt"], ("step", 500, 1000)),
    "OneTrainer": (
        ["2026-11-29_10-00-00-save-500-5-0", "2026-11-29_11-00-00-save-1000-10-0"],
        ["2026-11-29_11-00-00-save-1000-10-0.json"],
        ("step", 500, 1000),
    ),
    "diffusers, SimpleTuner": (
        ["checkpoint-500/pytorch_lora_weights", "checkpoint-1000/pytorch_lora_weights"],
        ["checkpoint-500/optimizer.bin", "checkpoint-500/random_states_0.pkl"],
        ("step", 500, 1000),
    ),
}


@pytest.fixture(scope="module")
def policy(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One image of each checkpoint, in a store that all trainers share."""
    return world.write(tmp_path_factory.mktemp("trainers") / "policy", row("sound", "flat", "max: 0.5"), 1)


def save(folder: Path, names: Sequence[str], others: Sequence[str]) -> None:
    for name, checkpoint in zip(names, CHECKPOINTS, strict=True):
        path = folder / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(checkpoint, path)
    for other in others:
        (folder / other).write_bytes(b"no LoRA")


@pytest.mark.parametrize("trainer", TRAINERS)
def test_what_a_trainer_writes_is_one_run(trainer: str, policy: Path, tmp_path: Path) -> None:
    names, others, (axis, first, last) = TRAINERS[trainer]
    save(tmp_path / "output", names, others)
    said: list[str] = []

    def gate(files: Sequence[Path]) -> int:
        store, report = policy.parent / "store", tmp_path / "report"
        return int(not run_gate(files, policy=policy, store=store, report=report, device="cpu").passed)

    watch = Watch(tmp_path / "output", "*.safetensors", 0, tmp_path / "report", gate, said.append)
    assert watch.step()
    assert not watch.step()
    report = document.read(tmp_path / "report")
    assert len(report["loras"]) == 2
    ranking = report["ranking"]
    assert ranking["axis"] == axis
    places = {place["lora"]: place for place in ranking["leaderboard"]}
    assert sorted(place[axis] for place in places.values()) == [first, last]
    assert len({place["series"] for place in places.values()}) == 1  # one run
    assert not [line for line in said if "left out" in line]


def test_the_page_names_each_of_them() -> None:
    for trainer in TRAINERS:
        assert trainer.split(",")[0].removesuffix(" steps") in PAGE


def test_simpletuner_s_hook_runs_as_it_is_written(policy: Path, tmp_path: Path) -> None:
    """SimpleTuner splits the command as a shell does, fills in its placeholders and starts it."""
    (line,) = [line for line in PAGE.splitlines() if line.startswith("--post_checkpoint_script=")]
    command = shlex.split(shlex.split(line)[0].partition("=")[2])
    assert command[0] == "lora-checks"
    save(tmp_path / "output", *TRAINERS["diffusers, SimpleTuner"][:2])
    (tmp_path / "gate").symlink_to(policy)
    project = f"[tool.lora_checks]\nstore = {json.dumps(str(policy.parent / 'store'))}\n"
    (tmp_path / "pyproject.toml").write_text(project)
    done = subprocess.run(
        [sys.executable, "-m", "lora_checks", *command[1:]],
        cwd=tmp_path,
        env=environment({"PYTHONPATH": str(ROOT)}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 in the report" in done.stdout
