"""One primitive, put-if-absent, under every fault and race that a disk and other workers can bring."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from lora_checks.core.errors import DamagedError, GenerationError, StoreError
from lora_checks.core.files import _part
from lora_checks.core.filling import silent
from lora_checks.core.store import Store, from_npy, read_bytes, read_lines, to_npy


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def leftovers(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file() and path.suffix in {".part", ".lock"}]


def test_put_keeps_the_first_content(store: Store) -> None:
    path = store.image("ab" * 32)
    assert store.put(path, b"first")
    assert not store.put(path, b"second")
    assert path.read_bytes() == b"first"
    assert leftovers(store.root) == []


def test_of_many_writers_exactly_one_puts(store: Store) -> None:
    path, start = store.image("cd" * 32), threading.Barrier(8)

    def write(i: int) -> bool:
        start.wait()
        return store.put(path, bytes([i]) * 10_000)

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(write, range(8)))
    assert won.count(True) == 1
    assert path.read_bytes() == bytes([won.index(True)]) * 10_000
    assert leftovers(store.root) == []


def test_put_is_atomic_without_hard_links(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    assert store.put(store.image("ef" * 32), b"content")
    assert not store.put(store.image("ef" * 32), b"other")
    assert store.image("ef" * 32).read_bytes() == b"content"


def test_other_users_can_read_what_was_put(store: Store) -> None:
    store.put(store.image("aa" * 32), b"content")
    assert store.image("aa" * 32).stat().st_mode & 0o044 == 0o044


def test_arrays_do_not_wait_for_the_disk(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their seal tells what a power failure damaged, and they are cheap to compute again."""
    monkeypatch.setattr(os, "fsync", lambda _: pytest.fail("waits for the disk"))
    paths = [store.array("network", f"{i:064}") for i in range(3)]
    assert [float(one[0]) for one in store.arrays(paths, lambda some: [np.ones(1)] * len(some), 2)] == [
        1,
        1,
        1,
    ]


def test_equal_keys_have_one_address(store: Store) -> None:
    assert store.array("clip", "x", ["a", "b"]) == store.array("clip", "x", ("a", "b"))
    assert store.array("clip", "xy") != store.array("clip", "x", "y")


def test_fill_makes_only_what_is_missing_in_batches(store: Store) -> None:
    paths = [store.image(f"{i:02d}" * 32) for i in range(7)]
    store.put(paths[2], b"old")
    asked: list[list[int]] = []

    def make(indices: Sequence[int]) -> Iterator[bytes]:
        asked.append(list(indices))
        yield from (f"{i}".encode() for i in indices)

    store.fill(paths, make, 4)
    assert asked == [[0, 1, 3, 4], [5, 6]]
    assert [path.read_bytes() for path in paths] == [b"0", b"1", b"old", b"3", b"4", b"5", b"6"]
    assert leftovers(store.root) == []


def test_what_was_made_before_an_error_is_kept_and_not_made_again(store: Store) -> None:
    paths = [store.image(f"{i:02d}" * 32) for i in range(4)]

    def stumbles(indices: Sequence[int]) -> Iterator[bytes]:
        yield from (b"kept" for _ in indices[:2])
        raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError, match="out of luck"):
        store.fill(paths, stumbles, 4)
    assert [path.exists() for path in paths] == [True, True, False, False]
    asked: list[int] = []

    def works(indices: Sequence[int]) -> list[bytes]:
        asked.extend(indices)
        return [b"new" for _ in indices]

    store.fill(paths, works, 4)
    assert asked == [2, 3]
    assert leftovers(store.root) == []


def test_a_maker_that_returns_too_little_is_found_out(store: Store) -> None:
    with pytest.raises(ValueError, match="shorter"):
        store.fill([store.image(f"{i:02d}" * 32) for i in range(3)], lambda _: [b"only one"], 3)


FILLER = """
import json, os, sys, time
from pathlib import Path
from lora_checks.core.store import Store

store = Store(Path(sys.argv[1]))
paths = [store.image(f"{i:02d}" * 32) for i in range(24)]

def make(indices):
    for i in indices:
        time.sleep(0.02)
        store.append(store.root / "made.jsonl", {"image": i, "process": os.getpid()})
        yield str(i).encode()

print("ready", flush=True)
sys.stdin.readline()
store.fill(paths, make, 3)
print(sum(path.exists() for path in paths))
"""


def test_two_processes_share_a_fill_and_make_nothing_twice(tmp_path: Path) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", FILLER, str(tmp_path / "store")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    assert [worker.communicate(timeout=60)[0] for worker in workers] == ["24\n", "24\n"]
    lines = [json.loads(line) for line in (tmp_path / "store" / "made.jsonl").read_text().splitlines()]
    assert Counter(line["image"] for line in lines) == Counter(range(24))
    assert {line["process"] for line in lines} == {worker.pid for worker in workers}
    assert leftovers(tmp_path / "store") == []


def test_progress_counts_what_others_finish(store: Store) -> None:
    """Two fills at once: each is told of all that was missing."""
    paths = [store.image(f"{i:02d}" * 32) for i in range(6)]
    start, told = threading.Barrier(2), [0, 0]

    def work(me: int) -> None:
        from contextlib import contextmanager

        @contextmanager
        def progress(total: int) -> Iterator[object]:
            assert total == 6
            start.wait()

            def advance(done: int) -> None:
                told[me] += done

            yield advance

        store.fill(paths, lambda indices: [b"x" for _ in indices], 1, progress)  # type: ignore[arg-type]

    threads = [threading.Thread(target=work, args=(me,)) for me in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert told == [6, 6]


@pytest.mark.parametrize("call", ["fsync", "write"])
def test_a_full_disk_is_an_error_that_leaves_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = store.image("ab" * 32)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if call == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        opened = os.fdopen

        def half_full(handle: int, mode: str) -> object:
            file = opened(handle, mode)
            file.write(b"half")  # as a disk does that fills up within a file
            file.flush()
            monkeypatch.setattr("os.fsync", full)
            return file

        monkeypatch.setattr(os, "fdopen", half_full)
    with pytest.raises(StoreError, match=r"No space left on device; free the disk or name another folder"):
        store.put(path, b"content")
    assert not path.exists()
    assert leftovers(store.root) == []


def test_a_full_disk_in_the_journal_is_an_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"made\.jsonl: No space left"):
        store.append(store.root / "made.jsonl", {})


def test_a_store_below_a_file_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file/store: Not a directory; .*--lora-store"):
        Store(tmp_path / "file" / "store")


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that nobody can write to")
def test_a_store_that_cannot_be_written_is_refused_at_once() -> None:
    with pytest.raises(StoreError, match="cannot write to the store at /proc/self"):
        Store(Path("/proc/self"))


@pytest.mark.parametrize("content", [b"", b"no array", to_npy(np.zeros(3, np.float32))[:-4]])
def test_a_damaged_array_is_named(store: Store, content: bytes) -> None:
    path = store.array("clip", "x")
    store.put(path, content)
    with pytest.raises(StoreError, match=rf"damaged .*{path.name} .*; delete it and run again"):
        from_npy(path)


def test_an_array_that_would_run_code_is_refused(store: Store) -> None:
    import io

    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    path = store.array("clip", "x")
    store.put(path, buffer.getvalue())
    with pytest.raises(StoreError, match="damaged"):
        from_npy(path)


def test_arrays_come_back_exactly(store: Store) -> None:
    array = np.array([1e-30, np.nan, -0.0], np.float32)
    path = store.array("x")
    store.put(path, to_npy(array))
    assert from_npy(path).tobytes() == array.tobytes()


def test_a_maker_goes_on_when_its_content_is_stored(store: Store) -> None:
    """So what it notes after a yield is true, for the last one too."""
    paths = [store.image(f"{i:02d}" * 32) for i in range(3)]
    noted: list[bool] = []

    def make(indices: Sequence[int]) -> Iterator[bytes]:
        for i in indices:
            yield b"content"
            noted.append(paths[i].exists())

    store.fill(paths, make, 2)
    assert noted == [True, True, True]


def test_each_bit_of_an_array_counts(store: Store) -> None:
    path, whole = store.array("clip", "x"), np.arange(3, dtype=np.float32)
    for bit in range(0, 8 * len(to_npy(whole)), 13):
        content = bytearray(to_npy(whole))
        content[bit // 8] ^= 1 << bit % 8
        path.unlink(missing_ok=True)
        store.put(path, bytes(content))
        with pytest.raises(StoreError, match="damaged"):
            from_npy(path)
    assert store.arrays([path], lambda _: [whole], 1)[0].tolist() == [0, 1, 2]
    assert from_npy(path).tolist() == [0, 1, 2]


def test_a_record_under_another_name_is_not_believed(store: Store) -> None:
    one, other = store.root / "proofs" / "one.json", store.root / "proofs" / "other.json"
    assert store.record(one, lambda: {"proven": (1, 2.5)}) == {"proven": [1, 2.5]}
    one.rename(other)
    assert store.record(other, lambda: {"proven": False}) == {"proven": False}


def test_what_was_seen_first_is_not_taken_from_the_present(store: Store) -> None:
    path = store.root / "self_test" / "first-a.json"
    assert store.first_record(path, {"seen": 1}) == {"seen": 1}
    assert store.first_record(path, {"seen": 2}) == {"seen": 1}
    path.write_bytes(path.read_bytes().replace(b"1", b"2"))
    with pytest.raises(StoreError, match=r"damaged .*first-a\.json .*; delete it and run again"):
        store.first_record(path, {"seen": 2})


def test_a_line_behind_one_that_a_crash_cut_off_is_not_lost(store: Store) -> None:
    path = store.root / "made.jsonl"
    store.append(path, {"image": "a"})
    with path.open("ab") as file:
        file.write(b'{"image": "b"')
    store.append(path, {"image": "c"})
    assert read_lines(path) == [{"image": "a"}, {"image": "c"}]


def test_a_block_is_made_as_a_whole_and_what_was_there_is_kept(store: Store) -> None:
    paths = [store.image(f"{i:02d}" * 32) for i in range(5)]
    store.put(paths[1], b"old")
    asked: list[list[int]] = []
    kept: list[int] = []

    def make(block: Sequence[int]) -> Iterator[Callable[[], bytes]]:
        asked.append(list(block))
        yield from (f"{i}".encode for i in block)

    def fill() -> list[bytes]:
        blocks = [[0, 1, 2], [3, 4]]
        return store.fill_blocks(paths, lambda i: read_bytes(paths[i]), make, blocks, kept.append, silent)

    assert fill() == [b"0", b"old", b"2", b"3", b"4"]
    assert (asked, kept) == ([[0, 1, 2], [3, 4]], [0, 2, 3, 4])
    paths[4].unlink()
    assert fill() == [b"0", b"old", b"2", b"3", b"4"]
    assert (asked[2:], kept[4:]) == ([[3, 4]], [4])


WAIT = 30  # seconds until a thread that does not come is a failure


def test_a_block_is_stored_while_the_next_is_made(store: Store) -> None:
    """Each waits for the other, so one after the other would never end."""
    paths = [store.image(f"{i:02d}" * 32) for i in range(4)]
    next_begun = threading.Event()

    def encode(i: int) -> bytes:
        assert i == 3 or next_begun.wait(WAIT)
        return f"{i}".encode()

    def make(block: Sequence[int]) -> Iterator[Callable[[], bytes]]:
        if block[0] > 0:
            next_begun.set()
        yield from (partial(encode, i) for i in block)

    blocks, done = [[0, 1], [2], [3]], []

    @contextlib.contextmanager
    def progress(total: int) -> Iterator[Callable[[int], None]]:
        done.append(-total)
        yield done.append

    found = store.fill_blocks(paths, lambda i: read_bytes(paths[i]), make, blocks, lambda _: None, progress)
    assert found == [b"0", b"1", b"2", b"3"]
    assert sum(done) == 0


@pytest.mark.parametrize("fails", ["in the thread", "in the next block"])
def test_what_was_made_before_an_error_stays(store: Store, fails: str) -> None:
    paths = [store.image(f"{i:02d}" * 32) for i in range(4)]

    def encode(i: int) -> bytes:
        if fails == "in the thread" and i == 1:
            raise GenerationError("image 1 is black")
        return f"{i}".encode()

    def make(block: Sequence[int]) -> Iterator[Callable[[], bytes]]:
        if fails == "in the next block" and block[0] == 2:
            raise GenerationError("out of memory")
        yield from (partial(encode, i) for i in block)

    with pytest.raises(GenerationError, match=r"black|memory"):
        store.fill_blocks(
            paths, lambda i: read_bytes(paths[i]), make, [[0, 1], [2, 3]], lambda _: None, silent
        )
    there = [path.exists() for path in paths]
    assert there == ([True, False, False, False] if fails == "in the thread" else [True, True, False, False])
    with contextlib.ExitStack() as claims:  # nothing is held
        assert all(store.claim(path, claims) for path in paths)


def test_a_disk_that_does_not_keep_what_is_written_ends_the_run(store: Store) -> None:
    path = store.image("ab" * 32)

    def read(_: int) -> bytes:
        if path.exists():
            raise DamagedError(path, "zeros")
        raise FileNotFoundError

    with pytest.raises(StoreError, match=r"reads back damaged .*check the disk"):
        store.fill_blocks([path], read, lambda _: [b"x".strip], [[0]], lambda _: None, silent)


def test_only_what_dead_processes_left_is_swept(store: Store) -> None:
    with contextlib.ExitStack() as claims, _part(store.root / "arrays" / "a.npy") as (_, alive):
        assert store.claim(store.image("ab" * 32), claims)
        dead = [store.root / "images" / "ab" / ".x.part", store.root / "locks" / "b.png.lock"]
        for path in dead:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        assert set(store.sweep()) == set(dead)
        assert alive.exists()
        assert (store.root / "locks" / f"{'ab' * 32}.png.lock").exists()
