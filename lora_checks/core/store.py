"""A content-addressed folder for everything that is expensive to make.

The basic operation is an atomic put-if-absent. Workers divide the work by claims, which are OS locks released
when their process dies, so a killed run leaves nothing to clean up. Every entry carries its digest (`seals`,
`png_chunks`): an entry that was changed by a disk fault or by hand is regenerated.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_checks.core import known_digests, seals
from lora_checks.core.errors import DamagedError, StoreError
from lora_checks.core.files import remove_parts, write_atomically, write_if_absent
from lora_checks.core.filling import Advance, Filling, Make, MakeLater, Progress, T, regenerated, silent
from lora_checks.core.known_digests import KnownDigests
from lora_checks.core.locks import Locks
from lora_checks.core.records import digest

__all__ = ["Advance", "Make", "Progress", "Store"]

REPORT = "report"  # folder for the records of runs, which have their own lock
CHANGED = "its bytes are not those that were written"
MakeArrays = Callable[[Sequence[int]], Iterable[NDArray[np.floating[Any]]]]


class Store:
    """A folder of images and arrays. Raises `StoreError` if it cannot be created or written.

    ``say`` receives a sentence about each damaged entry.
    """

    def __init__(self, root: Path, say: Callable[[str], None] = lambda _: None) -> None:
        self.root, self.say = root, say
        self.shown, self.url = root, ""  # where folders for people go; on which server the entries are, too
        self.locks = Locks(root)
        self.known_digests = KnownDigests(root / known_digests.FOLDER)
        with explained(root):
            root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=root):
                pass  # detect a read-only store before an hour of generation, not after

    def image(self, recipe: str) -> Path:
        """Return the path of the image with this recipe digest."""
        return self.root / "images" / recipe[:2] / f"{recipe}.png"

    def array(self, network: str, of: str = "text", *more: object) -> Path:
        """Return the path of an array; see `array_path`."""
        return array_path(self.root, network, of, *more)

    def put(self, path: Path, content: bytes, durable: bool = True) -> bool:
        """Write ``path`` atomically unless it exists; return whether this call wrote it."""
        with explained(path):
            return write_if_absent(path, content, durable)

    def settle(self) -> None:
        """Wait until everything that was put is stored where it belongs."""

    def bring(self, paths: Iterable[Path], fresh: bool = True) -> None:
        """Make sure that ``paths`` are in the folder if the store has them at all.

        Args:
            paths: Entries about to be read.
            fresh: False to leave out those for which a server was asked a moment ago.
        """

    def have(self, paths: Sequence[Path]) -> list[bool]:
        """Return whether the store has each entry."""
        return [path.exists() for path in paths]

    def restore(self, path: Path) -> bool:  # noqa: ARG002
        """Replace a damaged entry by another copy; return whether there was one."""
        return False

    def lease(self, paths: Sequence[Path], claims: contextlib.ExitStack) -> bool:  # noqa: ARG002
        """Keep other machines from making ``paths`` until ``claims`` closes; False if one is at it."""
        return True

    def enter(self) -> None:
        """Mark the store as in use until `leave`, which blocks garbage collection."""
        with explained(self.root):
            self.locks.enter()

    def leave(self) -> None:
        """End what `enter` began."""
        self.locks.leave()

    def append(self, path: Path, record: Mapping[str, Any]) -> None:
        """Append one sealed JSON line; it is durable when this returns."""
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            line = json.dumps(seals.seal_json(record), sort_keys=True)
            with path.open("ab+") as file:
                file.write(f"{_cut_off(file)}{line}\n".encode())
                file.flush()
                os.fsync(file.fileno())

    def fill(self, paths: Sequence[Path], make: Make, batch: int, progress: Progress | None = None) -> None:
        """Make the missing files of ``paths``, sharing the work with other processes.

        Returns when every path exists. An error in ``make`` ends the call.

        Args:
            make: Gets indices into ``paths`` and yields their contents in that order; each is stored as soon
                as it is yielded.
            batch: How many files to make at a time.
            progress: Gets the number of missing files, and then each file done by any process.
        """
        Filling(self, paths, lambda i: _existing(paths[i])).run(make, batch, progress or silent)

    def fill_blocks(
        self,
        paths: Sequence[Path],
        read: Callable[[int], T],
        make: MakeLater,
        blocks: Sequence[Sequence[int]],
        kept: Callable[[int], None],
        progress: Progress,
    ) -> list[T]:
        """Return what ``read`` gives for each of ``paths``; make missing and damaged files first.

        If any file of a block is missing, the whole block is made and only the missing files are stored. So
        every file is made in the same batch, which affects its last digits, whatever the store held before.
        """
        return Filling(self, paths, read, kept).run_blocks(make, blocks, progress)

    def arrays(
        self, paths: Sequence[Path], make: MakeArrays, batch: int, progress: Progress | None = None
    ) -> list[NDArray[np.floating[Any]]]:
        """Return the arrays at ``paths``; make missing and damaged ones first, ``batch`` at a time."""

        def content(indices: Sequence[int]) -> Iterator[bytes]:
            yield from map(to_npy, make(indices))

        # After a power failure what is damaged shows by its seal and is computed again: cheaper than waiting
        # for the disk at each of a thousand small files.
        filling = Filling(self, paths, lambda i: read_array(paths[i]), durable=False)
        return filling.run(content, batch, progress or silent)

    def record(self, path: Path, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """Return the JSON record at ``path``; make it if it is missing or damaged."""
        try:
            return read_record(path)
        except FileNotFoundError:
            pass
        except DamagedError as error:
            self.say(regenerated([error]))
        sealed = seals.seal_json(make(), path.name)
        with explained(path):
            write_atomically(path, json.dumps(sealed, allow_nan=False, sort_keys=True).encode())
        return read_record(path)

    def first_record(self, path: Path, record: Mapping[str, Any]) -> dict[str, Any]:
        """Store ``record`` at ``path`` unless there is one already; return the one that is stored.

        Raises:
            DamagedError: The stored record is damaged. It is not replaced, because the first record is lost.
        """
        self.put(path, json.dumps(seals.seal_json(record, path.name), sort_keys=True).encode())
        return read_record(path)

    def claim(self, path: Path, claims: contextlib.ExitStack) -> bool:
        """Try to claim ``path`` for this process until ``claims`` closes; return whether that succeeded."""
        with explained(path):
            return self.locks.claim(path.name, claims)

    def remove_damaged(self, path: Path) -> None:
        """Delete a damaged file."""
        with explained(path):
            path.unlink(missing_ok=True)

    def remove(self, paths: Iterable[Path]) -> None:
        """Delete files, and every folder that becomes empty."""
        folders = set()
        for path in paths:
            with explained(path):
                path.unlink(missing_ok=True)
            folders |= {parent for parent in path.parents if parent.is_relative_to(self.root)}
        for folder in sorted(folders - {self.root}, key=lambda path: len(path.parts), reverse=True):
            with contextlib.suppress(OSError):  # not empty
                folder.rmdir()

    def sweep(self) -> list[Path]:
        """Remove locks and half-written files of dead processes; return the removed paths."""
        with explained(self.root):
            folders = [path for path in self.root.iterdir() if path.is_dir() and path.name != REPORT]
            return [*(part for folder in folders for part in remove_parts(folder)), *self.locks.sweep()]


def array_path(root: Path, network: str, of: str = "text", *more: object) -> Path:
    """Return the path of a network's output for a picture (``of`` is its SHA-256) or for a text."""
    owner = of if of.isalnum() else digest(of)
    return root / "arrays" / owner[:2] / owner / f"{digest((network, of, *more))}.npy"


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an `OSError` inside the block into a `StoreError` about ``path``."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot write to the store at {path}: {error.strerror or error}; "
            "free the disk or name another folder with --lora-store"
        ) from error


def read_bytes(path: Path) -> bytes:
    """Read a file of the store.

    Raises:
        FileNotFoundError: There is no such file.
        DamagedError: The file exists but cannot be read.
    """
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(path) from None
    except OSError as error:
        raise DamagedError(path, error.strerror or error) from error


def _existing(path: Path) -> Path:
    if not path.exists():
        raise FileNotFoundError(path)
    return path


def _cut_off(file: io.BufferedRandom) -> str:
    """Return a line break if a crash cut off the last line, else ""."""
    if not file.seek(0, os.SEEK_END):
        return ""
    file.seek(-1, os.SEEK_END)
    return "" if file.read(1) == b"\n" else "\n"


def read_lines(path: Path, start: int = 0) -> list[dict[str, Any]]:
    """Return the lines appended after byte ``start``, skipping those that are cut off or damaged.

    Lines of an earlier version have no digest and are accepted.
    """
    try:
        with path.open("rb") as file:
            file.seek(start)
            lines = file.read().split(b"\n")
    except OSError:
        return []
    records = (_line(_parsed(line)) for line in lines)
    return [record for record in records if record is not None]


def _line(record: object) -> dict[str, Any] | None:
    if isinstance(record, dict) and seals.KEY not in record:
        return record
    return seals.unseal_json(record)


def _parsed(text: bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def to_npy(array: NDArray[np.floating[Any]]) -> bytes:
    """Return the array as sealed .npy bytes, as the store holds it."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return seals.seal(buffer.getvalue())


def from_npy(path: Path) -> NDArray[np.floating[Any]]:
    """Read an array of the store. Raises `StoreError` if it is missing or damaged."""
    try:
        return read_array(path)
    except FileNotFoundError as error:
        raise StoreError(f"{path} is gone from the store; run again") from error


def read_array(path: Path) -> NDArray[np.floating[Any]]:
    """Read an array of the store. Raises `FileNotFoundError` or `DamagedError`."""
    content = seals.unseal(read_bytes(path))
    if content is None:
        raise DamagedError(path, CHANGED)
    try:
        array: NDArray[np.floating[Any]] = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DamagedError(path, error) from error
    return array


def read_record(path: Path) -> dict[str, Any]:
    """Read a JSON record of the store. Raises `FileNotFoundError` or `DamagedError`."""
    return known_record(path, read_bytes(path))


def known_record(path: Path, content: bytes) -> dict[str, Any]:
    """Return a JSON record of the store from its content. Raises `DamagedError`."""
    record = seals.unseal_json(_parsed(content), path.name)
    if record is None:
        raise DamagedError(path, CHANGED)
    return record
