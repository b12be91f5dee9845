"""One Ray cluster on this machine for all tests of this folder: two places of one core each."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from cluster_world import digests, lora, opened
from s3_world import S3, Proxy, proxied

from lora_checks.diffusion.cluster.ray_client import ENVIRONMENT

START = """
import sys, time, ray
context = ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=100 << 20,
                   log_to_driver=False, configure_logging=False)
print(context.address_info["gcs_address"], flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="session")
def proxy(s3: S3) -> Iterator[Proxy]:
    """Between the cluster's nodes and the bucket."""
    with proxied(s3.port) as server:
        yield server


@pytest.fixture(scope="session")
def address(s3: S3, proxy: Proxy) -> Iterator[str]:
    """HOST:PORT of the cluster. A process of its own holds it, which ends it with its standard input.

    Its nodes have credentials for the bucket, as nodes of a cluster have them: not from the driver.
    """
    if find_spec("ray") is None:
        pytest.skip("needs the package ray: pip install 'lora-checks[ray]'")
    os.environ.update(ENVIRONMENT)  # before Ray is imported, which reads it then
    os.environ["RAY_AUTH_TOKEN"] = "of-these-tests" * 3
    holder = subprocess.Popen(
        [sys.executable, "-c", START],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | s3.environment(proxy.port),
    )
    assert holder.stdout is not None
    yield holder.stdout.readline().strip()
    holder.communicate("")


@pytest.fixture
def node() -> str:
    """The name of this machine in messages."""
    return socket.gethostname()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="session")
def plain(folder: Path) -> list[str]:
    """Digests of the images that a single process makes."""
    return digests(opened(folder / "plain", folder / "plain" / "store"), lora())
