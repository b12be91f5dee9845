"""Outputs that a package or a conftest.py adds: they can fail, and change nothing of the gate's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lora_checks import ConfigError, output
from lora_checks.report import custom
from lora_checks.report.outputs import verdicts

REPORT = "report.json"
DOCUMENT: dict[str, Any] = {"outcome": "FAIL", "loras": []}


@pytest.fixture(autouse=True)
def undeclared() -> Iterator[None]:
    """Remove what a test declares."""
    yield
    custom.EXTENSIONS._declared.clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / REPORT).write_text("the report")
    return tmp_path


def write(folder: Path, function: Callable[[Any, Path], Any]) -> custom.Written:
    output("badge")(function)
    return custom.write(DOCUMENT, folder, [REPORT])


def test_what_it_wrote_is_listed_and_goes_with_the_verdict(folder: Path) -> None:
    def badge(_: Any, place: Path) -> Iterator[Path]:
        (place / "more").mkdir()
        for name in ("badge.txt", "more/badge.svg"):
            (place / name).write_text("PASS")
            yield place / name

    written = write(folder, badge)
    assert written.troubles == []
    assert [path.name for path in written.paths] == ["badge.txt", "badge.svg"]
    assert {folder / "badge.txt", folder / "more" / "badge.svg"} < set(verdicts(folder))


@pytest.mark.parametrize(
    "list_", ['{"files": ["../x", "/etc/passwd"]}', "[]", "{", '{"files": 5}', '{"files": ["\\u0000"]}']
)
def test_a_list_from_elsewhere_leads_nowhere(folder: Path, list_: str) -> None:
    (folder.parent / "x").write_text("not ours")
    (folder / custom.LIST).write_text(list_)
    assert custom.earlier(folder) == [folder / custom.LIST]


def test_it_gets_a_copy(folder: Path) -> None:
    def badge(document: Any, _: Path) -> list[Path]:
        document["outcome"] = "PASS"
        document["loras"].append("another")
        return []

    assert write(folder, badge) == custom.Written()
    assert DOCUMENT == {"outcome": "FAIL", "loras": []}


def fails(_: Any, __: Path) -> Any:
    raise RuntimeError("offline\nand more")


def leaves(_: Any, __: Path) -> Any:
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (fails, "output 'badge': RuntimeError: offline"),
        (leaves, "output 'badge': SystemExit: 3"),
        (lambda _, __: 5, "output 'badge': TypeError: 'int' object is not iterable"),
        (lambda _, __: [5], "output 'badge': TypeError: it returned something other than the paths"),
        (lambda _, place: (place / REPORT).unlink() or [], "put back; let it write a file of its own"),
        (lambda _, place: [(place / REPORT).write_text("x")][:0], "put back; let it write a file of its own"),
    ],
)
def test_its_failure_is_a_line_and_the_report_is_whole(
    folder: Path, function: Callable[[Any, Path], Any], message: str
) -> None:
    written = write(folder, function)
    (line,) = written.troubles
    assert message in line
    assert "\n" not in line
    assert (folder / REPORT).read_text() == "the report"


def test_one_that_fails_does_not_stop_the_next(folder: Path) -> None:
    output("a")(fails)
    output("b")(lambda _, place: place / REPORT)
    written = custom.write(DOCUMENT, folder, [])
    assert (len(written.troubles), len(written.paths)) == (1, 1)
    assert json.loads((folder / custom.LIST).read_text()) == {"files": [REPORT]}


def test_a_name_of_the_gate_s_own_cannot_be_declared() -> None:
    with pytest.raises(ConfigError, match=r"output 'html' is declared in .*, but lora-checks .* has one"):
        output("html")
