"""The pages for newcomers say what the code is: the rooms, their order, the places."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()


def drawn() -> list[set[str]]:
    picture = PAGE.split("```text\n")[1].split("```")[0]
    return [set(re.split(r" \| ", line.strip().split("   ")[0])) for line in picture.splitlines()]


def test_the_picture_is_the_contract_of_imports() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contract = project["tool"]["importlinter"]["contracts"][0]
    assert contract["exhaustive"]
    assert drawn() == [set(layer.split(" | ")) for layer in contract["layers"]]


def test_every_room_is_in_the_picture_and_there_are_no_more_than_fourteen() -> None:
    package = ROOT / "lora_checks"
    rooms = {path.name for path in package.iterdir() if (path / "__init__.py").is_file()}
    files = {path.stem for path in package.glob("*.py")} - {"__init__"}
    assert set.union(*drawn()) == rooms | files
    assert len(rooms) <= 14
    assert files == {"plugin", "__main__"}


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_places_that_are_named_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    named = re.findall(r"`((?:lora_checks|tests|docs|examples|benchmarks|[a-z]+)/[\w/.-]*)`", text)
    assert named
    homes = (ROOT, ROOT / "lora_checks")
    missing = [name for name in named if not any((home / name).exists() for home in homes)]
    assert missing == []


def test_the_lanes_are_markers_of_pytest() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    known = {line.partition(":")[0] for line in project["tool"]["pytest"]["ini_options"]["markers"]}
    asked = set(re.findall(r"pytest -m \"?([a-z]+)", CONTRIBUTING)) | {"torch", "simulation", "browser"}
    assert asked <= known
