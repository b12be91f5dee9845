"""Many files by one name: braces, wildcards, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_checks.core.errors import ConfigError
from lora_checks.core.shards import expanded, holds_pictures


def _made(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


def test_braces_count_with_their_width(tmp_path: Path) -> None:
    _made(tmp_path, "00008.tar", "00009.tar", "00010.tar", "00011.tar")
    found = expanded(tmp_path / "{00008..00010}.tar")
    assert [path.name for path in found] == ["00008.tar", "00009.tar", "00010.tar"]


def test_braces_choose_and_nest_with_wildcards(tmp_path: Path) -> None:
    _made(tmp_path, "b-1.tar", "a-2.tar", "a-1.tar", "c-1.tar")
    found = expanded(tmp_path / "{b,a}-*.tar")
    assert [path.name for path in found] == ["b-1.tar", "a-1.tar", "a-2.tar"]


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    _made(tmp_path, "0.tar", "2.tar")
    with pytest.raises(ConfigError, match=r"1\.tar is not a file"):
        expanded(tmp_path / "{0..2}.tar")


def test_wildcards_that_match_nothing_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no file matches .*x-\*\.tar"):
        expanded(tmp_path / "x-*.tar")


def test_a_shard_is_not_counted_twice(tmp_path: Path) -> None:
    _made(tmp_path, "0.tar", "1.tar")
    with pytest.raises(ConfigError, match=r"names .*0\.tar twice"):
        expanded(tmp_path / "{0,1,0}.tar")


def test_numbers_count_upwards(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\{3\.\.1\}: count from the lower number"):
        expanded(tmp_path / "{3..1}.tar")


def test_a_file_whose_name_has_braces_is_that_file(tmp_path: Path) -> None:
    _made(tmp_path, "{a,b}.tar")
    assert expanded(tmp_path / "{a,b}.tar") == (tmp_path / "{a,b}.tar",)


@pytest.mark.parametrize(
    ("name", "held"), [("x-*.tar", True), ("a.tar", True), ("b.tar", False), ("a.txt", False)]
)
def test_tells_files_of_pictures_from_others(name: str, held: bool, tmp_path: Path) -> None:
    _made(tmp_path, "a.tar", "a.txt")
    assert holds_pictures(tmp_path / name) == held
