"""The benchmark against other libraries runs whole, and they give the numbers that they should."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import benchmarks

MISSING = [name for name in ("cleanfid", "torch_fidelity", "torchmetrics") if find_spec(name) is None]
SAME = [
    ("lpips", "lpips' script"),
    ("lpips", "torchmetrics"),
    ("fid", "pytorch-fid"),
    ("clean-fid", "clean-fid"),
]


@pytest.mark.skipif(
    bool(MISSING), reason=f"needs {', '.join(MISSING)}: pip install 'lora-checks[benchmarks]'"
)
def test_all_sides_measure_the_same_pictures(tmp_path: Path) -> None:
    """In a process of its own: the script binds itself to one core."""
    out, script = tmp_path / "peers.json", benchmarks.FOLDER / "peers.py"
    subprocess.run([sys.executable, script, "--tiny", "--out", out], check=True, capture_output=True)
    figures = json.loads(out.read_text())
    values = {(figure["metric"], figure["side"]): figure["value"] for figure in figures}
    assert len(values) == len(figures) == 14
    assert all(figure["cpu"] > 0 and figure["wall"] > 0 for figure in figures)
    for metric, side in [*SAME, ("clip_score", "open_clip's script")]:
        assert values[metric, side] == pytest.approx(values[metric, "lora_checks"], rel=1e-4)
