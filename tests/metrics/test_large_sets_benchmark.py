"""benchmarks/large_sets.py on a few pictures: what it measures is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import load
from lora_checks.images.sets import image_set


def test_measures_a_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench = load("large_sets")
    pattern = tmp_path / "shards" / bench.write_shards(tmp_path / "shards", 40, side=48)
    assert len({image.sha256 for image in image_set("x", pattern).images}) == 40
    bench.child(pattern, tmp_path / "store", tmp_path / "s.npz", 2)
    found = json.loads(capsys.readouterr().out)
    assert (found["images"], found["made"], found["threads"]) == (40, 40, 2)
    assert found["rss_most"] > 0
    assert bench.stored(tmp_path / "store") == 2


def test_a_thread_that_waits_for_others_is_not_at_work() -> None:
    bench = load("large_sets")
    before = {"1": (5.0, 1.0), "2": (1.0, 0.0), "3": (0.0, 0.0)}
    after = {"1": (9.0, 2.0), "2": (1.5, 3.5), "3": (1.0, 0.0), "4": (0.0, 0.0)}  # in 5 seconds
    found = bench.at_work(before, after, 5.0, 2)
    assert found["own"] == [1.0, 0.2, 0.333]
    assert (found["busy"], found["wanted"]) == pytest.approx((1.1, 2.0))
    assert found["at_work"] == pytest.approx(0.6)
    now = bench.scheduled()
    assert sum(ran for ran, _ in now.values()) > 0
    assert all(waited >= 0 for _, waited in now.values())
