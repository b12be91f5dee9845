"""--lora-policy DIR: the folder with thresholds.yaml and prompts.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest
from world import Gate, row


def test_the_current_folder_is_the_default(gate: Gate) -> None:
    gate.world.write(gate.folder)
    run = gate.pytest("--lora", gate.world.good, "--lora-store", gate.world.store, "--lora-report", "report")
    assert run.code == 0, run.out + run.err
    assert run.report["run"]["policy"]["directory"] == str(gate.folder)


def test_the_record_says_which_policy_it_was(gate: Gate) -> None:
    relative = Path(gate.world.write(gate.folder / "strict")).name
    run = gate("--lora", gate.world.good, "--lora-policy", relative)
    assert run.report["run"]["policy"]["directory"] == str(gate.folder / "strict")
    other = gate.world.write(gate.folder / "lax", row("identity", "arcface", "min: -1, max_missing: 0.5"))
    again = gate("--lora", gate.world.good, "--lora-policy", other)
    assert again.report["run"]["policy"]["digest"] != run.report["run"]["policy"]["digest"]


GOOD = "  a: {metric: arcface, min: 0.5, why: x}\n"
WRONG = {  # rows, and what is said of them
    "unknown key": ("  a: {metric: arcface, min: 0.1, why: x, mni: 2}\n", "thresholds.yaml:6: "),
    "unknown metric": (GOOD.replace("arcface", "arcfce"), "metric 'arcfce'; did you mean 'arcface'?"),
    "nan": (GOOD.replace("0.5", ".nan"), "thresholds.yaml:6: "),
    "min above max": (GOOD.replace("why", "max: 0.1, why"), "min 0.5 is above max 0.1"),
    "duplicate": (GOOD + GOOD, "thresholds.yaml:7: "),
    "no network": (GOOD.replace("arcface", "clip_score"), "needs a network 'clip' under networks:"),
    "nothing required": (GOOD.replace("why", "required: false, why"), "nothing could stop a release"),
}


@pytest.mark.parametrize(("rows", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_row_is_named_before_anything_runs(gate: Gate, rows: str, message: str) -> None:
    run = gate("--lora", gate.world.good, "--lora-policy", gate.world.write(gate.folder / "policy", rows))
    assert run.code == 4
    assert message in run.err
    assert "Traceback" not in run.out + run.err
    assert list(run.report_folder.rglob("*")) == []


def test_a_folder_that_is_no_policy(gate: Gate) -> None:
    (gate.folder / "empty").mkdir()
    run = gate("--lora", gate.world.good, "--lora-policy", "empty")
    assert run.code == 4
    assert "has no thresholds.yaml" in run.err
    run = gate("--lora", gate.world.good, "--lora-policy", "gone")
    assert run.code == 4
    assert "gone is not a directory" in run.err
