"""A cluster of two nodes loses one: what its worker was to make is made by the other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_world import clustered, digests, lora, whole

from lora_checks.diffusion.cluster.ray_client import ENVIRONMENT

TWO_NODES = """
import sys
from ray.cluster_utils import Cluster
one = {"num_cpus": 1, "object_store_memory": 100 << 20, "include_dashboard": False}
cluster = Cluster(initialize_head=True, head_node_args=one)
second = cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
print(cluster.address, flush=True)
sys.stdin.readline()
cluster.remove_node(second, allow_graceful=False)
print("lost", flush=True)
sys.stdin.read()
cluster.shutdown()
"""
TOKEN = "of-these-tests" * 3


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**ENVIRONMENT, "RAY_AUTH_TOKEN": TOKEN}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def holder() -> Iterator[subprocess.Popen[str]]:
    """A process that holds the two nodes, and kills one of them when it reads a line."""
    holder = subprocess.Popen(
        [sys.executable, "-c", TWO_NODES],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ,
    )
    yield holder
    holder.communicate("")


def _line(holder: subprocess.Popen[str], start: str) -> str:
    """Return the holder's next line that begins so."""
    assert holder.stdout is not None
    return next(line for line in map(str.strip, holder.stdout) if line.startswith(start))


def test_the_work_of_a_lost_node_is_done_by_the_other(
    holder: subprocess.Popen[str], tmp_path: Path, plain: list[str]
) -> None:
    store = tmp_path / "store"

    with clustered(tmp_path, store, _line(holder, "127.0.0.1:")) as (run, cluster):
        assert cluster.crew is not None
        assert holder.stdin is not None
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert _line(holder, "lost")
        assert digests(run, lora()) == plain
        assert len(cluster.crew.nodes) == 1  # the other place waits for a node
    assert whole(store)
