"""What `--lora` arguments name, and how the files are called."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from lora_checks.core.errors import ConfigError
from lora_checks.lora.file import find_loras, lora_names


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ["good", "step-10", "step-9", "odd[1]"]:
        (tmp_path / f"{name}.safetensors").touch()
    for folder in ["run", "checkpoints/step-1", "checkpoints/step-2", "empty"]:
        (tmp_path / folder).mkdir(parents=True)
    for name in ["b2", "b10", ".hidden"]:
        (tmp_path / "run" / f"{name}.safetensors").touch()
    (tmp_path / "run" / "log.txt").touch()
    for step in (1, 2):
        (tmp_path / f"checkpoints/step-{step}/lora.safetensors").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["good.safetensors"], ["good"]),
        (["run"], ["run/b2", "run/b10"]),
        (["step-*.safetensors"], ["step-9", "step-10"]),
        (["run/*"], ["run/b2", "run/b10"]),
        (["**/lora.safetensors"], ["checkpoints/step-1/lora", "checkpoints/step-2/lora"]),
        (["odd[1].safetensors"], ["odd[1]"]),
        (["step-9.safetensors", "good.safetensors", "step-*"], ["step-9", "good", "step-10"]),
        (["./good.safetensors", "run/../good.safetensors"], ["good"]),
    ],
)
def test_files_directories_and_patterns(root: Path, arguments: list[str], found: list[str]) -> None:
    paths = find_loras(arguments, root)
    assert [os.path.relpath(path, root) for path in paths] == [f"{name}.safetensors" for name in found]


def test_two_names_of_one_file_are_one_lora(root: Path) -> None:
    (root / "latest.safetensors").symlink_to("good.safetensors")
    assert len(find_loras(["latest.safetensors", "good.safetensors"], root)) == 1


def test_a_dangling_link_is_left_to_inspection(root: Path) -> None:
    (root / "latest.safetensors").symlink_to("gone.safetensors")
    assert find_loras(["latest.safetensors"], root) == (root / "latest.safetensors",)


def test_a_pattern_of_other_files_is_left_to_inspection(root: Path) -> None:
    assert find_loras(["run/*.txt"], root) == (root / "run/log.txt",)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("god.safetensors", "god.safetensors does not exist; did you mean 'good.safetensors'?"),
        ("zzz", "zzz does not exist"),
        ("nowhere/good.safetensors", "does not exist, nor does its folder"),
        ("empty", "empty has no *.safetensors file, it holds: nothing"),
        ("checkpoints", "it holds: step-1/, step-2/; for its subfolders write"),
        ("x*.safetensors", "no file matches 'x*.safetensors'"),
        ("", "the argument is empty"),
        ("~nobody-here/x", "does not exist, nor does its folder"),
        ("x" * 300, "File name too long"),
    ],
)
def test_an_argument_that_names_nothing_is_an_error(root: Path, argument: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^--lora: .*{re.escape(message)}"):
        find_loras([argument], root)


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        ([], ()),
        (["/r/a.safetensors", "/r/b.v1.2.safetensors"], ("a", "b.v1.2")),
        (["/r/s-1/lora.safetensors", "/r/s-2/lora.safetensors", "/r/c.st"], ("s-1-lora", "s-2-lora", "c")),
        (["/r/Lora.safetensors", "/q/lora.safetensors"], ("r-Lora", "q-lora")),
        (["/a/r/x.safetensors", "/b/r/x.safetensors"], ("a-r-x", "b-r-x")),
        (["/x.safetensors", "/a/x.safetensors"], ("x", "a-x")),
        (["/r/a.safetensors", "/r/a.pt"], ("r-a-1", "r-a-2")),
    ],
)
def test_names_are_unique_within_a_run(paths: list[str], names: tuple[str, ...]) -> None:
    assert lora_names([Path(path) for path in paths]) == names
