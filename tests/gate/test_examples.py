"""The example of a user's own check runs, and only when a LoRA is gated."""

from __future__ import annotations

import shutil
from pathlib import Path

from own_networks import onnx_file
from world import MINIATURE, Gate, Run

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_own_checks_run_beside_the_gate(gate: Gate) -> None:
    run = gate("--lora", gate.world.good, EXAMPLES)
    assert run.code == 0, run.out + run.err
    assert "11 passed" in run.out  # the file, that it is applied, four rows, five checks of one's own
    assert run.report["outcome"] == "PASS"


def test_a_failing_check_of_ones_own_fails_the_run_and_shows_its_assertion(gate: Gate) -> None:
    own = gate.folder / "test_mine.py"
    own.write_text("def test_small(lora):\n    assert lora.tensors < 3, 'too large'\n")
    run = gate("--lora", gate.world.good, own)
    assert run.code == 1
    assert "assert lora.tensors < 3" in run.out
    assert run.report["outcome"] == "ERROR"  # as the exit status: the rows alone passed


def test_plain_pytest_leaves_the_examples_alone(gate: Gate) -> None:
    run = gate.pytest("--collect-only", "-q", EXAMPLES)
    assert run.code == 5  # nothing collected
    assert "test_own_checks" not in run.out


def test_the_gate_is_not_collected_without_a_lora(gate: Gate, first_run: Run) -> None:
    import lora_checks

    del first_run
    run = gate.pytest("--collect-only", "-q", Path(lora_checks.__file__).parent)
    assert run.code == 5


def test_a_metric_of_ones_own_on_a_network_of_ones_own(gate: Gate) -> None:
    """As tests/examples/own_network has it: an ONNX file in thresholds.yaml, a metric in conftest.py."""
    example, policy = EXAMPLES / "own_network", gate.folder / "policy"
    gate.conftest((example / "conftest.py").read_text())
    policy.mkdir()
    shutil.copy(example / "thresholds.yaml", policy)
    shutil.copy(gate.world.policy / "prompts.yaml", policy)
    (policy / "references").symlink_to(MINIATURE / "references")
    onnx_file(policy / "encoder.onnx")
    run = gate("--lora", gate.world.good, "--lora-policy", policy)
    assert run.code == 0, run.out + run.err
    for check in ("typical", "distribution", "realistic"):
        assert run.row(check)["measurement"]["label"] == "the clinic's encoder"
    strict = (policy / "thresholds.yaml").read_text().replace("max: 3", "max: 0.01")
    (policy / "thresholds.yaml").write_text(strict)
    failed = gate("--lora", gate.world.good, "--lora-policy", policy)
    assert failed.code == 1
    assert failed.outcomes["good", "typical"] == "FAIL"


def test_the_metric_of_the_example_is_12_lines() -> None:
    lines = (EXAMPLES / "own_network" / "conftest.py").read_text().splitlines()
    assert len(lines) <= 12
