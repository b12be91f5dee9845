"""Names that packages and files add: looked up late, never two for one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from small_package import install

from lora_checks.core.errors import ConfigError
from lora_checks.core.extensions import ExtensionPoint, load_file

GROUP = "lora_checks.toys"


def point() -> ExtensionPoint:
    return ExtensionPoint(GROUP, "toy", {"ball"})


def add(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, line: str) -> None:
    monkeypatch.syspath_prepend(install(folder, name, "1.0", "it = 5\n", {GROUP: line}))


def test_a_name_of_a_package_is_imported_when_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(tmp_path, monkeypatch, "toys_a", "kite = toys_a:it")
    toys = point()
    assert toys.names() == ["kite"]
    kite = toys.get("kite")
    assert kite is not None
    assert (kite.source, kite.version) == ("toys_a 1.0", "toys_a-1.0")
    assert "toys_a" not in sys.modules
    assert kite.load() == 5
    assert toys.get("doll") is None


def test_one_name_in_two_packages_or_in_the_gate_names_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(tmp_path, monkeypatch, "toys_b", "kite = toys_b:it\nball = toys_b:it")
    add(tmp_path, monkeypatch, "toys_c", "kite = toys_c:it")
    with pytest.raises(ConfigError, match=r"toy 'kite' is in both toys_[bc] 1.0 and toys_[bc] 1.0"):
        point().get("kite")
    with pytest.raises(ConfigError, match=r"toy 'ball' is in both lora-checks \S+ and toys_b 1.0"):
        point().get("ball")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("kite = toys_d:that", "cannot be imported from toys_d:that: AttributeError"),
        ("kite = nowhere:it", "cannot be imported from nowhere:it: ModuleNotFoundError"),
    ],
)
def test_what_cannot_be_imported_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, message: str
) -> None:
    add(tmp_path, monkeypatch, "toys_d", line)
    kite = point().get("kite")
    assert kite is not None
    with pytest.raises(ConfigError, match=f"toy 'kite' of toys_d 1.0 {message}"):
        kite.load()


def test_a_file_declares_it_and_another_file_cannot(tmp_path: Path) -> None:
    toys = point()
    declare = compile("def add(toys, name): toys.declare(name)(name)", str(tmp_path / "conftest.py"), "exec")
    space: dict[str, object] = {}
    exec(declare, space)
    add_from_file = space["add"]
    assert callable(add_from_file)
    add_from_file(toys, "kite")
    kite = toys.get("kite")
    assert kite is not None
    assert (kite.file, kite.version) == (str(tmp_path / "conftest.py"), "")
    add_from_file(toys, "kite")  # pytest and a command may both import one file
    with pytest.raises(ConfigError, match=r"toy 'kite' is declared in .*conftest.py and in .*; rename one"):
        toys.declare("kite")
    with pytest.raises(ConfigError, match="'a,b' cannot name this toy"):
        toys.declare("a,b")


def test_a_file_that_cannot_be_run_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a Python file"):
        load_file(tmp_path / "conftest.py")
    (tmp_path / "conftest.py").write_text("raise RuntimeError('not today')\n")
    with pytest.raises(ConfigError, match=r"conftest.py: RuntimeError: not today"):
        load_file(tmp_path / "conftest.py")
