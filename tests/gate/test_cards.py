"""Each worker of pytest-xdist computes on a card of its own, on a machine that says it has cards."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from world import MINIATURE, Gate

from lora_checks.core import device
from lora_checks.core.errors import ConfigError
from lora_checks.gate import cards

TWO = ["cuda", "cuda:0", "cuda:1", "cpu"]
Process = Callable[..., Any]


@pytest.fixture
def process(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    """Stands for a process of a run: its worker's name, the workers of the run, what it asked for."""
    cleanups: list[Callable[[], object]] = []
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(device, "_devices", lambda: TWO)

    def of(worker: str = "", workers: int = 2, asked: str = "auto") -> Any:
        config = SimpleNamespace(
            option=SimpleNamespace(lora_device=asked, tx=["popen"] * workers, dist="load"),
            stash=pytest.Stash(),
            add_cleanup=cleanups.append,
            getoption=lambda name, _=None: {"dist": "load", "tx": ["popen"] * workers}[name],
            getini=lambda _: [],
            getvalue=lambda name: {"tx": ["popen"] * workers}[name],
        )
        if worker:
            config.workerinput = {"workerid": worker, "workercount": workers, "testrunuid": "a/run"}
        return config

    yield of
    for cleanup in cleanups:
        cleanup()
    assert list(tmp_path.glob("*.lock")) == []


@pytest.mark.parametrize("asked", ["auto", "cuda"])
def test_each_worker_has_its_own(process: Process, asked: str) -> None:
    assert [cards.own(process(f"gw{i}", asked=asked)) for i in range(2)] == ["cuda:0", "cuda:1"]


def test_a_worker_that_replaces_another_has_its_card(process: Process) -> None:
    first, second = process("gw0"), process("gw1")
    assert (cards.own(first), cards.own(second)) == ("cuda:0", "cuda:1")
    first.stash[cards.CARD].release()  # as when its process dies
    assert cards.own(process("gw2")) == "cuda:0"
    with pytest.raises(ConfigError, match="no accelerator is free for worker gw3"):
        cards.own(process("gw3"))


def test_more_workers_than_cards(process: Process) -> None:
    for worker in ("", "gw0"):
        with pytest.raises(
            ConfigError, match=r"-n: 3 workers would share cuda:0, cuda:1.*use -n 2, or --lora-d"
        ):
            cards.own(process(worker, workers=3))


@pytest.mark.parametrize("asked", ["cuda:1", "cpu"])
def test_what_is_named_is_taken_by_all(process: Process, asked: str) -> None:
    assert [cards.own(process(f"gw{i}", 3, asked)) for i in range(3)] == [asked] * 3


def test_alone_nothing_is_chosen(process: Process) -> None:
    assert cards.own(process(workers=0)) == "auto"
    assert cards.own(process("gw0", workers=1)) == "auto"


@pytest.mark.parametrize("there", [["cpu"], ["mps", "cpu"]])
def test_without_cards(process: Process, monkeypatch: pytest.MonkeyPatch, there: list[str]) -> None:
    """A Mac has one for all; a CPU is shared by its cores."""
    monkeypatch.setattr(device, "_devices", lambda: there)
    if there[0] == "cpu":
        assert cards.own(process("gw1")) == "auto"
    else:
        with pytest.raises(ConfigError, match="would share mps"):
            cards.own(process("gw1"))
    assert cards.own(process("gw1", asked="cuda")) == "cuda"  # refused by name later


def test_the_run_is_refused_before_it_begins(gate: Gate) -> None:
    gate.conftest(
        "from lora_checks.core import device\ndevice._devices = lambda: ['cuda', 'cuda:0', 'cpu']\n"
    )
    run = gate("--lora", gate.world.good, "-n", "2")
    assert run.code == 4, run.out + run.err
    assert "-n: 2 workers would share cuda:0" in run.err
    assert "Traceback" not in run.out + run.err


def test_the_terminal_says_where_it_computes(gate: Gate) -> None:
    run = gate(
        "--lora", gate.world.good, "--co", "--lora-batch-size", "3", "--lora-save-memory", "vae-tiling"
    )
    (line,) = [line for line in run.out.splitlines() if line.startswith("lora_checks:")]
    assert line == "lora_checks: computes on cpu, float32, 3 images at a time, vae-tiling"


def test_the_terminal_says_what_the_run_takes_and_needs(gate: Gate) -> None:
    """The facts of `lora-checks check`, unless the run is quiet."""
    asked = ("--lora", gate.world.good, "--lora-policy", MINIATURE, "--co")
    lines = gate(*asked).out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("lora_checks: computes on"))
    images, needed = lines[at + 1 : at + 3]
    left = r"(\d+ to make; .*|all made before; )"  # by a test before this one
    assert re.match(rf"64 images at most, {left}the base's weights take [0-9.]+ MiB", images)
    assert needed.startswith("to pass: ")
    quiet = gate(*asked, "-q").out
    assert "to make" not in quiet
    assert "to pass" not in quiet
