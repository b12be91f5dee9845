"""How much main memory is left, as Linux says it, inside a container and outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_checks.core import memory

MEMINFO = "MemTotal: 24000000 kB\nMemAvailable: 8000000 kB\nSwapFree: 1000000 kB\nHugePages_Free: 0\n"


def asked(monkeypatch: pytest.MonkeyPatch, folder: Path, meminfo: str, **group: str) -> int | None:
    (folder / "meminfo").write_text(meminfo)
    for name, text in group.items():
        (folder / f"memory.{name}").write_text(text)
    monkeypatch.setattr(memory, "PROC", folder)
    monkeypatch.setattr(memory, "CGROUP", folder)
    return memory.available()


def test_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert asked(monkeypatch, tmp_path, MEMINFO) == 9_000_000 * 1024


def test_a_container_may_leave_less(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    group = {"max": "4000000\n", "current": "3500000\n", "stat": "anon 2000000\nfile 1500000\n"}
    assert asked(monkeypatch, tmp_path, MEMINFO, **group) == 2_000_000


def test_a_container_without_a_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    group = {"max": "max\n", "current": "3500000\n", "stat": "file 1500000\n"}
    assert asked(monkeypatch, tmp_path, MEMINFO, **group) == 9_000_000 * 1024


@pytest.mark.parametrize("text", ["", "MemTotal: 1 kB\n", "MemAvailable: many kB\n"])
def test_a_system_that_does_not_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    assert asked(monkeypatch, tmp_path, text) is None


def test_here() -> None:
    left = memory.available()
    assert left is None or left > 1 << 20


@pytest.mark.parametrize(
    ("size", "text"), [(1 << 20, "1.0 MiB"), (6764573491, "6.3 GiB"), (0, "0.0 MiB"), (34 << 30, "34.0 GiB")]
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert memory.gib(size) == text
