"""The gate beside other people's pytest plugins, in one environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from world import Gate, Run

ROOT = Path(__file__).parents[2]
PLUGINS = {  # what is installed -> its plugins
    "pytest-playwright": ("playwright", "base_url"),
    "pytest-html": ("html", "html_fixtures", "metadata"),
    "allure-pytest": ("allure_pytest",),
    "pytest-benchmark": ("benchmark",),
    "pytest-rerunfailures": ("rerunfailures",),
    "pytest-randomly": ("randomly",),
    "syrupy": ("syrupy",),
}
ONCE = """
import pytest
from lora_checks import MeasureError

failed = []

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    if item.name.endswith("[good-identity]") and not failed:
        failed.append(item)
        raise MeasureError("the disk was busy")
"""


@pytest.fixture(scope="session")
def guests() -> Path:
    folder = Path(os.environ.get("LORA_CHECKS_GUESTS") or ROOT / "build" / "guests")
    if not (folder / "pytest_playwright").is_dir():
        pytest.skip("pip install --no-deps --target build/guests -r tests/guests.txt")
    return folder


def beside(gate: Gate, guests: Path, names: tuple[str, ...], *arguments: object) -> Run:
    """A run with the plugins of these packages, and of no other guest."""
    others = [plugin for name in PLUGINS if name not in names for plugin in PLUGINS[name]]
    without = [text for plugin in others for text in ("-p", f"no:{plugin}")]
    path = os.pathsep.join(map(str, (ROOT, guests, gate.folder)))
    return gate.pytest(*without, *arguments, PYTHONPATH=path)


def gating(gate: Gate) -> tuple[object, ...]:
    where = ("--lora-policy", gate.world.policy, "--lora-store", gate.world.store, "--lora-report", "report")
    return ("--lora", gate.world.good, *where, "--junitxml", "junit.xml")


@pytest.mark.parametrize(
    "names", [*((name,) for name in PLUGINS), tuple(PLUGINS)], ids=lambda names: names[-1]
)
def test_the_gate_passes_beside(gate: Gate, guests: Path, names: tuple[str, ...]) -> None:
    run = beside(gate, guests, names, *gating(gate))
    assert run.code == 0, run.out + run.err
    assert run.report["outcome"] == "PASS"


def test_what_is_theirs_stays_theirs(gate: Gate, guests: Path) -> None:
    (gate.folder / "test_it.py").write_text(
        "def test_it(pytestconfig): assert pytestconfig.option.device == 'iPhone 13'\n"
    )
    run = beside(gate, guests, tuple(PLUGINS), "--device", "iPhone 13", "test_it.py")
    assert run.code == 0, run.out + run.err


def test_their_device_is_not_the_gate_s(gate: Gate, guests: Path) -> None:
    run = beside(gate, guests, ("pytest-playwright",), *gating(gate), "--device", "cpu")
    assert run.code == 4
    assert "write --lora-device, or both" in run.err
    both = ("--device", "iPhone 13", "--lora-device", "cpu")
    assert beside(gate, guests, ("pytest-playwright",), *gating(gate), *both).code == 0


def test_their_reports_are_written(gate: Gate, guests: Path) -> None:
    theirs = ("--html", "page.html", "--alluredir", "allure", "--benchmark-disable")
    run = beside(gate, guests, tuple(PLUGINS), *gating(gate), *theirs)
    assert run.code == 0, run.out + run.err
    assert (gate.folder / "page.html").exists()
    assert list((gate.folder / "allure").iterdir())


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_a_rerun_is_no_verdict_and_the_row_says_so(
    gate: Gate, guests: Path, workers: tuple[str, ...]
) -> None:
    (gate.folder / "once.py").write_text(ONCE)
    run = beside(
        gate, guests, ("pytest-rerunfailures",), "-p", "once", *gating(gate), "--reruns", "2", *workers
    )
    assert run.code == 1, run.out + run.err
    assert "1 rerun" in run.out
    row = run.row("identity")
    assert row["outcome"] == "ERROR"
    assert row["reason"].startswith("the disk was busy; a rerun passed, but it is not a verdict")
    assert row["reason"].endswith("run the command again")
    again = beside(gate, guests, ("pytest-rerunfailures",), *gating(gate), "--reruns", "2")
    assert again.code == 0
