"""What a run does not need it does not import: each of these libraries costs up to seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from spy import HEAVY
from world import Gate, Run

TORCH = {"torch", "torchvision", "diffusers", "transformers", "peft", "lpips", "open_clip", "pytorch_fid"}
PLUGIN = {  # all that a run which gates nothing pays for: four milliseconds
    *("lora_checks", "lora_checks.plugin", "lora_checks.gate", "lora_checks.gate.command_line"),
    *("lora_checks.gate.earlier", "lora_checks.gate.options", "lora_checks.gate.restart"),
}
SPY = os.pathsep.join(map(str, Path(__file__).parents[1:3]))  # its folder, and this checkout
NETWORKS = TORCH | {"scipy", "cv2", "skimage", "insightface", "onnxruntime"}


def imported(gate: Gate, *arguments: object) -> tuple[Run, set[str]]:
    seen = gate.folder / "seen"
    seen.unlink(missing_ok=True)
    spy = {"SPY": str(seen), "PYTHONPATH": SPY}
    run = gate.pytest("-p", "spy", *arguments, **spy)
    return run, set(seen.read_text().split())


def heavy(names: set[str]) -> set[str]:
    return names & set(HEAVY)


def test_the_spy_sees(gate: Gate) -> None:
    (gate.folder / "test_it.py").write_text("import numpy\ndef test_it(): pass\n")
    assert "numpy" in imported(gate, "test_it.py")[1]


def test_help_imports_nothing_heavy(gate: Gate) -> None:
    run, seen = imported(gate, "--help")
    assert run.code == 0
    assert heavy(seen) == set()


def test_a_run_that_gates_nothing_imports_nothing_heavy(gate: Gate) -> None:
    (gate.folder / "test_it.py").write_text("def test_it(): pass\n")
    run, seen = imported(gate)
    assert run.code == 0
    assert seen == PLUGIN


def test_the_package_imports_nothing_heavy() -> None:
    code = f"import sys, lora_checks; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("arguments", [("--collect-only",), ()], ids=["collected", "judged"])
def test_what_is_stored_needs_no_network(gate: Gate, arguments: tuple[str, ...]) -> None:
    """Nothing changed since the last run: it takes a second, without torch and its like."""
    where = ("--lora-policy", gate.world.policy, "--lora-store", gate.world.store, "--lora-report", "report")
    run, seen = imported(gate, "--lora", gate.world.good, *where, *arguments)
    assert run.code == (1 if arguments else 0), run.out + run.err
    assert seen & NETWORKS == set(), run.err


def test_a_refused_file_needs_no_network(gate: Gate) -> None:
    (gate.folder / "broken.safetensors").write_bytes(b"")
    where = ("--lora-policy", gate.world.policy, "--lora-store", "store")
    run, seen = imported(gate, "--lora", "broken.safetensors", *where)
    assert run.code == 1
    assert seen & NETWORKS == set(), run.err
