"""Gates whose store is a bucket: what they say is what they say with a folder, also when the server fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from s3_world import KEY, S3, SECRET, Fault, one_in, proxied
from world import Gate, Run, World, images, judged, made

from lora_checks.core.remote import open_remote
from lora_checks.core.remote.leases import living


def run(gate: Gate, *more: object, **env: str) -> Run:
    return gate("--lora", gate.world.good, "--lora", gate.world.bad, *more, **env)


def at(url: str, cache: Path) -> tuple[object, ...]:
    return ("--lora-store", url, "--lora-store-cache", cache)


def part(cache: Path) -> Path:
    """The folder of this kind of device, which is a store."""
    (found,) = cache.glob("*/*")
    return found


def has_images_of(plain: Run, world: World, cache: Path) -> bool:
    """Return whether a cache has the bytes that the run on a folder left, among those of others."""
    found = images(part(cache))
    return (
        len(found) == plain.report["run"]["made"]["images"] and found.items() <= images(world.store).items()
    )


@pytest.fixture
def plain(first_run: Run) -> Run:
    """The same with a folder."""
    return first_run


@pytest.fixture(scope="module")
def url(s3: S3) -> str:
    return s3.empty()


@pytest.fixture(scope="module")
def first(url: str, s3: S3, world: World, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """While the server fails one request in ten."""
    gate = Gate(tmp_path_factory.mktemp("first"), world)
    with proxied(s3.port) as proxy:
        proxy.fault = one_in(10)
        found = run(gate, *at(url, gate.folder / "cache"), **s3.environment(proxy.port))
        assert proxy.faults.total() > 20
    return found


def test_a_run_on_a_bucket_that_fails_one_request_in_ten_equals_the_local_run(
    plain: Run, first: Run, url: str, s3: S3, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert plain.code == first.code == 1, first.out + first.err
    assert judged(first) == judged(plain)
    cache = first.report_folder.parent / "cache"
    assert has_images_of(plain, world, cache)
    assert set(made(part(cache)).values()) == {1}
    s3.url(monkeypatch)
    remote = open_remote(url)
    there = {
        entry.name.rpartition("/")[2]: remote.get(entry.name)
        for entry in remote.entries()
        if entry.name.endswith(".png")
    }
    assert there == images(part(cache))
    assert first.report["run"]["store_url"].startswith(url)
    assert not list(living(open_remote(first.report["run"]["store_url"])))
    assert not list((part(cache) / "outbox").glob("*"))


def test_no_record_has_a_credential(first: Run) -> None:
    files = [path for path in first.report_folder.parent.rglob("*") if path.is_file()]
    texts = [first.out.encode(), first.err.encode(), *(path.read_bytes() for path in files)]
    assert not any(secret.encode() in text for text in texts for secret in (KEY, SECRET))


def test_another_machine_makes_nothing(plain: Run, first: Run, url: str, s3: S3, gate: Gate) -> None:
    assert first.code == 1
    found = run(gate, *at(url, gate.folder / "cache"), **s3.environment())
    assert judged(found) == judged(plain)
    assert not made(part(gate.folder / "cache"))
    assert found.report["run"]["made"]["images"] == 0


def test_two_workers_make_each_image_once(plain: Run, s3: S3, gate: Gate) -> None:
    found = run(gate, "-n", "2", *at(s3.empty(), gate.folder / "cache"), **s3.environment())
    assert judged(found) == judged(plain)
    counts = made(part(gate.folder / "cache"))
    assert set(counts.values()) == {1}
    assert len(counts) == plain.report["run"]["made"]["images"]


def test_a_server_that_refuses_ends_the_run_before_anything_is_made(s3: S3, gate: Gate) -> None:
    with proxied(s3.port) as proxy:
        proxy.fault = lambda _method, _path: "403"
        found = run(gate, *at(s3.empty(), gate.folder / "cache"), **s3.environment(proxy.port))
    assert found.code == 4
    assert "HTTP 403" in found.err
    assert "docs/how-to/shared-store.md" in found.err
    assert not list(gate.folder.rglob("*.png"))


def test_what_a_dying_server_did_not_take_is_sent_by_the_next_run(plain: Run, s3: S3, gate: Gate) -> None:
    url, cache = s3.empty(), gate.folder / "cache"
    with proxied(s3.port) as proxy:
        proxy.fault = _dead_after(8)
        broken = run(gate, *at(url, cache), **s3.environment(proxy.port))
        assert broken.code == 1
        assert {lora["outcome"] for lora in broken.report["loras"]} == {"ERROR"}
        proxy.fault = lambda _method, _path: ""
        found = run(gate, *at(url, cache), **s3.environment(proxy.port))
    assert judged(found) == judged(plain)
    assert has_images_of(plain, gate.world, cache)


def _dead_after(pictures: int) -> Fault:
    """Refuse every request once so many pictures were stored, for good: nothing waits a minute for it."""
    stored = [0]

    def fault(method: str, path: str) -> str:
        stored[0] += method == "PUT" and path.endswith(".png")
        return "403" if stored[0] > pictures else ""

    return fault
