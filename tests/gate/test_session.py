"""The exit status is 0 only if every required row was judged and has passed."""

from __future__ import annotations

import shutil

import pytest
from world import Gate, Run, row

from lora_checks.record import document

SKIP_ALL = """
import pytest
def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.{marker})
"""
EXIT = """
import pytest
def {hook}:
    pytest.exit("enough", returncode=0)
"""


def test_one_bad_lora_of_two_fails_the_run_and_both_are_reported(first_run: Run) -> None:
    assert first_run.code == 1
    assert first_run.report["outcome"] == "FAIL"
    assert {lora["name"]: lora["outcome"] for lora in first_run.report["loras"]} == {
        "good": "PASS",
        "wrong-identity": "FAIL",
    }
    failed = [pair for pair, outcome in first_run.outcomes.items() if outcome != "PASS"]
    assert failed == [("wrong-identity", "identity")]
    assert "FAIL: 1 of 2 LoRAs passed; 1 failed" in first_run.out
    assert "Traceback" not in first_run.out


def test_everything_passed(gate: Gate) -> None:
    run = gate("--lora", gate.world.good)
    assert run.code == 0, run.out + run.err
    assert run.report["outcome"] == "PASS"
    assert run.err == ""  # nothing was made, so no progress is shown


@pytest.mark.parametrize(
    "arguments",
    [
        ("-k", "idnetity"),
        ("-k", "identity"),
        ("-m", "slow"),
        ("--co",),
        ("--setup-plan",),
        ("--fixtures",),
        ("-k", "not file"),
        ("--maxfail=1", "-k", "file"),
    ],
    ids=" ".join,
)
def test_rows_that_were_not_judged_are_no_pass(gate: Gate, arguments: tuple[str, ...]) -> None:
    run = gate("--lora", gate.world.good, *arguments)
    assert run.code == 1, run.out


@pytest.mark.parametrize("option", ["--fixtures", "--fixtures-per-test", "--markers"])
def test_a_run_that_lists_ends_in_a_sentence(gate: Gate, option: str) -> None:
    run = gate("--lora", gate.world.good, option)
    assert run.code == 1
    assert "INTERNALERROR" not in run.out + run.err
    assert run.err.splitlines()[-1].startswith("Nothing was judged, so this is not a PASS; to gate, leave")
    if option == "--fixtures":
        assert "measure [session scope]" in run.out


def test_a_row_that_was_deselected_is_no_pass(gate: Gate) -> None:
    listed = gate("--lora", gate.world.good, "--co", "-q").out
    (identity,) = [line for line in listed.splitlines() if line.endswith("[good-identity]")]
    run = gate("--lora", gate.world.good, "--deselect", identity)
    assert run.code == 1
    assert run.report["loras"][0]["missing"] == ["identity"]


def test_a_subset_says_what_was_not_run(gate: Gate) -> None:
    run = gate("--lora", gate.world.good, "-k", "identity")
    assert run.code == 1
    assert run.report["outcome"] == "INCOMPLETE"
    assert run.outcomes == {("good", "identity"): "PASS"}
    assert run.report["loras"][0]["missing"] == ["file", "applied", "faces", "likeness", "distribution"]
    assert "good.safetensors  INCOMPLETE  5 of 6 rows not run" in run.out


def test_a_misspelt_selection_is_incomplete_and_not_merely_empty(gate: Gate) -> None:
    run = gate("--lora", gate.world.good, "-k", "idnetity")
    assert run.code == 1
    assert run.report["outcome"] == "INCOMPLETE"
    assert "NOT RUN  identity" in run.out


@pytest.mark.parametrize("marker", ["skip", "skipif(True, reason='no GPU')", "xfail(run=False)"])
def test_skipped_rows_are_no_pass(gate: Gate, marker: str) -> None:
    gate.conftest(SKIP_ALL.format(marker=marker))
    run = gate("--lora", gate.world.good)
    assert run.code == 1
    assert run.report["outcome"] == "INCOMPLETE"


def test_an_expected_failure_is_a_failure(gate: Gate) -> None:
    gate.conftest(SKIP_ALL.format(marker="xfail"))
    run = gate("--lora", gate.world.bad)
    assert run.code == 1
    assert run.report["outcome"] == "FAIL"
    assert run.outcomes["wrong-identity", "identity"] == "FAIL"


@pytest.mark.parametrize(
    "hook",
    [
        "pytest_configure(config)",
        "pytest_sessionstart(session)",
        "pytest_collection_finish(session)",
        "pytest_runtestloop(session)",
        "pytest_sessionfinish(session)",
    ],
)
def test_leaving_early_with_status_0_is_no_pass(gate: Gate, hook: str) -> None:
    gate.conftest(EXIT.format(hook=hook))
    assert gate("--lora", gate.world.good, "-k", "identity").code == 1


def test_options_from_the_environment_do_not_let_it_through(gate: Gate) -> None:
    assert gate("--lora", gate.world.good, PYTEST_ADDOPTS="--co").code == 1
    assert gate("--lora", gate.world.good, PYTEST_ADDOPTS="-k nothing").code == 1


def test_a_run_that_is_stopped_by_hand_keeps_its_own_status(gate: Gate) -> None:
    gate.conftest("def pytest_collection_finish(session):\n    raise KeyboardInterrupt\n")
    run = gate("--lora", gate.world.good)
    assert run.code == 2
    assert run.report["outcome"] == "INCOMPLETE"


def test_an_optional_row_is_reported_and_does_not_block(gate: Gate) -> None:
    rows = row("identity", "arcface", "min: -1, max_missing: 1")
    rows += row("strict", "arcface", "min: 0.99, max_missing: 1, required: false")
    run = gate("--lora", gate.world.good, "--lora-policy", gate.world.write(gate.folder / "policy", rows))
    assert run.code == 0, run.out + run.err
    assert run.outcomes["good", "strict"] == "FAIL"
    assert run.report["outcome"] == "PASS"


def test_a_straddling_interval_blocks_and_says_how_many_prompts_would_decide(gate: Gate) -> None:
    value = gate("--lora", gate.world.good).row("identity")["measurement"]["value"]
    rows = row("identity", "arcface", f"min: {value - 0.001:.5f}, rule: bound, max_missing: 0.5")
    run = gate("--lora", gate.world.good, "--lora-policy", gate.world.write(gate.folder / "policy", rows))
    assert run.code == 1
    assert run.report["outcome"] == "INCONCLUSIVE"
    assert "straddles min" in run.row("identity")["reason"]
    assert "more prompts" in run.row("identity")["reason"]


def test_a_refused_file_is_one_sentence_and_every_row_has_a_verdict(gate: Gate) -> None:
    (gate.folder / "broken.safetensors").write_bytes(b"PK\x03\x04")
    run = gate("--lora", "broken.safetensors")
    assert run.code == 1
    assert {check for _, check in run.outcomes} == {
        "file",
        "applied",
        "faces",
        "identity",
        "likeness",
        "distribution",
    }
    assert set(run.outcomes.values()) == {"ERROR"}
    assert run.report["outcome"] == "ERROR"
    assert "Traceback" not in run.out
    assert ".py:" not in run.out
    assert run.out.count("broken.safetensors ") < 4  # said once, not once for each row


def test_a_metric_of_ones_own_that_raises_is_a_sentence_with_its_line(gate: Gate) -> None:
    gate.conftest(
        "from lora_checks import metric\n\n"
        "@metric(extractor='arcface', against='nothing', per='image', better='higher', range=(0, 1))\n"
        "def mine(x):\n"
        "    raise ZeroDivisionError('a bug of mine')\n"
    )
    policy = gate.world.write(gate.folder / "policy", row("own", "mine", "min: 0"))
    run = gate("--lora", gate.world.good, "--lora-policy", policy)
    assert run.code == 1
    assert run.outcomes["good", "own"] == "ERROR"
    assert run.row("own")["reason"] == "mine raised ZeroDivisionError: a bug of mine (conftest.py:5)"


def test_an_unexpected_exception_keeps_its_traceback(gate: Gate) -> None:
    gate.conftest(
        "import pytest\n\n@pytest.fixture(autouse=True)\ndef mine():\n    raise ZeroDivisionError('mine')\n"
    )
    run = gate("--lora", gate.world.good, "--rootdir", gate.folder)
    assert run.code == 1
    assert set(run.outcomes.values()) == {"ERROR"}
    assert run.row("identity")["reason"].startswith("ZeroDivisionError: mine")
    assert "conftest.py:5: ZeroDivisionError" in run.out


def test_the_verdicts_are_on_disk_before_the_run_ends(gate: Gate) -> None:
    """Nothing can stop a plugin from ending the process with status 0; a second step finds no report then."""
    (gate.folder / "leave.py").write_text(
        "import os\ndef pytest_runtest_logreport(report):\n"
        "    if 'identity' in report.nodeid and report.when == 'teardown':\n        os._exit(0)\n"
    )
    run = gate("-p", "leave", "--lora", gate.world.good)
    assert run.code == 0
    assert not (run.report_folder / "report.json").exists()
    found = document.read(run.report_folder)
    assert found["outcome"] == "INCOMPLETE"
    (lora,) = found["loras"]
    assert {row["check"]: row["outcome"] for row in lora["rows"]} == dict.fromkeys(
        ["file", "applied", "faces", "identity"], "PASS"
    )
    assert lora["missing"] == ["likeness", "distribution"]
    assert len(lora["pictures"]) == 8


OTHER_FIXTURES = """
import pytest
@pytest.fixture
def images(images):
    from lora_checks.core.records import ImageSet
    return ImageSet(images.name, images.images[:2])
@pytest.fixture
def measurement():
    return None
@pytest.fixture
def record_verdict():
    return lambda verdict: None
"""


def test_fixtures_of_ones_own_tests_do_not_reach_the_gate_s(gate: Gate, first_run: Run) -> None:
    gate.conftest(OTHER_FIXTURES)
    run = gate("--lora", gate.world.good, "--rootdir", gate.folder)
    assert run.code == 0, run.out
    assert run.row("identity")["measurement"] == first_run.row("identity")["measurement"]
    assert run.row("distribution")["measurement"]["n"] == 8


def test_a_row_that_broke_off_after_its_pass_is_told(gate: Gate) -> None:
    """pytest ends in 1, so a report without a failure would release what the run did not."""
    gate.conftest(
        "import pytest\n@pytest.fixture(autouse=True)\ndef tidy():\n    yield\n    raise OSError('full')\n"
    )
    run = gate("--lora", gate.world.good, "--rootdir", gate.folder)
    assert run.code == 1
    assert len(run.report["run"]["other_failures"]) == 6


CHANGE = """
import shutil
def pytest_runtest_logreport(report):
    if "{row}" in report.nodeid and report.when == "teardown":
        shutil.copy({other!r}, "mine.safetensors")
"""


@pytest.mark.parametrize("row", ["test_lora_applied", "distribution"])
def test_a_file_that_changed_during_the_run_has_not_passed(gate: Gate, row: str) -> None:
    shutil.copy(gate.world.good, gate.folder / "mine.safetensors")
    (gate.folder / "change.py").write_text(CHANGE.format(row=row, other=str(gate.world.bad)))
    run = gate("-p", "change", "--lora", "mine.safetensors", "--junitxml", "junit.xml")
    assert run.code == 1, run.out
    assert run.outcomes["mine", "file"] == "ERROR"
    assert "mine.safetensors changed during the run: it was 0518e9745ec5" in run.row("file", "mine")["reason"]
    assert document.read(run.report_folder)["outcome"] != "PASS"


def test_of_two_verdicts_of_a_row_the_bad_one_counts(gate: Gate) -> None:
    """Each of two workers judges every row, and one of them cannot."""
    gate.conftest(
        "import os, pytest\n@pytest.fixture(autouse=True)\ndef broken():\n"
        "    if os.environ.get('PYTEST_XDIST_WORKER') == 'gw1':\n        raise OSError('no room')\n"
    )
    run = gate("--lora", gate.world.good, "-n", "2", "--dist", "each", "--rootdir", gate.folder)
    assert run.code == 1
    assert run.report["outcome"] == "ERROR"
    assert set(run.outcomes.values()) == {"ERROR"}
