"""Two machines, each with a cache of its own, and one store between them."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from s3_world import S3, one_in, proxied

from lora_checks.core import png_chunks, seals
from lora_checks.core.errors import StoreError
from lora_checks.core.filling import silent
from lora_checks.core.remote import mirror, open_remote, retries, shared
from lora_checks.core.remote.cache import trim
from lora_checks.core.remote.leases import Leases, living
from lora_checks.core.remote.place import Place
from lora_checks.core.remote.retries import Patience
from lora_checks.core.remote.shared import SharedStore
from lora_checks.core.remote.sound import is_sound
from lora_checks.core.store import read_array, read_bytes, read_lines, to_npy

HASTY = Patience(attempts=6, first=0.001, longest=0.01, timeout=5)
Machine = Callable[..., SharedStore]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "open_remote", lambda url, *_: open_remote(url, HASTY))
    monkeypatch.setattr(mirror, "AGAIN_SECONDS", 0.01)


@pytest.fixture(params=["s3", "file"])
def url(request: pytest.FixtureRequest, tmp_path: Path, s3: S3, monkeypatch: pytest.MonkeyPatch) -> str:
    return s3.url(monkeypatch) if request.param == "s3" else f"file://{tmp_path}/nfs"


@pytest.fixture
def machine(url: str, tmp_path: Path) -> Machine:
    def opened(name: str, limit: int | None = None) -> SharedStore:
        store = Place(tmp_path / name, url, limit, tmp_path / name / "people").open()
        assert isinstance(store, SharedStore)
        return store

    return opened


def picture(number: int) -> bytes:
    """Bytes with a picture's seal."""
    return png_chunks.seal(b"picture" + bytes([number]) * 100 + png_chunks.END)


def paths_of(store: SharedStore, count: int = 6) -> list[Path]:
    return [store.image(f"{i:02d}" * 32) for i in range(count)]


def fill(store: SharedStore, made: list[int], count: int = 6) -> list[bytes]:
    paths = paths_of(store, count)

    def make(block: Sequence[int]) -> Iterator[Callable[[], bytes]]:
        made.extend(block)
        yield from (partial(picture, i) for i in block)

    blocks = [range(start, min(start + 2, count)) for start in range(0, count, 2)]

    def read(i: int) -> bytes:
        content = read_bytes(paths[i])
        assert is_sound(paths[i].name, content)
        return content

    return store.fill_blocks(paths, read, make, blocks, lambda _: None, silent)


def test_what_one_machine_made_another_reads(machine: Machine) -> None:
    made: list[int] = []
    first_ones = fill(machine("a"), made)
    assert first_ones == fill(machine("b"), made) == [picture(i) for i in range(6)]
    assert made == list(range(6))


def test_arrays_and_records_travel_too(machine: Machine) -> None:
    one, other = machine("a"), machine("b")
    array = np.array([1.5, np.nan], np.float32)
    one.arrays([one.array("net", "x")], lambda _: [array], 1)
    found = other.arrays([other.array("net", "x")], lambda _: [array + 1], 1)
    assert found[0].tobytes() == array.tobytes()
    assert one.record(one.root / "proofs" / "p.json", lambda: {"proven": 1}) == {"proven": 1}
    assert other.record(other.root / "proofs" / "p.json", lambda: {"proven": 2}) == {"proven": 1}
    for by, store in enumerate((one, other)):
        assert store.first_record(store.root / "self_test" / "f.json", {"by": by}) == {"by": 0}


def test_of_two_writers_the_first_stays_and_both_read_it(machine: Machine) -> None:
    one, other = machine("a"), machine("b")
    one.put(one.array("x"), to_npy(np.zeros(2, np.float32)))
    one.settle()
    other.put(other.array("x"), to_npy(np.ones(2, np.float32)))  # it had looked before the first was there
    other.settle()
    assert read_array(one.array("x")).tolist() == read_array(other.array("x")).tolist() == [0, 0]


def test_two_machines_make_nothing_twice(machine: Machine) -> None:
    """Each waits in its first block until the other is in one."""
    stores, made = (machine("a"), machine("b")), ([], [])  # type: tuple[SharedStore, ...], tuple[list[int], ...]
    start, results = threading.Barrier(2), [[b""], [b""]]

    def work(me: int) -> None:
        paths = paths_of(stores[me])

        def make(block: Sequence[int]) -> Iterator[Callable[[], bytes]]:
            if not made[me]:
                start.wait(30)
            made[me].extend(block)
            yield from (partial(picture, i + 100 * me) for i in block)

        blocks = [[0, 1], [2, 3], [4, 5]]
        results[me] = stores[me].fill_blocks(
            paths, lambda i: read_bytes(paths[i]), make, blocks, lambda _: None, silent
        )

    threads = [threading.Thread(target=work, args=(me,)) for me in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(made[0] + made[1]) == list(range(6))
    assert results[0] == results[1]
    assert len(results[0]) == 6


def test_a_lease_ends_with_its_time_and_is_taken(url: str) -> None:
    remote = open_remote(url, HASTY)
    dead, alive = Leases(remote, seconds=-1), Leases(remote)
    remote.put("leases/block", dead._content())
    assert list(living(remote)) == []
    assert alive.take("block")
    assert list(living(remote)) == ["leases/block"]
    assert not Leases(remote).take("block")
    alive.close()
    other = Leases(remote)
    assert other.take("block")
    other.close()


def test_a_lease_is_renewed_while_its_owner_lives(url: str) -> None:
    remote = open_remote(url, HASTY)
    leases = Leases(remote, seconds=0.4)
    leases.take("block")
    first_end = json.loads(remote.get("leases/block"))["until"]
    for _ in range(600):
        if json.loads(remote.get("leases/block"))["until"] > first_end:
            break
        threading.Event().wait(0.05)
    else:
        pytest.fail("not renewed")
    leases.close()


def test_a_damaged_entry_of_the_server_is_never_read_and_is_replaced(machine: Machine, url: str) -> None:
    one = machine("a")
    fill(one, [])
    remote, name = open_remote(url, HASTY), one.mirror.name(paths_of(one)[3])
    remote.put(name, picture(3)[:-9], replace=True)
    other, said, made = machine("b"), list[str](), list[int]()
    other.mirror.say = said.append
    assert fill(other, made) == [picture(i) for i in range(6)]
    assert made == [2, 3]  # its whole block
    assert said == [f"{url}/{name} is damaged and is replaced"]
    assert remote.get(name) == picture(3)


def test_a_damaged_cache_is_fetched_again(machine: Machine) -> None:
    store, made = machine("a"), list[int]()
    fill(store, made)
    path = paths_of(store)[1]
    path.write_bytes(path.read_bytes()[:-1])
    store.bring([path])
    assert store.restore(path)
    assert path.read_bytes() == picture(1)
    assert made == list(range(6))


def test_a_run_that_was_killed_sends_its_rest_at_the_next_start(machine: Machine, url: str) -> None:
    store = machine("a")
    waiting = store.root / mirror.OUTBOX / f"images~00~{'00' * 32}.png"
    waiting.parent.mkdir()
    waiting.write_bytes(picture(0))
    store.enter()
    try:
        assert paths_of(store)[0].read_bytes() == picture(0)
        assert not waiting.exists()
        assert open_remote(url, HASTY).get(store.mirror.name(paths_of(store)[0])) == picture(0)
        assert len(list(living(store.remote))) == 1  # this run
    finally:
        store.leave()
    assert list(living(store.remote)) == []


def test_the_cache_drops_what_was_used_least_recently(machine: Machine) -> None:
    store, made = machine("a"), list[int]()
    fill(store, made)
    for age, path in enumerate(paths_of(store)):
        os.utime(path, (1000 - age, path.stat().st_mtime))
    size = len(picture(0))
    assert trim(store, 2 * size) == paths_of(store)[2:]
    assert [path.exists() for path in paths_of(store)] == [True, True] + [False] * 4
    store.locks.enter()
    assert trim(store, 0) == []  # in use
    store.locks.leave()
    fill(store, made)
    assert made == list(range(6))
    limited = machine("a", size)
    limited.enter()
    limited.leave()
    assert sum(path.exists() for path in paths_of(store)) == 1


def test_what_belongs_to_a_machine_stays_there(machine: Machine, url: str) -> None:
    store = machine("a")
    store.append(store.root / "made.jsonl", {"image": "x"})
    store.put(store.root / "controls" / "red.png", b"no seal")
    store.settle()
    assert read_lines(store.root / "made.jsonl") == [{"image": "x"}]
    assert list(open_remote(url, HASTY).entries()) == []


def test_a_server_without_conditional_writes_is_refused(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = machine("a")
    monkeypatch.setattr(type(store.remote), "put", lambda *_, **__: True)
    with pytest.raises(StoreError, match="ignores conditional writes"):
        store.enter()
    store.leave()


def test_one_request_in_ten_fails_and_the_store_is_whole(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxied(s3.port) as proxy:
        url = s3.url(monkeypatch, proxy.port)
        proxy.fault = one_in(10, seed=3)
        made: list[int] = []
        for name in ("a", "b"):
            store = SharedStore(Place(tmp_path / name, url))
            store.enter()
            assert fill(store, made, 20) == [picture(i) for i in range(20)]
            store.leave()
        assert sorted(made) == list(range(20))
        assert sum(proxy.faults.values()) > 5


def test_an_upload_that_fails_is_an_error_and_is_not_lost(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxied(s3.port) as proxy:
        store = SharedStore(Place(tmp_path / "a", s3.url(monkeypatch, proxy.port)))
        proxy.fault = lambda method, _: "500" if method == "PUT" else ""
        path = store.array("x")
        with pytest.raises(StoreError, match=r"arrays/.*\.npy: HTTP 500 .*6 times in a row; .*is kept here"):
            store.arrays([path], lambda _: [np.ones(3, np.float32)], 1)
        assert not path.exists()  # others would not find it
        proxy.fault = lambda *_: ""
        store.enter()
        assert read_array(path).tolist() == [1, 1, 1]
        store.leave()


def test_requests_of_an_image(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an image costs: two reads, a write, and a lease for its block."""
    with proxied(s3.port) as proxy:
        url = s3.url(monkeypatch, proxy.port)
        fill(SharedStore(Place(tmp_path / "a", url)), [], 8)
        assert proxy.seen == {"GET": 16, "PUT": 8 + 4, "DELETE": 4}
        proxy.seen.clear()
        fill(SharedStore(Place(tmp_path / "b", url)), [], 8)
        assert proxy.seen == {"GET": 8}
        proxy.seen.clear()
        fill(SharedStore(Place(tmp_path / "b", url)), [], 8)
        assert proxy.seen == {}


def test_waiting_is_at_random(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(retries.time, "sleep", slept.append)

    def fail() -> None:
        raise OSError("broken line")

    with pytest.raises(StoreError, match="where: OSError, 4 times in a row"):
        retries.patiently(fail, "where", Patience(attempts=4, first=1.0, longest=3.0))
    bounds = [(0.5, 1.0), (1.0, 2.0), (1.5, 3.0)]
    assert [low <= wait <= high for wait, (low, high) in zip(slept, bounds, strict=True)] == [True] * 3


def test_seals_decide_what_is_sound() -> None:
    record = json.dumps(seals.seal_json({"a": 1}, "x.json")).encode()
    assert is_sound("proofs/x.json", record)
    wrong = [("proofs/y.json", record), ("a/x.npy", b"short"), ("i/x.png", b"\x89PNG"), ("x.json", b"{")]
    assert not any(is_sound(name, content) for name, content in wrong)
