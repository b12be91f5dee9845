"""A run that is killed goes on where it was, and ends in the same verdict."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from world import Gate, Run, World, command, environment, made


@dataclass(frozen=True)
class Killed:
    at_the_kill: dict[Path, int]  # images that were there, and when they were written
    run: Run  # the second one
    store: Path


@pytest.fixture(scope="module")
def killed(world: World, tmp_path_factory: pytest.TempPathFactory) -> Killed:
    folder = tmp_path_factory.mktemp("killed")
    store = folder / "store"
    arguments = ("--lora", world.good, "--lora-batch-size", "1", "--lora-store", store)
    process = subprocess.Popen(
        command(*arguments, "--lora-policy", world.policy),
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 300
    while made(store).total() < 2:
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    there = {path: path.stat().st_mtime_ns for path in store.glob("images/*/*.png")}
    for path in list(there)[:1]:  # what a kill in the middle of a write leaves
        path.with_name(f".{path.name}.part").write_bytes(path.read_bytes()[:100])
    return Killed(there, Gate(folder, world)(*arguments), store)


def test_it_was_killed_in_the_middle(killed: Killed) -> None:
    assert 2 <= len(killed.at_the_kill) < 8


def test_no_image_is_made_twice(killed: Killed) -> None:
    assert killed.run.code == 0, killed.run.out + killed.run.err
    counts = made(killed.store)
    assert set(counts.values()) == {1}
    images = list(killed.store.glob("images/*/*.png"))
    assert len(images) == 8 + 1
    assert {path: path.stat().st_mtime_ns for path in killed.at_the_kill} == killed.at_the_kill


def test_the_verdict_is_that_of_a_run_that_was_not_killed(killed: Killed, first_run: Run) -> None:
    expected = {pair: outcome for pair, outcome in first_run.outcomes.items() if pair[0] == "good"}
    assert killed.run.outcomes == expected
    values = {pair: value for pair, value in first_run.values.items() if pair[0] == "good"}
    assert killed.run.values == pytest.approx(values, rel=0.05, abs=0.02)


def test_a_half_written_file_is_no_image(killed: Killed) -> None:
    assert list(killed.store.glob("images/*/.*.part")) == []
    assert list(killed.store.glob("locks/*")) == []
    assert killed.run.row("identity")["measurement"]["n"] <= 8
    shown = next(killed.store.glob("good-*"))
    assert len(list(shown.iterdir())) == 8 + 1  # the pictures and their record
