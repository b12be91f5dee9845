"""A cluster whose store is a bucket: the plain run's images, also when the server fails and workers die."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cluster_world
import pytest
from cluster_world import PROMPTS, OfReferences, clustered, digests, harmed, lora, measuring, opened, values
from s3_world import S3, Proxy, one_in
from world import made

from lora_checks.core.remote import open_remote
from lora_checks.core.remote.leases import living
from lora_checks.core.remote.place import Place
from lora_checks.diffusion.cluster.setup import Setup
from lora_checks.gate.workers import GateWorker
from lora_checks.networks import features


class Elsewhere(GateWorker):
    """Has a cache of its own, as on another machine."""

    def __init__(self, setup: Setup) -> None:
        root = setup.store.root.parents[1] / "elsewhere"
        super().__init__(replace(setup, store=replace(setup.store, root=root)))


@pytest.fixture(autouse=True)
def by_value() -> None:
    """Let workers have the class of this file, which they cannot import."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    cloudpickle.register_pickle_by_value(cluster_world)


@pytest.fixture
def place(s3: S3, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    yield Place(tmp_path / "here", s3.url(monkeypatch, proxy.port), people=tmp_path / "people")
    proxy.fault = lambda _method, _path: ""


def test_workers_on_another_machine_and_a_bucket_that_fails_one_request_in_ten(
    address: str, tmp_path: Path, place: Place, proxy: Proxy, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = values(opened(folder / "plain", folder / "plain" / "store"))
    proxy.fault = one_in(10)
    with measuring(tmp_path, place, address, Elsewhere) as (run, said):
        monkeypatch.setattr(features, "Decoded", OfReferences)
        assert values(run) == plain
        store = run.store
    assert said == []
    proxy.fault = lambda _method, _path: ""
    counts = made(store.root)
    assert set(counts.values()) == {1}
    assert len(list((tmp_path / "elsewhere").rglob("*.png"))) == len(counts)
    remote = open_remote(store.url)
    assert len(list(remote.entries("images"))) == len(counts)
    assert not list(living(remote))


def test_a_worker_that_is_killed_on_another_machine_costs_nothing(
    address: str, tmp_path: Path, place: Place, plain: list[str]
) -> None:
    with clustered(tmp_path, place, address, Elsewhere) as (run, cluster):
        stored = tmp_path / "elsewhere"
        with harmed(cluster, signal.SIGKILL, lambda: any(stored.rglob("*.png"))) as killed:
            assert digests(run, lora()) == plain
        assert killed
        store = run.store
    counts = made(store.root)
    assert set(counts.values()) == {1}
    assert len(counts) == PROMPTS + 1


def test_a_node_without_credentials_is_named(
    address: str, tmp_path: Path, place: Place, proxy: Proxy
) -> None:
    proxy.fault = lambda method, _path: "403" if method == "HEAD" else ""  # what a worker asks first
    with (
        pytest.raises(Exception, match="HTTP 403") as raised,
        clustered(tmp_path, place, address, Elsewhere),
    ):
        pass
    assert place.url in str(raised.value)
