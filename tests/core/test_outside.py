"""Text from outside is text wherever it is written: no command of a job, no formula, no escape."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from pathlib import Path

import pytest

from lora_checks.core.errors import ConfigError
from lora_checks.core.outside import cell, harmless, without_commands


@pytest.mark.parametrize(
    "text", ["=1+cmd|' /C calc'!A0", "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "＝1", " =1"]
)
def test_a_cell_is_no_formula(text: str) -> None:
    found = cell(text)
    assert found.lstrip()[0] == "'"
    assert not set(found) & set("\t\r\n")


def test_a_cell_is_no_formula_where_semicolons_part_cells() -> None:
    assert cell('x";=1+1') == "x\";'=1+1"


@pytest.mark.parametrize("text", ["red/1", "a=b", "good-v2", "1e-5", ""])
def test_other_cells_stay(text: str) -> None:
    assert cell(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "::error::x",
        "  ::set-output name=a::b",
        "a\n::add-mask::b",
        "a\r::warning::b",
        "a ##[error]b",
        "##vso[x]y",
    ],
)
def test_no_runner_finds_a_command(text: str) -> None:
    for made in (without_commands(text), harmless(text), str(ConfigError(text))):
        for line in made.splitlines():
            assert not line.lstrip().startswith("::")
        assert "##[" not in made
        assert "##vso[" not in made


def test_an_error_is_one_printable_line() -> None:
    assert str(ConfigError("a\nb\x1b[31m\u202ec\udc80")) == "a b?[31m?c?"


def test_a_usage_error_under_github_actions_is_no_command(tmp_path: Path) -> None:
    evil = "x\n::error::pwned\n##[error]too"
    for command in (
        [sys.executable, "-m", "lora_checks", "report", f"{tmp_path}/{evil}"],
        [sys.executable, "-m", "lora_checks", "inspect", evil],
        [sys.executable, "-m", "lora_checks", evil],
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--lora", evil],
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--lora", "a", "--lora-policy", evil],
    ):
        done = subprocess.run(
            command,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env={
                "GITHUB_ACTIONS": "true",
                "PATH": "",
                "PYTHONPATH": ":".join(sys.path),
                "HOME": str(tmp_path),
            },
        )
        assert done.returncode in (1, 2, 4), done.stdout + done.stderr
        for line in (done.stdout + done.stderr).splitlines():
            assert not line.lstrip().startswith("::"), line
            assert "##[" not in line, line


def test_numbers_of_a_table_stay_numbers_and_names_become_text(tmp_path: Path) -> None:
    from report_world import document, verdicts

    from lora_checks.report import tables

    made = tables.write(document(verdicts("=1+cmd\u202e\x1b", ("identity",), value=-0.5)), tmp_path)
    rows = list(csv.DictReader(io.StringIO(made[0].read_text())))
    assert {row["lora"] for row in rows} == {"'=1+cmd??"}
    values = {row["value"] for row in rows}
    assert values <= {"0.831", "-0.5", ""}
