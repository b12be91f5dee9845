"""Every command of docs/release.md and docs/approval.md runs, in the order in which it stands there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from world import environment, run_line

ROOT = Path(__file__).parents[2]
RELEASE, APPROVAL = (ROOT / "docs" / name for name in ("release.md", "approval.md"))


def fences(path: Path) -> list[tuple[str, str]]:
    """Info string and content of each fence."""
    found = re.findall(r"^ *```([^\n]*)\n(.*?)^ *```", path.read_text(encoding="utf-8"), re.M | re.S)
    return [(kind, "\n".join(line.strip() for line in text.splitlines())) for kind, text in found]


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory, miniature_store: Path) -> dict[str, tuple[int, str]]:
    """What each command of the page ended with and printed, run by a shell in a folder with the examples."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "examples").symlink_to(ROOT / "examples")
    found: dict[str, tuple[int, str]] = {}
    for kind, text in fences(RELEASE):
        if kind not in ("sh", "sh refused"):
            continue
        for line in text.splitlines():
            done = _ran(line, folder, miniature_store)
            found[line] = (done.returncode, done.stdout + done.stderr)
    return found


def _ran(line: str, folder: Path, store: Path) -> subprocess.CompletedProcess[str]:
    if re.fullmatch(r"(pytest|lora-checks) [^|&;<>$]*", line):  # without a shell's own signs
        more = ("--lora-store", store) if line.startswith("pytest") else ()
        return run_line(line, *more, folder=folder)
    return subprocess.run(
        ["bash", "-euc", line], cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )


def test_the_commands_of_the_page_end_as_it_says(printed: dict[str, tuple[int, str]]) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    refused = {line for kind, text in fences(RELEASE) for line in text.splitlines() if kind == "sh refused"}
    assert len(printed) >= 7
    for line, (status, out) in printed.items():
        assert status == (1 if line in refused else 0), f"{line}\n{out}"


def test_the_page_shows_what_they_print(printed: dict[str, tuple[int, str]]) -> None:
    out = "\n".join(text for _, text in printed.values())
    shown = [line for kind, text in fences(RELEASE) if kind == "console" for line in text.splitlines()]
    assert len(shown) >= 4
    assert [line for line in shown if line not in out] == []


@pytest.mark.parametrize("path", [RELEASE, APPROVAL], ids=lambda path: path.name)
def test_commands_for_elsewhere_name_real_options(path: Path) -> None:
    for line in [line for kind, text in fences(path) if kind == "sh gpu" for line in text.splitlines()]:
        program, command, *_ = line.split()
        assert program == "lora-checks"
        helped = subprocess.run(
            [sys.executable, "-m", "lora_checks", command, "--help"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert [option for option in re.findall(r"--[a-z-]+", line) if option not in helped.stdout] == []


def test_the_calling_workflow_passes_only_what_the_gate_takes() -> None:
    (text,) = [text for kind, text in fences_unstripped(RELEASE) if kind == "yaml"]
    called = yaml.safe_load(text)["jobs"]["gate"]
    gate = yaml.load((ROOT / ".github/workflows/release-gate.yml").read_text(), yaml.BaseLoader)
    takes = gate["on"]["workflow_call"]
    assert set(called["with"]) <= set(takes["inputs"])
    assert set(called["secrets"]) <= set(takes["secrets"])
    required = {name for name, entry in takes["inputs"].items() if entry.get("required") == "true"}
    assert required <= set(called["with"])


def fences_unstripped(path: Path) -> list[tuple[str, str]]:
    return re.findall(r"^```([^\n]*)\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)


def test_sentences_of_the_table_are_those_that_verify_says() -> None:
    """The page's table of refusals has no sentence that the code does not, up to what it fills in."""
    code = "".join(path.read_text() for path in (ROOT / "lora_checks" / "publish" / "release").glob("*.py"))
    code += (ROOT / "tests" / "data" / "attestations" / "expected.json").read_text()
    code = code.replace("{REPORT}", "report.json")
    table = RELEASE.read_text().split("## What a refusal says")[1].split("## ")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    phrases = [text.strip(" .:") for cell in cells for text in re.findall(r"`([^`]+)`", cell)]
    assert len(phrases) >= 15
    for phrase in phrases:
        parts = re.split(r" \d[\d.]*|\.\.\.| N | \(.*?\)|'\w+'|thresholds", phrase)
        missing = [part.strip(" ,") for part in parts if part.strip(" ,") and part.strip(" ,") not in code]
        assert missing == [], phrase
