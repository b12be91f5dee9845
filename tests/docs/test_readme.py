"""Every command in the README runs, and what it shows is what they print."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import kind_table
import pytest
from world import run_line

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MINIATURE = "examples/miniature"


def commands(fence: str) -> list[str]:
    """Each command of the fences with exactly this info string; installing is CI's own first step."""
    blocks = re.findall(rf"^```{fence}\n(.*?)^```", README, re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines() if line]
    parts = [part.strip() for line in lines for part in line.split("&&")]
    return [part for part in parts if not part.startswith("pip install")]


def run(command: str, *more: str) -> subprocess.CompletedProcess[str]:
    return run_line(command, *more, folder=ROOT)


def test_the_readme_has_the_two_commands() -> None:
    assert f"pytest --lora-policy {MINIATURE} --lora {MINIATURE}/loras/good.safetensors" in commands("sh")
    assert "pip install -e . && pytest --lora-policy" in README
    assert "pip install -e '.[dev]' && pytest -n auto --dist loadfile" in README


@pytest.mark.parametrize("command", [c for c in commands("sh") if "--lora" in c])
def test_commands_on_the_miniature(command: str, miniature_store: Path) -> None:
    done = run(command, "--lora-store", str(miniature_store))
    stopped = "overfit" in command or command.endswith("loras/run")  # its first checkpoint is near a limit
    expected = 1 if stopped else 0
    assert done.returncode == expected, done.stdout + done.stderr
    if command.endswith("loras/run"):  # of which the README shows the leaderboard, and no rows
        assert ranked(done.stdout) == ranked(README)
    elif "tests/examples" not in command:
        assert [row for row in rows(done.stdout) if row not in rows(README)] == []


def ranked(text: str) -> list[tuple[str, str]]:
    """Each LoRA of a leaderboard with its verdict, in order."""
    found = re.findall(r"^  (step-\d+)\.safetensors +\d+ .* (PASS|FAIL|INCONCLUSIVE|ERROR)  ", text, re.M)
    assert found
    return found


def rows(text: str) -> list[str]:
    """The verdict and name of each row of a table; values may differ in the last digit between machines."""
    return re.findall(r"^  ((?:PASS|FAIL|ERROR) +[a-z-]+) ", text, re.M)


def test_the_example_from_python(miniature_store: Path, tmp_path: Path) -> None:
    (code,) = re.findall(r"^```python\n(from lora_checks import run_gate\n.*?)^```", README, re.M | re.S)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / ".lora_checks").symlink_to(miniature_store)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=900
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["PASS", str(tmp_path / ".lora_checks" / "report" / "report.json")]


def test_commands_on_a_report(miniature_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows a run: the card, the trackers, the signature; in the order of the page."""
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    (tmp_path / "examples").symlink_to(Path(__file__).parents[2] / "examples")
    (gate,) = (command for command in commands("sh") if "--lora-log" in command)
    done = run(gate, "--lora-store", str(miniature_store), "--lora-report", ".lora_checks/report")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tensorboard: tensorboard --logdir" in done.stdout
    for command in [*commands("sh log"), *commands("sh release"), *commands("sh approved")]:
        done = run(command)
        assert done.returncode == (1 if "overfit" in command else 0), command + done.stdout + done.stderr
    assert (tmp_path / "compared" / "compare.html").is_file()
    assert (tmp_path / "my-lora" / "README.md").is_file()


@pytest.mark.parametrize("command", commands("sh gpu"))
def test_commands_for_a_gpu_name_real_options(command: str) -> None:
    program, *rest = command.split()
    helps = run(f"{program} {rest[0]} --help" if program == "lora-checks" else "pytest --help").stdout
    helps += " --junitxml"  # pytest's own, which its help spells --junit-xml
    options = re.findall(r"--[a-z-]+", command)
    assert options or program == "lora-checks"
    assert [option for option in options if option not in helps] == []


def test_what_inspect_prints_is_what_the_readme_shows() -> None:
    (command,) = commands("sh inspect")
    assert run(command).stdout.strip() in README


def test_the_readme_has_the_table_of_kinds_and_families() -> None:
    """Which `test_kinds_by_family.py` measures."""
    assert kind_table.markdown() in README


def test_the_page_of_spellings_has_their_table() -> None:
    """Which `test_spellings.py` measures."""
    assert kind_table.spelling_markdown() in (ROOT / "docs" / "spellings.md").read_text()


def test_the_readme_lists_every_metric() -> None:
    from lora_checks.metrics import BUILTIN

    assert [name for name in BUILTIN if f"`{name}`" not in README] == []


def test_no_placeholder_is_left() -> None:
    assert "@@" not in README
