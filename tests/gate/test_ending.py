"""The files of a run agree with its exit status, whatever goes wrong after the last row, or none approves."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from pathlib import Path

import pytest
from junitparser import JUnitXml
from world import Gate, Run, command, environment

from lora_checks.report.outputs import VERDICTS


def gated(gate: Gate, *arguments: object, **env: str) -> Run:
    return gate("--lora", gate.world.good, "--junitxml", "junit.xml", *arguments, **env)


def approving(gate: Gate) -> list[str]:
    """Files that tell of a PASS of the run."""
    folder, junit = gate.folder / "report", gate.folder / "junit.xml"
    words = {"report.json": '"outcome": "PASS"', "report.md": "# PASS", "report.html": "<title>PASS"}
    texts = {name: (folder / name).read_text() for name in words if (folder / name).exists()}
    found = [name for name, text in texts.items() if words[name] in text.split('"rows"')[0][:3000]]
    if junit.exists():
        (suite,) = JUnitXml.fromfile(str(junit))
        outcomes = [one.value for one in suite.properties() if one.name == "lora_checks.outcome"]
        if not suite.errors + suite.failures or outcomes == ["PASS"]:
            found.append("junit.xml")
    return found


def test_all_approve_after_a_pass(gate: Gate) -> None:
    run = gated(gate)
    assert run.code == 0, run.out + run.err
    assert set(approving(gate)) >= {"report.json", "report.md", "junit.xml"}
    (suite,) = JUnitXml.fromfile(str(gate.folder / "junit.xml"))
    assert (suite.tests, suite.errors, suite.failures) == (6, 0, 0)
    assert [path.name for path in run.report_folder.glob(".*")] == []


SPOILS = {
    "sessionfinish raises": "def pytest_sessionfinish():\n    raise RuntimeError('not today')\n",
    "sessionfinish sets a status": "def pytest_sessionfinish(session):\n    session.exitstatus = 7\n",
    "sessionfinish leaves": "import pytest\ndef pytest_sessionfinish():\n    pytest.exit('', returncode=0)\n",
    "the last one kills": (
        "import os, pytest\n@pytest.hookimpl(trylast=True)\ndef pytest_sessionfinish():\n    os._exit(9)\n"
    ),
    "summary kills": "import os\ndef pytest_terminal_summary():\n    os._exit(9)\n",
    "summary is interrupted": "def pytest_terminal_summary():\n    raise KeyboardInterrupt\n",
    "unconfigure raises": "def pytest_unconfigure():\n    raise RuntimeError('not today')\n",
    "a row's teardown": (
        "import pytest\n@pytest.fixture(autouse=True)\ndef tidy():\n    yield\n    raise OSError('full')\n"
    ),
    "main ends in 3": (
        "import pytest\n@pytest.hookimpl(wrapper=True)\ndef pytest_cmdline_main():\n    yield\n    return 3\n"
    ),
}


@pytest.mark.parametrize("text", SPOILS.values(), ids=SPOILS)
def test_what_goes_wrong_after_the_rows_leaves_no_approval(gate: Gate, text: str) -> None:
    (gate.folder / "spoils.py").write_text(text)
    run = gated(gate, "-p", "spoils")
    assert run.code != 0
    assert approving(gate) == []


def test_a_check_of_ones_own_that_fails_is_in_every_file(gate: Gate) -> None:
    mine = gate.folder / "test_mine.py"
    mine.write_text("def test_mine():\n    assert False\n")
    run = gated(gate, mine)
    assert run.code == 1
    assert approving(gate) == []
    assert run.report["outcome"] == run.report["loras"][0]["outcome"] == "ERROR"
    words = "ERROR: every required row passed, but this went wrong: "
    assert words in (run.report_folder / "report.md").read_text()
    assert "test_mine.py::test_mine" in run.report["run"]["other_failures"][0]


def test_a_test_file_that_cannot_be_read(gate: Gate) -> None:
    mine = gate.folder / "test_mine.py"
    mine.write_text("import nothing_of_that_name\n")
    assert gated(gate, mine, "--continue-on-collection-errors").code == 1
    assert approving(gate) == []


def test_without_a_terminal_a_run_ends_as_with_one(gate: Gate) -> None:
    run = gated(gate, "-p", "no:terminal")
    assert run.code == 0, run.err
    assert "Traceback" not in run.out + run.err
    assert set(approving(gate)) >= {"report.json", "report.md", "junit.xml"}
    assert gate("--lora", gate.world.bad, "--junitxml", "junit.xml", "-p", "no:terminal").code == 1
    assert approving(gate) == []


FILL = """
import os
def pytest_runtest_logreport(report):
    if "distribution" in report.nodeid and report.when == "teardown":
        filler = os.open("{full}/filler", os.O_WRONLY | os.O_CREAT)
        try:
            while True:
                os.write(filler, bytes(4096))
        except OSError:
            os.ftruncate(filler, max(0, os.fstat(filler).st_size - {room} * 1024))
"""


@pytest.mark.parametrize("places", [("report",), ("xml",), ("report", "xml")], ids=" and ".join)
@pytest.mark.parametrize("room", [0, 16])
def test_a_full_disk_at_the_end(gate: Gate, places: tuple[str, ...], room: int) -> None:
    """``room``: KiB that are left when the last row has been judged."""
    full = gate.folder / "full"
    full.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", full], check=False).returncode:
        pytest.skip("needs a file system of its own")
    try:
        for name in places:
            (full / name).mkdir()
            (gate.folder / name).symlink_to(full / name)
        (gate.folder / "fill.py").write_text(FILL.format(full=full, room=room))
        run = gate("--lora", gate.world.good, "--junitxml", "xml/junit.xml", "-p", "fill")
        assert run.code not in (0, 1), run.out
        assert "Traceback" not in run.out + run.err
        assert "No space left on device" in run.err
        if (gate.folder / "xml" / "junit.xml").exists():
            shutil.copy(gate.folder / "xml" / "junit.xml", gate.folder)
        assert approving(gate) == []
    finally:
        subprocess.run(["umount", full], check=True)


def test_a_junit_file_that_cannot_be_written(gate: Gate) -> None:
    run = gated(gate, "--junitxml", "/dev/full")
    assert run.code == 4
    assert "/dev/full could not be written (No space left on device)" in run.err
    assert approving(gate) == []


def test_a_junit_file_that_is_a_device_is_left_alone(gate: Gate) -> None:
    run = gated(gate, "--junitxml", os.devnull)
    assert run.code == 0, run.out + run.err
    assert set(approving(gate)) >= {"report.json", "report.md"}


@pytest.mark.parametrize("size", [2_000, 30_000])
def test_a_limit_on_the_size_of_files(gate: Gate, size: int) -> None:
    where = ("--lora-policy", gate.world.policy, "--lora-store", gate.world.store, "--lora-report", "report")
    done = subprocess.run(
        command("--lora", gate.world.good, "--junitxml", "junit.xml", *where, "-p", "no:faulthandler"),
        cwd=gate.folder, env=environment(), capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )  # fmt: skip
    assert done.returncode not in (0, 1), done.stdout
    assert approving(gate) == []
    assert {path.name for path in (gate.folder / "report").iterdir()} <= {*VERDICTS, "images"}


def test_a_link_as_junit_file_stays_one(gate: Gate) -> None:
    """The link is removed at the start, as any earlier file; one that is made later is written through."""
    (gate.folder / "kept").mkdir()
    (gate.folder / "link.py").write_text(
        "import os\ndef pytest_collection_finish():\n    os.symlink('kept/junit.xml', 'junit.xml')\n"
    )
    assert gated(gate, "-p", "link").code == 0
    assert Path(gate.folder / "junit.xml").is_symlink()
    assert "junit.xml" in approving(gate)
