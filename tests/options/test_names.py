"""Every option begins with --lora; the bare names of before are read where nobody else has them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from world import Gate, Run

from lora_checks.gate.options import BARE

OWNER = """
def pytest_addoption(parser):
    parser.addoption("{name}", {how}, dest="theirs")

def pytest_report_header(config):
    return f"theirs: {{config.option.theirs}}"
"""
HOWS = {"value": "default='-'", "flag": "action='store_true'", "number": "type=int, default=0"}


def own(gate: Gate, name: str, how: str = "value") -> None:
    gate.conftest(OWNER.format(name=name, how=HOWS[how]))


def command(gate: Gate, *arguments: object) -> tuple[object, ...]:
    """A gating run that needs no bare name."""
    where = ("--lora-policy", gate.world.policy, "--lora-store", gate.world.store)
    return ("--lora", gate.world.good, *where, "--lora-report", "report", *arguments)


def passed(run: Run) -> bool:
    assert run.code == 0, run.out + run.err
    return run.report["outcome"] == "PASS"


def test_a_conftest_can_have_every_bare_name(gate: Gate) -> None:
    lines = [f"    parser.addoption('{name}', dest='theirs_{i}')" for i, name in enumerate(BARE)]
    gate.conftest("\n".join(["def pytest_addoption(parser):", *lines]))
    (gate.folder / "test_it.py").write_text(
        "def test_it(pytestconfig):\n"
        f"    found = [getattr(pytestconfig.option, f'theirs_{{i}}') for i in range({len(BARE)})]\n"
        f"    assert found == ['1'] * {len(BARE)}\n"
    )
    run = gate.pytest("test_it.py", *(text for name in BARE for text in (name, "1")))
    assert run.code == 0, run.out + run.err
    assert passed(gate.pytest(*command(gate)))


@pytest.mark.parametrize("how", HOWS)
def test_a_bare_name_of_somebody_else_is_refused_where_the_gate_may_be_meant(gate: Gate, how: str) -> None:
    own(gate, "--device", how)
    given = {"value": ("--device", "cpu"), "flag": ("--device",), "number": ("--device=3",)}[how]
    run = gate.pytest(*command(gate, *given))
    assert run.code == 4
    assert "--device belongs to another plugin or to a conftest.py here" in run.err
    assert "write --lora-device, or both where both are meant" in run.err
    both = gate.pytest(*command(gate, *given, "--lora-device", "cpu"))
    assert passed(both)
    assert f"theirs: { {'value': 'cpu', 'flag': True, 'number': 3}[how] }" in both.out


def test_a_project_s_own_addopts_keep_their_bare_names(gate: Gate) -> None:
    own(gate, "--report")
    (gate.folder / "pytest.ini").write_text("[pytest]\naddopts = --report theirs\n")
    run = gate.pytest(*command(gate))
    assert passed(run)
    assert "theirs: theirs" in run.out


@pytest.mark.parametrize(
    "plugins",
    [
        ("-p", "owner"),
        ("-p", "lora_checks.plugin", "-p", "owner"),
        ("-p", "owner", "-p", "lora_checks.plugin"),
    ],
    ids=["installed", "before", "after"],
)
def test_in_any_order_of_loading(gate: Gate, plugins: tuple[str, ...]) -> None:
    (gate.folder / "owner.py").write_text(OWNER.format(name="--store", how=HOWS["value"]))
    path = {"PYTHONPATH": os.pathsep.join([str(gate.folder), str(Path(__file__).parents[2])])}
    if plugins[1] != "owner" or len(plugins) > 2:
        path["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    assert passed(gate.pytest(*plugins, *command(gate), **path))
    run = gate.pytest(*plugins, *command(gate), "--store", "x", "--device", "cpu", **path)
    assert passed(run)  # --lora-store is given as well, and --device is free
    assert "theirs: x" in run.out
    run = gate.pytest(*plugins, "--lora", gate.world.good, "--store", "x", **path)
    assert (run.code, "write --lora-store" in run.err) == (4, True)


def test_the_plugin_can_come_from_a_conftest(gate: Gate) -> None:
    gate.conftest('pytest_plugins = ["lora_checks.plugin"]\n')
    where = ("--policy", gate.world.policy, "--store", gate.world.store, "--report", "report")
    shutil.copy(gate.world.good, gate.folder / "good.safetensors")
    run = gate.pytest("--lora", "good.safetensors", *where, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    assert passed(run)
    assert (
        "unrecognized arguments: --store" in gate.pytest("--store=x", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1").err
    )


BARE_WAYS = {
    "two words": lambda name, value: [name, value],
    "one word": lambda name, value: [f"{name}={value}"],
}


@pytest.mark.parametrize("way", BARE_WAYS)
def test_a_free_bare_name_is_the_gate_s(gate: Gate, way: str) -> None:
    values = {"--policy": gate.world.policy, "--store": gate.world.store, "--report": "report", "--seeds": 1}
    given = [text for name, value in values.items() for text in BARE_WAYS[way](name, str(value))]
    run = gate.pytest("--lora", gate.world.good, *given)
    assert passed(run)
    assert run.report["run"]["policy"]["directory"] == str(gate.world.policy)


def test_a_bare_name_in_each_place_where_pytest_reads_options(gate: Gate) -> None:
    (gate.folder / "pytest.ini").write_text(f"[pytest]\naddopts = --policy {gate.world.policy}\n")
    (gate.folder / "more.txt").write_text("--report\nreport\n")
    run = gate.pytest("--lora", gate.world.good, "@more.txt", PYTEST_ADDOPTS=f"--store {gate.world.store}")
    assert passed(run)
    assert run.report["run"]["store"] == str(gate.world.store)


def test_with_workers(gate: Gate) -> None:
    own(gate, "--device")
    where = ("--policy", gate.world.policy, "--store", gate.world.store, "--report", "report")
    run = gate.pytest("--lora", gate.world.good, *where, "-n", "2")
    assert passed(run)


def test_pictures_gate_by_the_bare_name_while_it_is_free(gate: Gate) -> None:
    (gate.folder / "test_it.py").write_text("def test_it(): pass")
    (gate.folder / "pictures").mkdir()
    where = ("--lora-policy", gate.world.policy, "--lora-store", gate.world.store, "--lora-report", "report")
    run = gate.pytest("--images", "pictures", *where)
    assert run.code == 1
    assert run.report["outcome"] == "ERROR"
    own(gate, "--images")
    run = gate.pytest("--images", "pictures")
    assert (run.code, "1 passed" in run.out) == (0, True)


@pytest.mark.parametrize("name", ["--device", "--store", "--policy", "--with-lora"])
def test_without_the_gate_a_bare_name_is_unknown(gate: Gate, name: str) -> None:
    run = gate.pytest(f"{name}=x")
    assert run.code == 4
    assert f"unrecognized arguments: {name}" in run.err


def test_a_folder_after_a_bare_name_is_not_taken_for_tests(gate: Gate) -> None:
    """Its conftest.py would be loaded."""
    folder = gate.folder / "pictures"
    folder.mkdir()
    (folder / "conftest.py").write_text("raise RuntimeError('loaded')")
    run = gate.pytest(*command(gate), "--references", folder)
    assert "loaded" not in run.out + run.err


def test_nothing_of_the_gate_is_in_the_way_of_an_abbreviation(gate: Gate) -> None:
    run = gate.pytest(*command(gate), "--lora-dev", "cpu")
    assert run.code == 4
    assert "unrecognized arguments: --lora-dev" in run.err
