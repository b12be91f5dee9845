"""The project that pytest runs in decides where its configuration comes from, never a path of the gate's."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from world import Gate, environment

from lora_checks.gate.command_line import joined
from lora_checks.gate.options import OPTIONS

PROJECT = "[pytest]\naddopts = -p no:doctest\n"
OTHERS = {
    "pytest.ini": "[pytest]\naddopts = --maxfail=1\npythonpath = .\nenv = x\n",
    "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--maxfail=1'\n",
    "setup.cfg": "[tool:pytest]\naddopts = --maxfail=1\n",
}


@pytest.fixture
def elsewhere(gate: Gate) -> Path:
    """A LoRA, a policy and a report in another project; the gate's own has a pytest.ini."""
    (gate.folder / "pytest.ini").write_text(PROJECT)
    other = gate.folder.with_name(f"{gate.folder.name}-other")
    other.mkdir()
    shutil.copy(gate.world.good, other / "good.safetensors")
    (other / "conftest.py").write_text("raise SystemError('the conftest.py of another project')\n")
    gate.world.write(other / "policy")
    return other


@pytest.mark.parametrize("name", OTHERS)
def test_a_lora_in_another_project(gate: Gate, elsewhere: Path, name: str) -> None:
    (elsewhere / name).write_text(OTHERS[name])
    where = ("--lora-store", gate.world.store, "--lora-report", "report")
    run = gate.pytest("--lora", elsewhere / "good.safetensors", "--lora-policy", elsewhere / "policy", *where)
    assert run.code == 0, run.out + run.err
    assert f"rootdir: {gate.folder}\nconfigfile: pytest.ini" in run.out
    assert "another project" not in run.out + run.err
    assert run.report["outcome"] == "PASS"


@pytest.mark.parametrize("option", ["--store", "--lora-store"])
def test_a_folder_of_the_gate_s_own_project_with_a_configuration(gate: Gate, option: str) -> None:
    (gate.folder / "pytest.ini").write_text(PROJECT)
    inner = gate.folder / "other"
    inner.mkdir()
    (inner / "tox.ini").write_text("[pytest]\naddopts = --maxfail=1\n")
    (inner / "conftest.py").write_text("raise SystemError('another')\n")
    run = gate.pytest("--lora", "gone.safetensors", option, "other")
    assert run.code == 4
    assert "gone.safetensors does not exist" in run.err
    run = gate.pytest("--lora", gate.world.good, option, "other", "--co", "--policy", gate.world.policy)
    assert f"rootdir: {gate.folder}\nconfigfile: pytest.ini" in run.out


def test_options_of_the_environment_and_of_a_file(gate: Gate, elsewhere: Path) -> None:
    (elsewhere / "pytest.ini").write_text(OTHERS["pytest.ini"])
    (gate.folder / "more.txt").write_text(f"--lora-policy\n{elsewhere / 'policy'}\n")
    run = gate.pytest(
        "@more.txt",
        *("--lora-store", gate.world.store, "--lora-report", "report"),
        PYTEST_ADDOPTS=f"--lora {elsewhere / 'good.safetensors'}",
    )
    assert run.code == 0, run.out + run.err
    assert f"rootdir: {gate.folder}\nconfigfile: pytest.ini" in run.out


def test_with_workers(gate: Gate, elsewhere: Path) -> None:
    (elsewhere / "pytest.ini").write_text(OTHERS["pytest.ini"])
    where = ("--lora-policy", gate.world.policy, "--lora-store", gate.world.store)
    run = gate.pytest("--lora", elsewhere / "good.safetensors", *where, "--lora-report=report", "-n", "2")
    assert run.code == 0, run.out + run.err
    assert f"rootdir: {gate.folder}\n" in run.out


def test_tests_of_one_s_own_decide_as_without_the_gate(gate: Gate) -> None:
    """`pytest --lora x mine/` has the configuration of `pytest mine/`."""
    mine = gate.folder / "mine"
    mine.mkdir()
    (mine / "pytest.ini").write_text("[pytest]\n")
    (mine / "test_it.py").write_text("def test_it(): pass\n")
    (gate.folder / "loras").mkdir()
    shutil.copy(gate.world.good, gate.folder / "loras")
    where = ("--lora-policy", gate.world.policy, "--lora-store", gate.world.store, "--lora-report", "report")
    run = gate.pytest("--lora", "loras/good.safetensors", *where, "mine")
    assert run.code == 0, run.out + run.err
    assert f"rootdir: {mine}\n" in run.out


def test_pytest_main_returns_the_status(gate: Gate, elsewhere: Path) -> None:
    """And the process is as it was."""
    (elsewhere / "pytest.ini").write_text(OTHERS["pytest.ini"])
    code = (
        "import os, sys, pytest\n"
        f"status = pytest.main(['--lora', {str(elsewhere / 'good.safetensors')!r}, '--co', '-q',\n"
        f"    '--lora-policy', {str(gate.world.policy)!r}, '--lora-store', {str(gate.world.store)!r}])\n"
        "assert os.environ['PYTEST_ADDOPTS'] == '-p no:cacheprovider'\n"
        f"assert {str(elsewhere)!r} not in sys.path\n"
        "print('status', int(status))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=gate.folder,
        env=environment({"PYTEST_ADDOPTS": "-p no:cacheprovider"}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.endswith("status 1\n"), done.stdout + done.stderr


def test_what_follows_a_switch_is_not_its_value() -> None:
    given = ["--lora-compile", "tests/mine", "--lora", "x.safetensors"]
    assert joined(given, OPTIONS) == ["--lora-compile", "tests/mine", "--lora=x.safetensors"]
