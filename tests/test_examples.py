"""The example of a user's own check runs, and only when a LoRA is gated."""

from __future__ import annotations

from pathlib import Path

from world import Gate, Run

EXAMPLES = Path(__file__).parent / "examples"


def test_own_checks_run_beside_the_gate(gate: Gate) -> None:
    run = gate("--lora", gate.world.good, EXAMPLES)
    assert run.code == 0, run.out + run.err
    assert "10 passed" in run.out  # the file, four rows, five checks of one's own
    assert run.report["outcome"] == "PASS"


def test_a_failing_check_of_ones_own_fails_the_run_and_shows_its_assertion(gate: Gate) -> None:
    own = gate.folder / "test_mine.py"
    own.write_text("def test_small(lora):\n    assert lora.tensors < 3, 'too large'\n")
    run = gate("--lora", gate.world.good, own)
    assert run.code == 1
    assert "assert lora.tensors < 3" in run.out
    assert run.report["outcome"] == "PASS"  # the policy's rows; the exit status counts both


def test_plain_pytest_leaves_the_examples_alone(gate: Gate) -> None:
    run = gate.pytest("--collect-only", "-q", EXAMPLES)
    assert run.code == 5  # nothing collected
    assert "test_own_checks" not in run.out


def test_the_gate_is_not_collected_without_a_lora(gate: Gate, first_run: Run) -> None:
    import lora_checks

    del first_run
    run = gate.pytest("--collect-only", "-q", Path(lora_checks.__file__).parent)
    assert run.code == 5
