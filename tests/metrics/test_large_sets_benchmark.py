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
    ran, waited = bench.scheduled()
    assert ran > 0
    assert waited >= 0
