"""`[tool.lora_checks]` of pyproject.toml."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from world import MINIATURE, Gate, World, row

from lora_checks import run_gate
from lora_checks.__main__ import main
from lora_checks.core import project
from lora_checks.core.errors import ConfigError


def write(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(text)
    return folder


def test_the_nearest_table_counts_and_its_paths_begin_at_its_file(tmp_path: Path) -> None:
    write(tmp_path, '[tool.lora_checks]\npolicy = "gate"\nstore = "/data/store"\nbase = "owner/name"\n')
    inner = write(tmp_path / "a" / "b", "[tool.ruff]\nline-length = 100\n")
    found = project.find(inner)
    assert found == project.Project(str(tmp_path / "gate"), "/data/store", "owner/name")
    (tmp_path / "base").mkdir()
    write(tmp_path / "a", '[tool.lora_checks]\nbase = "../base"\n')
    assert project.find(inner) == project.Project(base=str(tmp_path / "a" / "../base"))
    assert project.find(tmp_path.parent) == project.Project()


def test_what_the_command_says_counts_more(tmp_path: Path) -> None:
    write(tmp_path, '[tool.lora_checks]\npolicy = "gate"\nstore = "kept"\n')
    option = SimpleNamespace(lora_policy="mine", lora_store=None, lora_base=None)
    project.find(tmp_path).complete(option, "lora_")
    assert vars(option) == {"lora_policy": "mine", "lora_store": str(tmp_path / "kept"), "lora_base": None}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[tool.lora_checks]\npolice = "gate"\n', "tool.lora_checks.police: unknown key"),
        ("[tool.lora_checks]\npolicy = 3\n", "tool.lora_checks.policy: must be text"),
        ('[tool.lora_checks]\nstore = ""\n', "tool.lora_checks.store: must be text"),
        ("tool.lora_checks = 3\n", "must be a table"),
    ],
)
def test_a_wrong_table_is_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        project.find(write(tmp_path, text))


def test_a_file_that_is_no_toml_is_not_ours_to_name(tmp_path: Path) -> None:
    assert project.find(write(tmp_path, "lora_checks = [")) == project.Project()


@pytest.fixture
def mine(world: World, tmp_path: Path) -> Path:
    world.write(tmp_path / "gate", row("sound", "flat", "max: 0.5"), 1)
    return write(tmp_path, '[tool.lora_checks]\npolicy = "gate"\nstore = "kept"\n')


def test_pytest_the_commands_and_the_function_take_it(
    mine: Path, world: World, gate: Gate, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gate.folder == mine
    done = gate.pytest("--lora", world.good)
    assert done.code == 0, done.out + done.err
    assert (gate.folder / "kept" / "report" / "report.json").is_file()
    wrong = gate.pytest("--lora", world.good, "--lora-seeds", "none")  # ends before the policy is read
    assert wrong.code == 4
    assert not (gate.folder / "kept" / "report" / "report.json").exists()
    monkeypatch.chdir(gate.folder)
    assert run_gate(world.good, device="cpu").report == gate.folder / "kept" / "report" / "report.json"
    assert main(["check", "--lora", str(world.good)]) == 0
    assert "all made before" in capsys.readouterr().out
    assert main(["check", "--policy", str(MINIATURE)]) == 0
    assert main(["store", "size"]) == 0
    assert "kept" in capsys.readouterr().out
