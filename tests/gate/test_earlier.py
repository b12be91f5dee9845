"""A gating run that does not end in PASS leaves no PASS of an earlier run where its own verdict goes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from world import Gate, Run, command, environment

from lora_checks.gate import earlier
from lora_checks.report.outputs import VERDICTS

APPROVING = "PASS, as far as a reader can tell\n"


@pytest.fixture
def left(gate: Gate) -> Callable[[], list[str]]:
    """Put an approval at every place, and tell later which of them are there still."""
    folder, junit = gate.folder / "report", gate.folder / "junit.xml"
    folder.mkdir()
    places = [*(folder / name for name in VERDICTS), junit]
    for path in places:
        path.write_text(APPROVING)
    return lambda: [path.name for path in places if path.exists() and path.read_bytes() == APPROVING.encode()]


REFUSED: dict[str, tuple[str, ...]] = {
    "missing LoRA": ("--lora", "gone.safetensors"),
    "unknown option": ("--unknown-option",),
    "a number that is none": ("--lora-seeds", "many"),
    "no seeds": ("--lora-seeds", "0"),
    "missing baseline": ("--lora-baseline", "gone.json"),
    "a path that does not exist": ("test_gone.py",),
    "a bad choice": ("--lora-dtype", "float64"),
    "another plugin's option": ("-n", "many"),
    "images and no images": ("--lora-images", "gone"),
}


@pytest.mark.parametrize("arguments", REFUSED.values(), ids=REFUSED)
def test_a_run_that_is_refused_leaves_no_approval(
    gate: Gate, left: Callable[[], list[str]], arguments: tuple[str, ...]
) -> None:
    assert len(left()) == len(VERDICTS) + 1
    run = gate("--lora", gate.world.good, "--junitxml", "junit.xml", *arguments)
    assert run.code not in (0, 1), run.out
    assert left() == []


def test_a_typo_in_the_policy(gate: Gate, left: Callable[[], list[str]]) -> None:
    policy = gate.world.write(gate.folder / "policy", "  a: {metric: arcfce, min: 0.5, why: x}\n")
    assert gate("--lora", gate.world.good, "--lora-policy", policy, "--junitxml", "junit.xml").code == 4
    assert left() == []


CONFTEST = {
    "does not import": "import nothing_of_that_name\n",
    "refuses": "import pytest\ndef pytest_configure(config):\n    raise pytest.UsageError('not today')\n",
    "raises": "def pytest_configure(config):\n    raise RuntimeError('not today')\n",
    "takes an option of pytest's": "def pytest_addoption(parser):\n    parser.addoption('--collect-only')\n",
    "leaves": "import os\nos._exit(5)\n",
}


@pytest.mark.parametrize("text", CONFTEST.values(), ids=CONFTEST)
def test_a_conftest_that_ends_the_run(gate: Gate, left: Callable[[], list[str]], text: str) -> None:
    gate.conftest(text)
    assert gate("--lora", gate.world.good, "--junitxml", "junit.xml").code != 0
    assert left() == []


def test_options_of_the_environment_and_of_the_configuration_count(
    gate: Gate, left: Callable[[], list[str]]
) -> None:
    (gate.folder / "pytest.ini").write_text("[pytest]\naddopts = --lora-report report --unknown-option\n")
    run = gate.pytest(PYTEST_ADDOPTS=f"--lora={gate.world.good} --junitxml=junit.xml")
    assert run.code == 4
    assert left() == []


def test_a_file_of_arguments_counts(gate: Gate, left: Callable[[], list[str]]) -> None:
    (gate.folder / "gate.args").write_text(
        f"--lora={gate.world.good}\n--report=report\n--junit-xml=junit.xml\n"
    )
    assert gate.pytest("@gate.args", "--unknown-option").code == 4
    assert left() == []


@pytest.mark.parametrize(
    "arguments", [("--co",), ("--help",), ("--lora-report", "elsewhere", "--lora-seeds", "0")]
)
def test_what_judges_nothing_or_writes_elsewhere_removes_nothing(
    gate: Gate, left: Callable[[], list[str]], arguments: tuple[str, ...]
) -> None:
    gate("--lora", gate.world.good, "--lora-report", "report", *arguments)
    assert set(left()) == {*VERDICTS, "junit.xml"}


def test_a_run_of_other_tests_removes_nothing(gate: Gate, left: Callable[[], list[str]]) -> None:
    (gate.folder / "test_it.py").write_text("def test_it(): pass\n")
    (gate.folder / "conftest.py").write_text(
        "def pytest_addoption(parser):\n    parser.addoption('--html-report')\n"
    )
    assert gate.pytest("--html-report", "report").code == 0
    assert set(left()) == {*VERDICTS, "junit.xml"}


def test_what_cannot_be_removed_is_named(gate: Gate, left: Callable[[], list[str]]) -> None:
    page = gate.folder / "report" / "report.md"
    if (
        os.geteuid() != 0
        or subprocess.run(["chattr", "+i", page], check=False, capture_output=True).returncode
    ):
        pytest.skip("needs a file that cannot be removed")
    try:
        run = gate("--lora", gate.world.good, "--junitxml", "junit.xml")
        assert run.code == 4
        assert f"cannot remove {page} from an earlier run (Operation not permitted)" in run.err
        assert left() == ["report.md"]
        assert "report.md from an earlier run" in gate("--lora", gate.world.good, "--unknown-option").err
    finally:
        subprocess.run(["chattr", "-i", page], check=True)


def test_an_approved_report_that_would_be_overwritten_is_kept(gate: Gate) -> None:
    first = gate("--lora", gate.world.good)
    assert first.code == 0, first.out
    before = (first.report_folder / "report.json").read_bytes()
    for baseline in ("report", "report/report.json", "report/report.json#good"):
        run = gate("--lora", gate.world.good, "--lora-baseline", baseline)
        assert run.code == 4
        assert f"--lora-baseline {baseline} is in {first.report_folder}" in run.err
        assert (first.report_folder / "report.json").read_bytes() == before


def test_a_device_or_a_link_is_not_followed(tmp_path: Path) -> None:
    approved, link = tmp_path / "approved.json", tmp_path / "report.json"
    approved.write_text(APPROVING)
    link.symlink_to(approved)
    assert earlier.remove([link, Path(os.devnull), tmp_path]) == []
    assert approved.read_text() == APPROVING
    assert not link.is_symlink()
    assert Path(os.devnull).exists()


def test_what_a_killed_run_had_begun_to_write_goes(tmp_path: Path) -> None:
    for name in (".x1y2z3.part", "report.md", "notes.txt"):
        (tmp_path / name).write_text(APPROVING)
    assert earlier.clear(tmp_path, "", tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("arguments", "report", "junit"),
    [
        (["--lora", "a"], ".lora_checks/report", None),
        (["--lora=a", "--lora-report=b", "--junitxml", "$HERE/c.xml"], "b", "/here/c.xml"),
        (["--lora-images", "a", "--store", "s"], "s/report", None),
        (["--report", "b", "--lora", "a", "--report", "c", "--lora-seeds", "0"], "c", None),
        (["--lora", "--report", "b"], "b", None),
        (["--images", "a", "--lora-store=s", "--", "--lora-report", "b"], "s/report", None),
    ],
)
def test_places_are_read_from_the_raw_command_line(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], report: str, junit: str | None
) -> None:
    monkeypatch.setenv("HERE", "/here")
    told = earlier.read(arguments, Path("/work"))
    assert told is not None
    assert told.report == Path("/work") / report
    assert told.junit == (None if junit is None else Path(junit))
    assert told.certain == ("--images" not in arguments)
    assert told.ours == (not {"--report", "--store"} & set(arguments))


@pytest.mark.parametrize("arguments", [[], ["--report", "b"], ["--", "--lora", "a"], ["--lora-seeds", "1"]])
def test_what_does_not_ask_for_the_gate(arguments: list[str]) -> None:
    assert earlier.read(arguments, Path("/work")) is None


def test_a_bare_name_of_another_plugin_s_removes_nothing_but_a_report(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps({"tests": []}))
    assert not earlier._is_report(tmp_path)
    (tmp_path / "report.json").write_text(json.dumps({"schema": 1, "loras": []}))
    assert earlier._is_report(tmp_path)


# -- two runs at once

WAIT = "import time\ndef pytest_collection_finish(session):\n    open('waits', 'w')\n    time.sleep(600)\n"


@pytest.fixture
def busy(gate: Gate) -> subprocess.Popen[bytes]:
    """A run that goes on, into the folder "report"."""
    (gate.folder / "wait.py").write_text(WAIT)
    where = ("--lora-policy", gate.world.policy, "--lora-store", gate.world.store, "--lora-report", "report")
    process = subprocess.Popen(
        command("-p", "wait", "--lora", gate.world.good, *where),
        cwd=gate.folder, env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not (gate.folder / "waits").exists():
            assert process.poll() is None
        yield process  # type: ignore[misc]
    finally:
        process.kill()
        process.wait()


def test_a_second_run_into_a_folder_is_refused_and_names_the_first(
    gate: Gate, busy: subprocess.Popen[bytes]
) -> None:
    kept = gate.folder / "report" / "verdicts.jsonl"
    kept.write_text("of the first\n")
    run = gate("--lora", gate.world.good)
    assert run.code == 4
    assert f"another run (process {busy.pid} on " in run.err
    assert f"is writing its report to {gate.folder / 'report'}: wait until it has ended" in run.err
    assert gate("--lora", "gone.safetensors").code == 4
    assert gate("--lora", gate.world.good, "--unknown-option").code == 4
    assert kept.read_text() == "of the first\n"
    assert gate("--lora", gate.world.good, "--lora-report", "other").code == 0


def test_what_a_killed_run_leaves_blocks_nobody(gate: Gate, busy: subprocess.Popen[bytes]) -> None:
    busy.kill()
    busy.wait()
    assert (gate.folder / "report" / ".lock").exists()
    run = gate("--lora", gate.world.good)
    assert run.code == 0, run.out + run.err
    assert not (gate.folder / "report" / ".lock").exists()


def test_a_report_is_not_made_again_while_its_run_goes_on(
    gate: Gate, busy: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    from lora_checks.__main__ import main

    assert busy.poll() is None
    assert main(["report", str(gate.folder / "report")]) == 2
    assert f"another run (process {busy.pid} on " in capsys.readouterr().err


def test_a_lock_is_not_left(gate: Gate) -> None:
    run: Run = gate("--lora", gate.world.good)
    assert run.code == 0
    assert not (run.report_folder / ".lock").exists()
    assert gate("--lora", gate.world.good, "--unknown-option").code == 4
    assert not (run.report_folder / ".lock").exists()
    shutil.rmtree(run.report_folder)
    assert gate("--lora", gate.world.good, "--lora-seeds", "0").code == 4
    assert not run.report_folder.exists()
