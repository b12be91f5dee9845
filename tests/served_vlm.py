"""A real `transformers serve` process of a model on disk."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 180  # importing torch and transformers takes most of it


def command(model: str, port: int) -> list[str]:
    """Return `transformers serve MODEL --port PORT`, of this Python."""
    return [sys.executable, "-m", "transformers.cli.transformers", "serve", model, "--port", str(port)]


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Yield the address of a server of that model, in 32 bits on the CPU."""
    port = _free_port()
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    log = folder / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command(str(folder), port), "--host", "127.0.0.1", "--device", "cpu", "--dtype", "float32"],
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(address, process, log)
        yield address
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5) as answer:
                assert json.load(answer) == {"status": "ok"}
                return
        except (OSError, urllib.error.URLError):
            time.sleep(0.2)
    raise AssertionError(f"transformers serve did not start: {log.read_text(errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
