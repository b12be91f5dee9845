"""Two pytest-xdist workers share the work through the store, with every warning an error."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from world import Gate, Run, World, made


@dataclass(frozen=True)
class Shared:
    run: Run
    store: Path


@pytest.fixture(scope="module")
def shared(world: World, tmp_path_factory: pytest.TempPathFactory) -> Shared:
    folder = tmp_path_factory.mktemp("workers")
    gate = Gate(folder, world)
    store = folder / "store"
    arguments = ("-n", "2", "-W", "error", "--lora-batch-size", "2", "--lora-store", store)
    return Shared(gate("--lora", world.good, "--lora", world.bad, *arguments), store)


def test_no_image_is_made_twice(shared: Shared) -> None:
    assert shared.run.code == 1, shared.run.out + shared.run.err
    counts = made(shared.store)
    assert set(counts.values()) == {1}
    assert len(counts) == 8 + 8 + 1  # of each LoRA, and the base's first to compare with
    assert len(list(shared.store.glob("images/*/*.png"))) == 17


def test_the_verdicts_are_those_of_one_process(shared: Shared, first_run: Run) -> None:
    assert shared.run.outcomes == first_run.outcomes
    # batches of another size move a pixel by one grey level of 255
    assert shared.run.values == pytest.approx(first_run.values, rel=0.05, abs=0.02)


def test_the_rows_of_both_workers_are_in_one_report(shared: Shared) -> None:
    assert "2 workers" in shared.run.out
    assert shared.run.report["outcome"] == "FAIL"
    assert all(not lora["missing"] for lora in shared.run.report["loras"])


def test_warnings_of_libraries_are_not_the_lora_s_fault(shared: Shared) -> None:
    assert "ERROR" not in shared.run.outcomes.values()


def test_nothing_is_left_of_the_sharing(shared: Shared) -> None:
    assert [path for path in shared.store.rglob("*") if path.suffix in {".lock", ".part"}] == []


def test_stored_work_is_shared_too(gate: Gate) -> None:
    before = made(gate.world.store)
    run = gate("--lora", gate.world.good, "-n", "2")
    assert run.code == 0, run.out + run.err
    assert made(gate.world.store) == before


def test_folders_elsewhere_that_the_run_makes_itself(
    gate: Gate, tmp_path_factory: pytest.TempPathFactory
) -> None:
    new = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(gate.world.policy, gate.folder / "policy")
    shutil.copy(gate.world.good, gate.folder)  # nothing that exists before the run lies elsewhere
    given = ("--lora", "good.safetensors", "--lora-policy", "policy", "-k", "file")
    run = gate(*given, "-n", "2", "--lora-store", new / "store", "--lora-report", new / "report")
    assert "is writing its report" not in run.out + run.err
    assert "1 passed" in run.out, run.out + run.err
