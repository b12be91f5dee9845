"""A bar on a terminal, a line every 10 % elsewhere, silence where there is nothing to do."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lora_checks.core.progress import Progress


def run(total: int, steps: list[int], interactive: bool, seconds: float = 1.0) -> str:
    """What is written when each step takes so long."""
    written: list[str] = []
    now = 0.0
    with Progress(total, "generating overfit", written.append, interactive, clock=lambda: now) as bar:
        for step in steps:
            now += seconds
            bar.advance(step)
    return "".join(written)


def test_ci_gets_a_line_at_the_start_and_every_ten_percent() -> None:
    found = run(100, [1] * 100, interactive=False).strip().splitlines()
    assert len(found) == 11
    assert found[0] == "generating overfit: 0 of 100 images"
    assert found[1].startswith("generating overfit: 10 of 100 images, ")


def test_a_line_has_rate_and_time_left() -> None:
    found = run(32, [16, 16], interactive=False, seconds=8.0).strip().splitlines()
    assert found[1:] == [
        "generating overfit: 16 of 32 images, 2.0/s, 8 s left",
        "generating overfit: 32 of 32 images, 2.0/s, took 16 s",
    ]


@pytest.mark.parametrize(
    ("seconds", "left"), [(60.0, "60 s left"), (600.0, "10 min left"), (7200.0, "2 h 0 min left")]
)
def test_long_waits_are_said_in_minutes(seconds: float, left: str) -> None:
    assert left in run(20, [10], interactive=False, seconds=seconds)


def test_a_quick_job_says_little() -> None:
    found = run(100, [1] * 100, interactive=False, seconds=0.02).strip().splitlines()
    assert len(found) == 3  # start, after a second, end


def test_fewer_than_ten_images_get_a_line_each() -> None:
    assert len(run(3, [1, 1, 1], interactive=False).strip().splitlines()) == 4


def test_a_terminal_gets_one_line_that_is_redrawn() -> None:
    found = run(32, [8] * 4, interactive=True)
    assert found.startswith("\n\r")
    assert found.endswith("\n")
    assert found.strip().count("\n") == 0
    last = found.rstrip().rsplit("\r", 1)[1]
    assert last.startswith("generating overfit: 32 of 32 images |#")
    assert "/s" in last


def test_a_bar_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    assert max(len(part) for part in run(32, [8] * 4, interactive=True).strip().split("\r")) < 70


@pytest.mark.parametrize("interactive", [True, False])
def test_nothing_to_do_is_silent(interactive: bool) -> None:
    assert run(0, [0], interactive) == ""


@pytest.mark.parametrize("interactive", [True, False])
def test_an_error_inside_leaves_a_finished_line(interactive: bool) -> None:
    written: list[str] = []
    with pytest.raises(RuntimeError), Progress(4, "measuring", written.append, interactive) as bar:  # noqa: PT012
        bar.advance()
        raise RuntimeError
    assert "".join(written).endswith("\n")


def test_control_characters_in_a_name_are_not_written() -> None:
    written: list[str] = []
    with Progress(4, "generating \x1b[31m", written.append, interactive=False):
        pass
    assert "\x1b" not in "".join(written)


def test_tqdm_is_imported_only_for_a_bar() -> None:
    code = "import sys, lora_checks.core.progress; sys.exit('tqdm' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
