"""--lora-prompts FILE: other prompts for the same limits."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from world import Gate


def test_another_file_is_generated(gate: Gate) -> None:
    fewer = gate.world.write(gate.folder / "fewer", prompts=3)
    run = gate("--lora", gate.world.good, "--lora-prompts", fewer / "prompts.yaml")
    assert len(run.report["run"]["prompts"]) == 3
    measured = run.row("identity")["measurement"]
    assert measured["n"] + measured["missing"] == 3
    assert [name for name, _ in measured["per_image"]] == ["red/1", "blue/1", "green/1"]


def test_a_file_that_is_not_there(gate: Gate) -> None:
    run = gate("--lora", gate.world.good, "--lora-prompts", "gone.yaml")
    assert run.code == 4
    assert "gone.yaml is not a file" in run.err


def test_a_prompt_that_the_base_would_cut_ends_the_run_before_it(gate: Gate) -> None:
    policy = gate.world.write(gate.folder / "long", prompts=1)
    prompts = policy / "prompts.yaml"
    prompts.write_text(prompts.read_text().replace("photo of a", "photo of a very " + "very " * 20 + "fine"))
    run = gate("--lora", gate.world.good, "--lora-prompts", prompts)
    assert run.code == 4
    assert re.search(
        r"prompts\.yaml:7: prompt 'red' has \d+ tokens, and this base reads only the first 24", run.err
    )
    assert "Traceback" not in run.out + run.err


def test_a_cut_that_is_only_a_summary_s_is_told_and_the_run_goes_on(
    gate: Gate, family_folder: Callable[[str], Path]
) -> None:
    """Told again when the answer is in the store."""
    policy = gate.world.write(gate.folder / "long", prompts=1)
    prompts = policy / "prompts.yaml"
    prompts.write_text(prompts.read_text().replace("photo of a", "photo of a very " + "very " * 20 + "fine"))
    where = (
        "--lora-base",
        family_folder("SD3"),
        "--lora-prompts",
        prompts,
        "--lora-store",
        "store",
        "--collect-only",
    )
    for _ in range(2):
        run = gate("--lora", gate.world.good, *where)
        assert run.code == 1, run.out + run.err  # collecting is no pass
        assert run.err.count("tokens, and CLIP reads only the first 77; T5 reads all") == 1
