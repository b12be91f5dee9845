"""Metrics, networks, outputs and trackers of an installed package, and of a conftest.py, in real runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from small_package import install
from world import Gate, Run, row, run_module

ROOT = Path(__file__).parents[2]
METRIC = """
from pathlib import Path

from lora_checks import metric

Path(__file__).with_name("imported").touch()
SHIFT = {shift}


class Shift:  # neither a function nor a constant: no digest of the metric's source sees it
    value = {shift}


@metric(extractor="", takes="picture", against="nothing", per="image", better="higher", range=(0, 300))
def red(picture):
    return float(picture[:, :, 0].mean()) + Shift.value
"""
NETWORK = """
import numpy as np

from lora_checks import network


@network("shades")
class Shades:
    def __init__(self, settings, device, cache=None):
        self.id = f"shades/1 bins={{settings['bins']}}"
        self.label = "shades"
        self.bins = settings["bins"]

    def images(self, pixels):
        rows = [np.histogram(picture, self.bins, (0, 256))[0] for picture in pixels]
        return np.array(rows, np.float32) + {shift}
"""
OUTPUT = """
import json

from lora_checks import output


@output("badge")
def badge(document, folder):
    assert json.loads((folder / "report.json").read_text())["outcome"] == document["outcome"]
    (folder / "badge.txt").write_text(document["outcome"])
    document["outcome"] = "PASS"
    return [folder / "badge.txt"]
"""
TRACKER = """
from lora_checks import tracker


@tracker("chat")
def chat(document, directory, where):
    (directory / "chat.txt").write_text(where)
    return f"told {where} that it is a {document['outcome']}"
"""
METRICS, NETWORKS = (
    {"lora_checks.metrics": "red = shades:red"},
    {"lora_checks.networks": "shades = shades:Shades"},
)
OUTPUTS, TRACKERS = (
    {"lora_checks.outputs": "badge = shades:badge"},
    {"lora_checks.trackers": "chat = shades:chat"},
)


@pytest.fixture
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for packages, outside of the one where the gate runs."""
    return tmp_path_factory.mktemp("packages")


def with_network(policy: Path, settings: str) -> Path:
    file = policy / "thresholds.yaml"
    file.write_text(file.read_text().replace("networks:\n", f"networks:\n  {settings}\n"))
    return policy


def run_of(gate: Gate, policy: Path, site: Path | None = None, *more: object) -> Run:
    return gate("--lora", gate.world.good, "--lora-policy", policy, *more, **path_to(site))


def path_to(site: Path | None) -> dict[str, str]:
    return {"PYTHONPATH": f"{site}:{ROOT}"} if site else {}


def lora_checks(gate: Gate, site: Path | None, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command of the gate in a process that has, or does not have, the package."""
    return run_module("lora_checks", *arguments, folder=gate.folder, **path_to(site))


def value_of(gate: Gate, policy: Path, site: Path | None, check: str) -> tuple[float, str]:
    run = run_of(gate, policy, site)
    assert run.code == 0, run.out + run.err
    measurement = run.row(check)["measurement"]
    return measurement["value"], measurement["network"]


# -- metrics


def test_a_metric_of_a_package_is_measured_and_never_mixed_with_another_version(
    gate: Gate, elsewhere: Path
) -> None:
    policy = gate.world.write(gate.folder / "policy", row("red", "red", "min: 1"))
    site = install(elsewhere, "shades", "0.2", METRIC.format(shift=0), METRICS)
    first, identity = value_of(gate, policy, site, "red")
    assert "red/1@shades-0.2 " in identity
    install(elsewhere, "shades", "0.3", METRIC.format(shift=7), METRICS)
    second, other = value_of(gate, policy, site, "red")
    assert "red/1@shades-0.3 " in other
    assert second == pytest.approx(first + 7, abs=1e-6)


def test_a_report_of_a_package_s_metric_is_released_where_the_package_is(gate: Gate, elsewhere: Path) -> None:
    policy = gate.world.write(gate.folder / "policy", row("red", "red", "min: 1"))
    site = install(elsewhere, "shades", "0.2", METRIC.format(shift=0), METRICS)
    run = run_of(gate, policy, site)
    assert "installed:shades.py" in [code["file"] for code in run.report["run"]["code"]]
    verify = ("verify", gate.world.good, "--policy", policy, "--report", run.report_folder)
    done = lora_checks(gate, None, *verify)
    assert done.returncode == 1
    assert "it was judged with installed:shades.py" in done.stdout
    done = lora_checks(gate, site, *verify)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_package_is_imported_only_for_its_name(gate: Gate, elsewhere: Path) -> None:
    site = install(elsewhere, "shades", "0.2", METRIC.format(shift=0), METRICS)
    policy = gate.world.write(gate.folder / "policy", row("sharp", "sharpness", "min: 0"))
    value_of(gate, policy, site, "sharp")
    assert not (site / "imported").exists()
    value_of(gate, gate.world.write(gate.folder / "policy", row("red", "red", "min: 1")), site, "red")
    assert (site / "imported").exists()


def test_two_packages_of_one_name_are_refused(gate: Gate, elsewhere: Path) -> None:
    site = install(elsewhere, "shades", "0.2", METRIC.format(shift=0), METRICS)
    install(elsewhere, "tints", "1.0", METRIC.format(shift=0), {"lora_checks.metrics": "red = tints:red"})
    run = run_of(gate, gate.world.write(gate.folder / "policy", row("red", "red", "min: 1")), site)
    assert run.code == 4
    assert "metric 'red' is in both " in run.err
    assert "shades 0.2" in run.err
    assert "tints 1.0" in run.err


def test_a_name_of_the_gate_s_own_is_refused(gate: Gate, elsewhere: Path) -> None:
    entry = {"lora_checks.metrics": "arcface = shades:red"}
    site = install(elsewhere, "shades", "0.2", METRIC.format(shift=0), entry)
    run = run_of(gate, gate.world.policy, site)
    assert run.code == 4
    assert "metric 'arcface' is in both lora-checks " in run.err
    assert "and shades 0.2" in run.err


# -- networks


def test_a_network_of_a_package_is_used_and_never_mixed_with_another_version(
    gate: Gate, elsewhere: Path
) -> None:
    rows = row("variety", "vendi", "network: shades, min: 0")
    policy = with_network(gate.world.write(gate.folder / "policy", rows), "shades: {bins: 9}")
    site = install(elsewhere, "shades", "0.2", NETWORK.format(shift=0), NETWORKS)
    first, identity = value_of(gate, policy, site, "variety")
    assert "shades/1 bins=9 from=shades-0.2 code=" in identity
    install(elsewhere, "shades", "0.3", NETWORK.format(shift=900), NETWORKS)
    run = run_of(gate, policy, site, "--lora-store", gate.folder / "store")  # a store that saw no other
    assert run.code == 0, run.out + run.err
    assert "from=shades-0.3 code=" in run.row("variety")["measurement"]["network"]
    assert run.row("variety")["measurement"]["value"] < first


def test_a_network_of_a_conftest_is_used_and_its_file_is_part_of_its_identity(gate: Gate) -> None:
    rows = row("variety", "vendi", "network: mine, min: 0")
    policy = with_network(gate.world.write(gate.folder / "policy", rows), "mine: {kind: shades, bins: 5}")
    gate.conftest(NETWORK.format(shift=0))
    _, first = value_of(gate, policy, None, "variety")
    gate.conftest(NETWORK.format(shift=0) + "\n# another file\n")
    _, second = value_of(gate, policy, None, "variety")
    assert first != second
    assert first.partition(" code=")[0] == second.partition(" code=")[0]


# -- outputs


def test_an_output_of_a_package_is_written_after_the_gate_s_own_and_goes_with_them(
    gate: Gate, elsewhere: Path
) -> None:
    site = install(elsewhere, "shades", "0.2", OUTPUT, OUTPUTS)
    passed = run_of(gate, gate.world.policy, site)
    assert passed.code == 0, passed.out + passed.err
    assert (passed.report_folder / "badge.txt").read_text() == "PASS"
    failed = run_of(gate, gate.world.policy, None, "--lora", gate.world.bad)  # without the package
    assert failed.code == 1
    assert failed.report["outcome"] == "FAIL"
    assert not (failed.report_folder / "badge.txt").exists()  # nothing says PASS


def test_the_report_command_writes_it_too(gate: Gate, elsewhere: Path) -> None:
    site, run = install(elsewhere, "shades", "0.2", OUTPUT, OUTPUTS), gate("--lora", gate.world.good)
    done = lora_checks(gate, site, "report", run.report_folder, "--out", "again")
    assert done.returncode == 0, done.stderr
    assert (gate.folder / "again" / "badge.txt").read_text() == "PASS"
    assert "badge.txt" in done.stdout


def test_an_output_that_fails_changes_neither_verdict_nor_report(gate: Gate) -> None:
    gate.conftest(OUTPUT.replace("    document[", "    raise RuntimeError('offline')\n    document["))
    run = gate("--lora", gate.world.good)
    assert run.code == 0, run.out + run.err
    assert run.report["outcome"] == "PASS"
    assert "output 'badge': RuntimeError: offline" in run.err.splitlines()


def test_what_a_withdrawn_pass_told_is_told_again(gate: Gate) -> None:
    gate.conftest(
        OUTPUT + "\nimport pytest\n\n@pytest.hookimpl(wrapper=True, tryfirst=True)\n"
        "def pytest_unconfigure(config):\n    yield\n    raise OSError('too late')\n"
    )
    run = gate("--lora", gate.world.good)
    assert run.code != 0
    assert run.report["outcome"] != "PASS"
    assert (run.report_folder / "badge.txt").read_text() == run.report["outcome"]


# -- trackers


def test_a_tracker_of_a_package_gets_the_report(gate: Gate, elsewhere: Path) -> None:
    site = install(elsewhere, "shades", "0.2", TRACKER, TRACKERS)
    run = run_of(gate, gate.world.policy, site, "--lora-log", "chat:team")
    assert run.code == 0, run.out + run.err
    assert run.out.splitlines()[-1] == "chat: told team that it is a PASS"
    assert (run.report_folder / "chat.txt").read_text() == "team"


def test_a_tracker_of_a_conftest_gets_the_report_and_can_be_asked_again(gate: Gate) -> None:
    gate.conftest(TRACKER)
    run = gate("--lora", gate.world.good, "--lora-log", "chat:team")
    assert run.code == 0, run.out + run.err
    assert run.out.splitlines()[-1] == "chat: told team that it is a PASS"
    gate.conftest(TRACKER.replace("return", "raise RuntimeError('offline')\n    return"))
    run = gate("--lora", gate.world.good, "--lora-log", "chat:team")
    assert run.code == 0
    (line,) = [text for text in run.out.splitlines() if text.startswith("chat: not logged: ")]
    assert "RuntimeError: offline" in line
    assert line.endswith(f"--to chat:team --from {gate.folder / 'conftest.py'}")


def test_a_tracker_that_cannot_be_imported_ends_the_run_at_its_start(gate: Gate, elsewhere: Path) -> None:
    site = install(elsewhere, "shades", "0.2", "import no_such_package\n", TRACKERS)
    run = run_of(gate, gate.world.policy, site, "--lora-log", "chat")
    assert run.code == 4
    assert "tracker 'chat' of shades 0.2 cannot be imported" in run.err
    assert "no_such_package" in run.err


def test_help_of_an_unknown_tracker_names_those_of_packages(gate: Gate, elsewhere: Path) -> None:
    site = install(elsewhere, "shades", "0.2", TRACKER, TRACKERS)
    run = run_of(gate, gate.world.policy, site, "--lora-log", "neptune")
    assert run.code == 4
    assert "trackio, chat" in run.err
