"""`run_gate` is the command from Python: the same report, no exit, and the process is left as it was."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from world import Gate, row

import lora_checks
from lora_checks import ConfigError, LoraChecksError, Outcome, StoreError, metrics, run_gate
from lora_checks.core import seals
from lora_checks.gate.from_python import _arguments, _parsed
from lora_checks.record import document as documents
from lora_checks.record.lock import ReportLock

OF_THIS_RUN = {"started", "finished", "seconds", "command", "report"}


def same(document: Mapping[str, Any]) -> dict[str, Any]:
    """A report without what differs between two runs of the same.

    Pytest loads the conftest.py of this checkout; nothing else does.
    """
    run = {name: value for name, value in document["run"].items() if name not in OF_THIS_RUN}
    content = {name: value for name, value in document.items() if name != seals.KEY}
    return {**content, "run": {**run, "code": [file for file in run["code"] if file["for"] != ["conftest"]]}}


@pytest.fixture
def elsewhere(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the command."""
    monkeypatch.chdir(gate.folder)
    return gate.folder


def arguments(gate: Gate, folder: str = "python", **changes: Any) -> dict[str, Any]:
    return {"policy": gate.world.policy, "store": gate.world.store, "report": folder, **changes}


def test_the_report_is_that_of_the_command(gate: Gate, elsewhere: Path) -> None:
    """Of a LoRA that passes, one that fails, and one that is damaged."""
    damaged = elsewhere / "damaged.safetensors"
    damaged.write_bytes(gate.world.good.read_bytes()[:-100])
    loras = [gate.world.good, gate.world.bad, damaged]
    run = gate(*(part for lora in loras for part in ("--lora", lora)), "--lora-baseline", "none")
    result = run_gate(loras, **arguments(gate, baseline="none"))
    assert run.code == 1
    assert same(result.document) == same(run.report)
    assert result.document == documents.read_file(result.report)
    assert result.report == elsewhere / "python" / "report.json"
    assert (result.outcome, result.passed) == ("FAIL", False)
    outcomes = {(verdict.lora, verdict.check): verdict.outcome.value for verdict in result.verdicts}
    assert outcomes == run.outcomes
    assert {verdict.lora for verdict in result.not_passed} == {"wrong-identity", "damaged"}
    files = {path.name for path in (elsewhere / "report").iterdir()}
    assert {path.name for path in (elsewhere / "python").iterdir()} == files


@pytest.mark.usefixtures("elsewhere")
def test_pictures_made_elsewhere(gate: Gate) -> None:
    pictures = next(gate.world.store.glob("good-*"))
    run = gate("--lora", gate.world.good, "--lora-images", pictures)
    result = run_gate(gate.world.good, **arguments(gate, images=pictures))
    assert same(result.document) == same(run.report)
    assert result.document["run"]["elsewhere"]["caveat"]


def test_against_the_last_release(gate: Gate, elsewhere: Path) -> None:
    approved = gate("--lora", gate.world.good).report_folder.rename(elsewhere / "approved")
    policy = gate.world.write(elsewhere / "policy")
    text = (policy / "thresholds.yaml").read_text()
    (policy / "thresholds.yaml").write_text(f"{text}regression:\n  identity: 0.05\n")
    given = ("--lora-baseline", approved / "report.json", "--lora-policy", policy)
    run = gate("--lora", gate.world.bad, *given)
    result = run_gate(gate.world.bad, **arguments(gate, baseline="approved", policy=policy))
    assert run.report["outcome"] == "FAIL"
    assert "regression-identity" in {verdict.check for verdict in result.not_passed}
    assert same(result.document)["loras"] == same(run.report)["loras"]
    assert result.document["baseline"]["rows"] == run.report["baseline"]["rows"]


@pytest.mark.usefixtures("elsewhere")
def test_twice_in_one_process_and_once_in_a_thread(gate: Gate) -> None:
    before = dict(os.environ), Path.cwd(), list(warnings.filters), list(sys.path), list(sys.argv)
    results = [run_gate(str(gate.world.good), **arguments(gate)) for _ in range(2)]
    thread = threading.Thread(
        target=lambda: results.append(run_gate(gate.world.good, **arguments(gate, "thread")))
    )
    thread.start()
    thread.join()
    assert [result.outcome for result in results] == ["PASS"] * 3
    assert all(same(result.document) == same(results[0].document) for result in results)
    assert before == (dict(os.environ), Path.cwd(), list(warnings.filters), list(sys.path), list(sys.argv))


def test_what_it_makes_is_counted_run_by_run(gate: Gate, elsewhere: Path) -> None:
    from diffusers.utils import logging

    logging.enable_progress_bar()  # a pipeline that another test loaded may have switched it off
    policy = gate.world.write(
        elsewhere / "policy", row("distribution", "trunk_frechet", "max: 1000000000.0"), 3
    )
    store, lines = elsewhere / "store", list[str]()
    given = {"policy": policy, "store": store, "say": lines.append}
    first = run_gate(gate.world.good, **given)
    assert first.passed, first.not_passed
    assert first.document["run"]["made"]["images"] == 4  # three, and one of the base
    assert any(line.startswith("generating good: ") for line in lines)
    assert all(line == line.strip("\n") and line for line in lines)
    assert run_gate(gate.world.good, **given).document["run"]["made"]["images"] == 0
    assert logging.is_progress_bar_enabled()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lora": ()}, "nothing to gate"),
        ({"lora": "absent.safetensors"}, "absent.safetensors"),
        ({"policy": "absent"}, "absent"),
        ({"device": "gpu"}, "--lora-device: 'gpu'"),
        ({"dtype": "float8"}, "--lora-dtype"),
        ({"batch_size": 0}, "--lora-batch-size"),
        ({"images_from": "{prompt}.png"}, "--lora-images-from is for --lora-images"),
        ({"baseline": "absent.json"}, "absent.json"),
    ],
    ids=str,
)
def test_wrong_arguments_are_an_exception(
    gate: Gate, elsewhere: Path, changes: dict[str, Any], message: str
) -> None:
    given = {"lora": gate.world.good, **arguments(gate), **changes}
    with pytest.raises(LoraChecksError) as error:
        run_gate(**given)
    assert message in str(error.value)
    assert not (elsewhere / "python" / "report.json").exists()


def test_an_earlier_report_is_gone_once_a_run_begins(gate: Gate, elsewhere: Path) -> None:
    assert run_gate(gate.world.good, **arguments(gate)).report.is_file()
    with pytest.raises(ConfigError):
        run_gate(gate.world.good, **arguments(gate, policy="absent"))
    assert not (elsewhere / "python" / "report.json").exists()


def test_two_runs_do_not_write_one_report(gate: Gate, elsewhere: Path) -> None:
    (elsewhere / "python").mkdir()
    lock = ReportLock(elsewhere / "python", "pytest --lora x")
    assert lock.take()
    with pytest.raises(StoreError, match="another run"):
        run_gate(gate.world.good, **arguments(gate))
    lock.release()


def test_a_metric_that_breaks_is_an_error_and_ctrl_c_leaves_no_verdict(
    gate: Gate, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble: list[BaseException] = [ZeroDivisionError("by nothing")]

    def broken(_: np.ndarray) -> np.ndarray:
        raise trouble[0]

    monkeypatch.setattr(metrics, "_declared", dict(metrics._declared))
    lora_checks.metric(extractor="trunk", against="nothing", per="image", better="higher", range=(0, 1))(
        broken
    )
    policy = gate.world.write(elsewhere / "policy", row("own", "broken", "min: 0"))
    result = run_gate(gate.world.good, **arguments(gate, policy=policy))
    verdict = next(verdict for verdict in result.verdicts if verdict.check == "own")
    assert (verdict.outcome, verdict.reason.partition(" (")[0]) == (
        Outcome.ERROR,
        "broken raised ZeroDivisionError: by nothing",
    )
    assert result.outcome == "ERROR"
    assert next(file["for"] for file in result.document["run"]["code"]) == ["metric broken"]
    trouble[0] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run_gate(gate.world.good, **arguments(gate, policy=policy))
    assert not (elsewhere / "python" / "report.json").exists()
    assert not (elsewhere / "python" / ".lock").exists()  # the next run is not held up


def test_a_switch_is_given_without_a_value_or_not_at_all() -> None:
    assert _arguments(lora=["a"], lora_compile=False, lora_seeds=0) == ["--lora=a", "--lora-seeds=0"]
    assert _arguments(lora=["a"], lora_compile=True) == ["--lora=a", "--lora-compile"]
    assert _parsed(["--lora=a", "--lora-compile"]).lora_compile is True
