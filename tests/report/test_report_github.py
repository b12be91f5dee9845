"""What GitHub Actions is given: commands that say what is meant, whatever a file is called."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from report_world import HOSTILE, ROWS, document, lora, measurement, refused, verdicts

from lora_checks.core.records import Threshold
from lora_checks.judge.verdict import judge
from lora_checks.report import github

COMMAND = re.compile(r"::(error|warning) (?:file=([^,:]+),line=(\d+),)?title=([^,:]*)::(.*)")


def parsed(commands: list[str]) -> list[tuple[str, str, str, str, str]]:
    """As the runner reads them; its regular expressions stop at the first "::"."""
    found = [COMMAND.fullmatch(command) for command in commands]
    assert all(found), commands
    return [match.groups(default="") for match in found if match]


def failing(name: str, source: str = "gate/thresholds.yaml:14") -> list:
    row = Threshold("not a copy", "trunk_distance", "w", min=0.08, source=source)
    return [judge(measurement("not a copy"), row, lora(name), f"out/{name}")]


def test_a_failed_row_is_an_error_on_its_line_of_the_policy() -> None:
    (found,) = parsed(github.annotations(document(failing("copycat"))))
    assert found[:4] == ("error", "gate/thresholds.yaml", "14", "FAIL not a copy")
    assert found[4].startswith("mean trunk_distance 0.031 [0.022, 0.040] is below min 0.080")


def test_a_place_in_the_checkout_is_relative_and_one_outside_is_not_named(tmp_path: Path) -> None:
    inside = failing("a", f"{tmp_path}/gate/thresholds.yaml:3")
    (found,) = parsed(github.annotations(document(inside), tmp_path))
    assert found[1:3] == ("gate/thresholds.yaml", "3")
    (found,) = parsed(github.annotations(document(inside), tmp_path / "elsewhere"))
    assert found[1:3] == ("", "")


def test_what_passed_is_not_annotated() -> None:
    assert github.annotations(document(verdicts("good", ("identity", "drift")))) == []


def test_optional_rows_and_warnings_of_the_run_are_warnings() -> None:
    made = document(verdicts("good", ("identity", "variety")), warnings=["the base was trained on 768x768"])
    found = parsed(github.annotations(made))
    assert [(level, title) for level, _, _, title, _ in found] == [
        ("warning", "FAIL variety"),
        ("warning", "LoRA gate"),
    ]


def test_a_refused_file_is_one_error_for_all_its_rows() -> None:
    (found, optional) = parsed(github.annotations(document(refused("broken", "it is damaged"))))
    assert found[0] == "error"
    assert found[3:] == (f"ERROR {sum(row.required for row in ROWS.values())} rows", "it is damaged")
    assert optional[0] == "warning"


def test_rows_that_never_ran_are_an_error() -> None:
    made = document(verdicts("good", ("identity",)), missing=(("good", "drift"), ("good", "applied")))
    (found,) = parsed(github.annotations(made))
    assert found[3:] == ("NOT RUN drift%2C applied", "a required row has no verdict")


def test_a_run_without_any_verdict_is_an_error() -> None:
    (found,) = parsed(github.annotations(document()))
    assert found[3:] == ("INCOMPLETE the gate", "INCOMPLETE: no LoRA was judged")


def test_a_run_that_went_wrong_outside_its_rows_is_an_error() -> None:
    spoiled = document(verdicts("good", ("identity", "drift")), other_failures=["test_own.py::test"])
    (command,) = parsed(github.annotations(spoiled))
    assert command[0] == "error"
    assert "this went wrong: test_own.py::test" in command[4]


def test_ten_of_a_kind_at_most_and_the_last_says_how_many_more() -> None:
    many = [failing(f"lora-{i}") for i in range(25)] + [refused("broken", "it is damaged")]
    found = parsed(github.annotations(document(*many)))
    errors = [one for one in found if one[0] == "error"]
    assert len(errors) == 10
    assert errors[0][4] == "broken.safetensors: it is damaged"  # the most urgent, though the last of the run
    assert errors[-1][4] == "17 more of this kind are in the job's summary and in report.json"


@pytest.mark.parametrize(
    "name", [HOSTILE, "a%0A::error::b", "::add-mask::a", "x,line=1::y", "a\r\n::error::b"]
)
def test_no_name_makes_a_command_of_its_own(name: str) -> None:
    row = Threshold("not a copy", "trunk_distance", "w", min=0.08, source=f"{name}/thresholds.yaml:14")
    made = [judge(measurement("not a copy", nearest=((name, 12),)), row, lora(name), "out")]
    for command in github.annotations(document(made, failing("other"))):
        assert command.isprintable()
        assert "%0A" not in command.replace("%250A", "")
        properties, _, _ = command.removeprefix("::error ").partition("::")
        assert re.fullmatch(r"(file=[^,:]*,line=\d+,)?title=[^,:]*", properties)


def test_the_table_is_printed_where_the_runner_looks_for_no_command() -> None:
    first, line, last = github.guarded(["::add-mask::a"])
    token = first.removeprefix("::stop-commands::")
    assert len(token) >= 32
    assert (line, last) == ("::add-mask::a", f"::{token}::")
    assert github.guarded([]) != github.guarded([])


def test_the_summary_begins_with_the_verdict() -> None:
    text = github.summary(document(failing("copycat"), verdicts("good", ("identity",))))
    assert text.startswith("# FAIL: 1 of 2 LoRAs passed; 1 failed\n")
    assert text.index("## copycat") < text.index("## good.safetensors")
    assert "left out" not in text


def test_rows_of_loras_that_passed_are_cut_first() -> None:
    made = document(failing("copycat"), *(verdicts(f"good-{i}", ("identity",)) for i in range(20)))
    whole = github.summary(made)
    text = github.summary(made, len(whole.encode()) - 1)
    assert "20 LoRAs passed; their rows are left out here (1 MiB), see report.json" in text
    assert "- good-19.safetensors: PASS, 1 of 1 row" in text
    assert "below min 0.080" in text
    bare = github.summary(made, len(text.encode()) - 1)
    assert len(bare.encode()) < len(text.encode())
    assert "20 LoRAs passed; their names and rows are left out here" in bare
    assert "below min 0.080" in bare


def test_then_loras_that_did_not_pass_and_how_many() -> None:
    made = document(*(failing(f"copycat-{i}") for i in range(20)))
    text = github.summary(made, 4000)
    shown = len(re.findall(r"^## copycat", text, re.M))
    assert 0 < shown < 20
    assert f"## {20 - shown} more did not pass; left out here (1 MiB), see report.json" in text


@pytest.mark.parametrize("room", [0, 10, 100, 300, 1000, 10_000, 100_000])
def test_no_summary_is_larger_than_its_room(room: int) -> None:
    made = document(*(failing(f"ü{HOSTILE}{i}") for i in range(30)), verdicts("good", ("identity",)))
    assert len(github.summary(made, room).encode()) <= room


def test_a_megabyte_of_rows_fits_into_github(tmp_path: Path) -> None:
    many = [verdicts(f"{i}-{'x' * 900}", ("identity", "drift")) for i in range(550)]
    path = tmp_path / "summary"
    path.write_text("what another program said\n" * 1000)
    github.append_summary(document(*many, failing("copycat")), path)
    assert 300_000 < path.stat().st_size <= 1024 * 1024
    assert "550 LoRAs passed; their rows are left out" in path.read_text()
