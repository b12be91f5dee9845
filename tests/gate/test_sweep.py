"""What a run of many LoRAs prints while it goes on, and after Ctrl-C."""

from __future__ import annotations

import shutil
from dataclasses import replace
from itertools import product

import pytest
from report_world import document, verdicts
from world import Gate

from lora_checks.core.records import Outcome
from lora_checks.gate.console import Console
from lora_checks.gate.ledger import Ledger
from lora_checks.gate.sweep import Sweep
from lora_checks.judge.verdict import error
from lora_checks.report.terminal import lines

NAMES = [f"step-{i}00" for i in range(1, 10)]
CTRL_C = """
def stop():
    raise KeyboardInterrupt
def pytest_collection_modifyitems(items):
    next(item for item in items if "step-4" in item.name).setup = stop
"""


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sweep(clock: Clock) -> Sweep:
    return Sweep(Ledger(tuple(product(NAMES, ("file", "identity")))), clock)


def told(sweep: Sweep, clock: Clock, lora: str, seconds: float, outcome: Outcome = Outcome.PASS) -> list[str]:
    clock.now += seconds
    texts = []
    for check, result in (("file", Outcome.PASS), ("identity", outcome)):
        verdict = replace(error(lora, "", check, None, "x"), outcome=result)
        sweep._ledger.enter(verdict)
        texts.append(sweep.after(verdict))
    return texts


def test_each_lora_is_told_once_with_its_verdict_and_the_time_left(sweep: Sweep, clock: Clock) -> None:
    assert told(sweep, clock, "step-100", 60) == ["", "1 of 9 judged: step-100 PASS; about 8 min left"]
    assert told(sweep, clock, "step-200", 180, Outcome.FAIL)[1] == (
        "2 of 9 judged: step-200 FAIL (identity); about 14 min left"
    )
    optional = replace(error("step-100", "", "light", None, "x"), required=False)
    assert sweep.after(optional) == ""


def test_loras_of_the_store_do_not_shorten_the_time_left(sweep: Sweep, clock: Clock) -> None:
    for name in NAMES[:7]:
        told(sweep, clock, name, 0.5)
    assert told(sweep, clock, NAMES[7], 600)[1].endswith("; about 10 min left")
    assert told(sweep, clock, NAMES[8], 600)[1].endswith("9 of 9 judged: step-900 PASS")


def test_one_lora_needs_no_count(clock: Clock) -> None:
    sweep = Sweep(Ledger((("good", "file"), ("good", "identity"))), clock)
    assert told(sweep, clock, "good", 1) == ["", ""]


def test_a_bar_says_which_lora_of_how_many(
    pytestconfig: pytest.Config, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # a run of its own, whichever worker tests it
    console = Console(pytestconfig)
    console.number(["good", "good:0.8"])
    with capfd.disabled(), pytest.MonkeyPatch.context() as patch:
        written: list[str] = []
        patch.setattr(console, "_print", written.append)
        for what in ("generating good:0.8", "generating the base", "measuring lpips"):
            with console.bar(what)(2):
                pass
    assert "".join(written).split("\n")[1::2] == [
        "generating good:0.8 (2 of 2): 0 of 2 images",
        "generating the base: 0 of 2 images",
        "measuring lpips: 0 of 2 images",
    ]


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one process", "two workers"])
def test_a_sweep_tells_each_verdict_in_a_line(gate: Gate, workers: tuple[str, ...]) -> None:
    run = gate("--lora", gate.world.good, "--lora", gate.world.bad, *workers)
    judged = [line for line in run.out.splitlines() if " judged: " in line]
    assert len(judged) == 2
    assert any(": good PASS" in line for line in judged)
    assert any(": wrong-identity FAIL (identity)" in line for line in judged)
    assert [line.partition(" judged")[0] for line in judged] == ["1 of 2", "2 of 2"]
    assert "FAIL: 1 of 2 LoRAs passed; 1 failed" in run.out


def test_after_ctrl_c_what_was_not_begun_is_one_line(gate: Gate) -> None:
    gate.conftest(CTRL_C)
    for i in range(1, 9):
        shutil.copy(gate.world.good, gate.folder / f"step-{i}.safetensors")
    run = gate("--lora", "step-*.safetensors")
    assert run.code == 2
    assert "INCOMPLETE: 3 of 8 LoRAs passed; 5 not started" in run.out
    assert "not started: step-4.safetensors, step-5.safetensors, step-6.safetensors and 2 more" in run.out
    assert sum("step-" in line and "NOT RUN" in line for line in run.out.splitlines()) == 0
    assert "the same command continues" in run.out
    (gate.folder / "conftest.py").unlink()
    assert gate("--lora", "step-*.safetensors").code == 0


def test_few_loras_of_which_none_was_begun_show_their_rows() -> None:
    found = lines(document(missing=(("a", "identity"), ("b", "identity"))), 100)
    assert sum("NOT RUN" in line for line in found) == 2
    assert found[-1] == "INCOMPLETE: 0 of 2 LoRAs passed; 2 not started"
    found = lines(document(verdicts("a", ("identity",)), missing=(("b", "identity"),)), 100)
    assert any(line.startswith("  not started: b") for line in found)
    assert not any("NOT RUN" in line for line in found)
