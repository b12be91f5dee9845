"""A run on a cluster says what a run in one process says, and leaves the same images."""

from __future__ import annotations

import pytest
from s3_world import S3, Proxy, one_in
from world import Gate, Run, World, images, judged, made

BATCH = ("--lora-batch-size", "2")


@pytest.fixture(scope="module")
def alone(world: World, tmp_path_factory: pytest.TempPathFactory) -> Gate:
    return Gate(tmp_path_factory.mktemp("alone"), world)


@pytest.fixture(scope="module")
def spread(world: World, tmp_path_factory: pytest.TempPathFactory) -> Gate:
    return Gate(tmp_path_factory.mktemp("spread"), world)


def run(gate: Gate, store: str, *more: object, **env: str) -> Run:
    world = gate.world
    return gate(
        *("--lora", world.good, "--lora", world.bad, *BATCH, *more),
        *(("--lora-store", gate.folder / store) if store else ()),
        **env,
    )


def test_the_sweep_equals_the_plain_run(address: str, alone: Gate, spread: Gate) -> None:
    plain = run(alone, "store")
    found = run(spread, "store", *on(address), RAY_AUTH_TOKEN=TOKEN)
    assert plain.code == found.code == 1, found.out + found.err
    assert judged(found) == judged(plain)
    assert [node["workers"] for node in found.report["run"]["cluster"]["nodes"]] == [2]
    assert "cluster" not in plain.report["run"]
    assert set(made(spread.folder / "store").values()) == {1}
    assert images(spread.folder / "store") == images(alone.folder / "store")
    assert not list(spread.folder.glob("store/locks/*"))


def test_the_sweep_on_a_bucket_that_fails_one_request_in_ten(
    address: str, alone: Gate, spread: Gate, s3: S3, proxy: Proxy
) -> None:
    plain = run(alone, "store")
    proxy.fault = one_in(10)
    where = ("--lora-store", s3.empty(), "--lora-store-cache", spread.folder / "cache")
    found = run(spread, "", *where, *on(address), RAY_AUTH_TOKEN=TOKEN, **s3.environment(proxy.port))
    proxy.fault = lambda _method, _path: ""
    assert plain.code == found.code == 1, found.out + found.err
    assert judged(found) == judged(plain)
    (store,) = spread.folder.glob("cache/*/*")
    assert images(store) == images(alone.folder / "store")
    assert set(made(store).values()) == {1}
    assert proxy.faults.total() > 20


def test_a_lora_that_is_decided_early_gets_no_more(address: str, alone: Gate, spread: Gate) -> None:
    plain = run(alone, "decided", "--lora-until-decided", "24")
    found = run(spread, "decided", "--lora-until-decided", "24", *on(address), RAY_AUTH_TOKEN=TOKEN)
    assert plain.code == found.code == 1, found.out + found.err
    assert judged(found) == judged(plain)
    of_plain, of_cluster = (images(gate.folder / "decided") for gate in (alone, spread))
    assert of_plain.items() <= of_cluster.items()  # workers begin what may be asked for
    assert len(of_cluster) < 2 * 24


def test_the_workers_of_xdist_have_no_cluster(spread: Gate) -> None:
    found = run(spread, "store", "--lora-cluster", "auto", "-n", "2")
    assert found.code == 4
    assert "--lora-cluster has workers of its own: leave out -n" in found.out + found.err


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("--lora-cluster", "10.0.0.1"), "'10.0.0.1' names no cluster; use auto, local, HOST:PORT"),
        (("--lora-cluster", "auto", "--lora-cluster-workers", "0"), "workers must be 1 or more"),
        (("--lora-cluster", "auto", "--lora-cluster-timeout", "0"), "must be more than 0 seconds"),
        (("--lora-cluster", "auto", "--lora-compile"), "its workers do not compile"),
        (("--lora-cluster-workers", "2"), "is for --lora-cluster: say which cluster"),
    ],
)
def test_an_option_that_makes_no_sense_ends_the_run_at_once(
    spread: Gate, given: tuple[str, ...], says: str
) -> None:
    found = run(spread, "never", *given)
    assert found.code == 4
    assert says in " ".join((found.out + found.err).split())
    assert not (spread.folder / "never" / "images").exists()


def test_a_cluster_that_is_not_there_is_named_at_once(spread: Gate) -> None:
    found = run(spread, "store", "--lora-cluster", "127.0.0.1:1")
    assert found.code == 4
    assert "--lora-cluster 127.0.0.1:1: nothing answers there" in found.out + found.err


def on(address: str) -> tuple[str, ...]:
    return ("--lora-cluster", address, "--lora-cluster-workers", "2")


TOKEN = "of-these-tests" * 3
