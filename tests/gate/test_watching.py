"""`lora-checks watch` gates each checkpoint once, when it is finished, whatever happens in between."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from world import MINIATURE, World, environment, made, row

from lora_checks import run_gate
from lora_checks.core.errors import ConfigError
from lora_checks.gate import watching
from lora_checks.gate.watching import Watch, follow
from lora_checks.record import document

ROOT = Path(__file__).parents[2]
RUN = sorted((MINIATURE / "loras" / "run").glob("*.safetensors"))
SAVES_FOUR = """
import pathlib, shutil, sys, time
source, run = map(pathlib.Path, sys.argv[1:])
files = sorted((source / "run").glob("*.safetensors"))
for number, file in enumerate(files[:4]):
    content = file.read_bytes()
    path = run / f"person-{100 * (number + 1):06}.safetensors"
    if number % 2:  # written in place, in two pieces, as torch.save and safetensors do
        with path.open("wb") as out:
            out.write(content[: len(content) // 2]); out.flush(); time.sleep(0.5)
            out.write(content[len(content) // 2 :])
    else:  # written under another name, then renamed
        part = run / f".{path.name}.tmp"
        part.write_bytes(content); part.rename(path)
    time.sleep(0.3)
"""


@pytest.fixture
def policy(world: World, tmp_path: Path) -> Path:
    """One image, and nothing but pixels to measure."""
    return world.write(tmp_path / "policy", row("sound", "flat", "max: 0.5"), 1)


def watch(policy: Path, folder: Path, said: list[str], quiet: float = 0.0) -> Watch:
    """A watch that gates in this process."""
    store = policy.parent / "store"

    def gate(files: Sequence[Path]) -> int:
        return int(not run_gate(files, policy=policy, store=store, device="cpu").passed)

    return Watch(folder, "*.safetensors", quiet, store / "report", gate, said.append)


def names(report: Path) -> set[str]:
    return {lora["name"] for lora in document.read(report)["loras"]}


def test_each_checkpoint_is_gated_once_and_again_by_nobody(policy: Path, tmp_path: Path) -> None:
    folder, said = tmp_path / "runs", list[str]()
    (folder / "deeper").mkdir(parents=True)
    shutil.copy(RUN[0], folder)
    first = watch(policy, folder, said)
    assert first.step()
    assert not first.step()
    shutil.copy(RUN[1], folder / "deeper")
    assert not watch(policy, tmp_path / "policy", said).step()  # a folder without any
    assert first.step()
    assert names(first.report) == {RUN[0].stem, RUN[1].stem}
    assert not watch(policy, folder, said).step()  # a watch that was started again
    assert first.passed()
    assert set(made(tmp_path / "store").values()) == {1}
    assert sum("first of 2 that pass" in line or "are close" in line for line in said) <= 1  # said once


def test_a_file_that_is_still_written_waits_and_one_that_stays_broken_is_named(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, said = tmp_path / "runs", list[str]()
    folder.mkdir()
    content = RUN[0].read_bytes()
    path = folder / "step-0100.safetensors"
    path.write_bytes(content[:-1000])
    patient = watch(policy, folder, said, quiet=30)
    assert not patient.step()  # it changed a moment ago
    os.utime(path, (time.time() - 60, time.time() - 60))
    assert not patient.step()  # quiet, but not whole: it may go on
    assert said == []
    os.utime(path, (time.time() - 600, time.time() - 600))
    assert not patient.step()
    assert not patient.step()
    assert len(said) == 1  # once
    assert "step-0100.safetensors is truncated" in said[0]
    path.write_bytes(content)
    os.utime(path, (time.time() - 60, time.time() - 60))
    monkeypatch.setattr(patient, "gate", lambda files: said.append(f"gates {len(files)}") or 0)
    assert patient.step()
    assert "gates 1" in said


def test_what_is_no_lora_is_left_out_and_said(policy: Path, tmp_path: Path) -> None:
    folder, said = tmp_path / "runs", list[str]()
    folder.mkdir()
    shutil.copy(MINIATURE / "pipeline" / "vae" / "diffusion_pytorch_model.safetensors", folder)
    (folder / ".hidden.safetensors").write_bytes(b"")
    assert not watch(policy, folder, said).step()
    assert len(said) == 1
    assert "left out" in said[0]


def test_it_ends_when_nothing_comes(policy: Path, tmp_path: Path) -> None:
    started = time.monotonic()
    follow(watch(policy, tmp_path / "policy", []), every=0.05, idle=0.2, once=False)
    follow(watch(policy, tmp_path / "policy", []), every=60, idle=None, once=True)
    assert time.monotonic() - started < 30


def test_it_survives_a_kill_while_four_checkpoints_are_saved(policy: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    trainer = subprocess.Popen([sys.executable, "-c", SAVES_FOUR, str(MINIATURE / "loras"), str(folder)])
    command = [sys.executable, "-m", "lora_checks", "watch", "runs", "--policy", str(policy)]
    command += ["--quiet", "0.2", "--every", "0.1"]
    command += ["--args=--lora-device cpu -p no:cacheprovider"]
    env = environment({"PYTHONPATH": str(ROOT)})
    first = subprocess.Popen(
        command, cwd=tmp_path, env=env, stdout=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 240
    while sum(made(tmp_path / ".lora_checks").values()) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert trainer.wait() == 0
    done = subprocess.run(
        [*command, "--once"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = document.read(tmp_path / ".lora_checks" / "report")
    assert {lora["name"] for lora in report["loras"]} == {f"person-{100 * i:06}" for i in range(1, 5)}
    assert [place["lora"] for place in report["ranking"]["leaderboard"] if place["outcome"] == "PASS"]
    assert set(made(tmp_path / ".lora_checks").values()) == {1}


# --- a GPU that a trainer uses -----------------------------------------------------------------------


def test_it_waits_for_the_run_of_a_watch_that_was_killed(policy: Path, tmp_path: Path) -> None:
    """Whose run goes on, holds the report, and then has the checkpoint."""
    run, said = tmp_path / "run", list[str]()
    run.mkdir()
    shutil.copy(RUN[0], run)
    following = watch(policy, run, said)
    following.report.mkdir(parents=True)
    code = (
        "import sys, pathlib; from lora_checks.record.lock import ReportLock; "
        "lock = ReportLock(pathlib.Path(sys.argv[1]), 'a run'); print(lock.take(), flush=True); input()"
    )
    command = [sys.executable, "-c", code, str(following.report)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "True\n"

        def end(text: str) -> None:
            said.append(text)
            if text.startswith("waiting"):
                other.stdin.write("\n")  # type: ignore[union-attr]
                other.stdin.flush()  # type: ignore[union-attr]

        following.say = end
        assert following.step()
    assert said[0].startswith("waiting for another run to end")
    assert said[1].startswith(f"gating {RUN[0].name}; 1 in the report")
    assert len([text for text in said if text.startswith("waiting")]) == 1


def smi(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_it_waits_until_the_trainer_has_left_the_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    counter = tmp_path / "asked"
    smi(
        tmp_path,
        monkeypatch,
        f"echo x >> {counter}; [ $(wc -l < {counter}) -gt 2 ] && echo 20000 || echo 900",
    )
    watching.wait_for_memory(16, 0.01, said.append)
    assert said == ["waiting for 16 GiB of GPU memory; 0.9 GiB are free"]
    assert len(counter.read_text().splitlines()) == 3


def test_without_an_answer_of_nvidia_smi_it_does_not_wait_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi(tmp_path, monkeypatch, 'echo "No devices were found"; exit 6')
    with pytest.raises(ConfigError, match="No devices were found"):
        watching.wait_for_memory(16, 0.01, print)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(ConfigError, match="nvidia-smi is not on this machine"):
        watching.wait_for_memory(16, 0.01, print)
