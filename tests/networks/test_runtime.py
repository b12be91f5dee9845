"""ONNX Runtime is started in one way, by `networks.runtime`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from world import MINIATURE

OPENED = """
from pathlib import Path
from lora_checks.networks.runtime import open_session
open_session("arcface", Path({network!r}), "cpu")
"""


def test_it_tells_nobody_that_it_was_used(tmp_path: Path) -> None:
    network = next(MINIATURE.glob("evaluators/faces/models/*/*.onnx"))
    of_its_own = {name: str(tmp_path) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME")}
    clean = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    code = OPENED.format(network=str(network))
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=clean | of_its_own)
    assert list(tmp_path.rglob("*")) == []  # the uploader's device identifier and queue would be here


def test_every_network_starts_it_there() -> None:
    folder = MINIATURE.parents[1] / "lora_checks"
    users = [
        path
        for path in folder.rglob("*.py")
        if any(
            f"{word} {name}" in path.read_text()
            for word in ("import", "from")
            for name in ("onnxruntime", "insightface")
        )
    ]
    others = [path for path in users if path.name != "runtime.py"]
    assert len(others) >= 3
    assert all("lora_checks.networks.runtime import" in path.read_text() for path in others)
