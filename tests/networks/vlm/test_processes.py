"""Processes share a vision model's replies: workers divide the questions, one that is killed loses none."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from judge_world import Answer, Asked, Server, said, serving
from PIL import Image

from lora_checks.core.store import Store, read_lines
from lora_checks.networks.vlm.budget import FILE

PICTURES, AT_ONCE = 24, 2
CODE = """
import sys
from pathlib import Path
from lora_checks.core.records.questions import Question
from lora_checks.core.store import Store
from lora_checks.images.decoding import image_file
from lora_checks.networks import build
from lora_checks.networks.vlm import model
folder, address = Path(sys.argv[1]), sys.argv[2]
model.BATCH = 4
settings = {"kind": "judge", "api": "systemone", "model": "m", "endpoint": address, "concurrency": 2}
judge = build("vlm", settings, "cpu")
question = Question("q", "predicate", "Is it red?")
asked = [model.Asked(question, "Is it red?", (image_file(p),)) for p in sorted(folder.glob("*.png"))]
print(sum(judge.values(asked, Store(folder / "store"))))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for level in range(PICTURES):
        Image.new("RGB", (8, 8), (10 * level, 0, 0)).save(tmp_path / f"{level:02}.png")
    return tmp_path


def slow(asked: Asked) -> Answer:
    time.sleep(0.05)
    return said(asked, 0.75)


def asking(folder: Path, server: Server) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CODE, str(folder), server.address]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_workers_ask_each_question_once(folder: Path) -> None:
    with serving(slow) as server:
        workers = [asking(folder, server), asking(folder, server)]
        told = [worker.communicate(timeout=120) for worker in workers]
    assert [float(out) for out, _ in told] == [0.75 * PICTURES] * 2, told
    assert len(server.asked) == PICTURES
    assert len(read_lines(folder / "store" / FILE)) == PICTURES


def test_a_killed_process_asks_again_only_what_was_under_way(folder: Path) -> None:
    with serving(slow) as server:
        killed = asking(folder, server)
        until = time.monotonic() + 60
        while len(server.asked) < PICTURES // 2 and time.monotonic() < until:
            time.sleep(0.01)
        killed.kill()
        killed.communicate()
        kept = len(list(Store(folder / "store").root.rglob("arrays/**/*.json")))
        before = len(server.asked)
        out, error = asking(folder, server).communicate(timeout=120)
    assert float(out) == 0.75 * PICTURES, error
    assert 0 < kept < PICTURES
    assert len(server.asked) - before == PICTURES - kept
    assert before - kept <= AT_ONCE + 4  # sent when the process ended, and replies that it had not stored
