"""Everything that was expensive to make, under one folder, at an address given by its content.

The one primitive is an atomic put-if-absent. A claim (an OS lock that dies with its process) tells
workers who makes what, so two of them share a job and a killed run leaves nothing to clean up. Whatever is
kept carries its digest (`seals`, `png_chunks`): what a disk or a hand has changed is not used but made anew.
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

from lora_checks.core import seals
from lora_checks.core.errors import DamagedError, StoreError
from lora_checks.core.files import remove_parts, write_atomically, write_if_absent
from lora_checks.core.filling import Advance, Filling, Make, Progress, T, anew, silent
from lora_checks.core.locks import Locks
from lora_checks.core.records import digest

__all__ = ["Advance", "Make", "Progress", "Store"]

REPORT = "report"  # folder of the store that belongs to the runs' records, which have a lock of their own
CHANGED = "its bytes are not those that were written"
MakeArrays = Callable[[Sequence[int]], Iterable[NDArray[np.floating[Any]]]]


class Store:
    """A folder of images and arrays. Raises `StoreError` if it cannot be created or written.

    ``say`` is told, as sentences, what was found to be damaged.
    """

    def __init__(self, root: Path, say: Callable[[str], None] = lambda _: None) -> None:
        self.root, self.say = root, say
        self.locks = Locks(root)
        with explained(root):
            root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=root):
                pass  # a read-only store must be known before an hour of generation, not after

    def image(self, recipe: str) -> Path:
        return self.root / "images" / recipe[:2] / f"{recipe}.png"

    def array(self, network: str, of: str = "text", *more: object) -> Path:
        return array_path(self.root, network, of, *more)

    def put(self, path: Path, content: bytes) -> bool:
        """Write atomically unless something is there; True if this call wrote it."""
        with explained(path):
            return write_if_absent(path, content)

    def append(self, path: Path, record: Mapping[str, Any]) -> None:
        """One JSON line with its digest, durable when this returns."""
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            line = json.dumps(seals.seal_json(record), sort_keys=True)
            with path.open("ab+") as file:
                file.write(f"{_cut_off(file)}{line}\n".encode())
                file.flush()
                os.fsync(file.fileno())

    def fill(self, paths: Sequence[Path], make: Make, batch: int, progress: Progress | None = None) -> None:
        """Make what is missing at ``paths``, ``batch`` at a time, together with whoever else is at it.

        ``make`` gets indices into ``paths`` and yields their contents in that order; each is kept as
        soon as it is yielded. ``progress`` is told how many are missing and then of each one done, by
        whomever. Returns when every path exists. Errors of ``make`` end the call.
        """
        Filling(self, paths, lambda i: _existing(paths[i]), make).run(batch, None, progress or silent)

    def fill_blocks(
        self,
        paths: Sequence[Path],
        read: Callable[[int], T],
        make: Make,
        blocks: Sequence[Sequence[int]],
        kept: Callable[[int], None],
        progress: Progress,
    ) -> list[T]:
        """What lies at ``paths``, as ``read`` gives it by index; what is missing or damaged is made.

        A block of which anything is missing is made as a whole, and only what was missing is kept: so each is
        made in the same company, on which the last digits depend, whatever was there before.
        """
        return Filling(self, paths, read, make, kept).run(0, blocks, progress)

    def arrays(
        self, paths: Sequence[Path], make: MakeArrays, batch: int, progress: Progress | None = None
    ) -> list[NDArray[np.floating[Any]]]:
        """The arrays at ``paths``; what is missing or damaged is made, ``batch`` at a time."""

        def content(indices: Sequence[int]) -> Iterator[bytes]:
            yield from map(to_npy, make(indices))

        filling = Filling(self, paths, lambda i: read_array(paths[i]), content)
        return filling.run(batch, None, progress or silent)

    def record(self, path: Path, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """The JSON record at ``path``; made where there is none or a damaged one."""
        try:
            return read_record(path)
        except FileNotFoundError:
            pass
        except DamagedError as error:
            self.say(anew([error]))
        sealed = seals.seal_json(make(), path.name)
        with explained(path):
            write_atomically(path, json.dumps(sealed, allow_nan=False, sort_keys=True).encode())
        return read_record(path)

    def first_record(self, path: Path, record: Mapping[str, Any]) -> dict[str, Any]:
        """The record that was put at ``path`` first: this one, unless there was one before.

        Raises `DamagedError`: what it was cannot be known any more, and the present must not take its place.
        """
        self.put(path, json.dumps(seals.seal_json(record, path.name), sort_keys=True).encode())
        return read_record(path)

    def claim(self, path: Path, claims: contextlib.ExitStack) -> bool:
        """Whether ``path`` is this process's to make until ``claims`` ends."""
        with explained(path):
            return self.locks.claim(path.name, claims)

    def remove_damaged(self, path: Path) -> None:
        with explained(path):
            path.unlink(missing_ok=True)

    def remove(self, paths: Iterable[Path]) -> None:
        """Delete files, and the folders that become empty."""
        folders = set()
        for path in paths:
            with explained(path):
                path.unlink(missing_ok=True)
            folders |= {parent for parent in path.parents if parent.is_relative_to(self.root)}
        for folder in sorted(folders - {self.root}, key=lambda path: len(path.parts), reverse=True):
            with contextlib.suppress(OSError):  # it holds something else
                folder.rmdir()

    def sweep(self) -> list[Path]:
        """Remove locks and half-written files of processes that are gone; return what was removed."""
        with explained(self.root):
            folders = [path for path in self.root.iterdir() if path.is_dir() and path.name != REPORT]
            return [*(part for folder in folders for part in remove_parts(folder)), *self.locks.sweep()]


def array_path(root: Path, network: str, of: str = "text", *more: object) -> Path:
    """What a network says ``of`` a picture, by its SHA-256, or of a text."""
    owner = of if of.isalnum() else digest(of)
    return root / "arrays" / owner[:2] / owner / f"{digest((network, of, *more))}.npy"


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """What the disk refuses inside is a `StoreError` about ``path``."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot write to the store at {path}: {error.strerror or error}; "
            "free the disk or name another folder with --lora-store"
        ) from error


def read_bytes(path: Path) -> bytes:
    """Raises `FileNotFoundError`, or `DamagedError` where something is there that cannot be read."""
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
    """A line break where the last line was cut off by a crash, else nothing."""
    if not file.seek(0, os.SEEK_END):
        return ""
    file.seek(-1, os.SEEK_END)
    return "" if file.read(1) == b"\n" else "\n"


def read_lines(path: Path, start: int = 0) -> list[dict[str, Any]]:
    """The lines that were appended behind byte ``start``, without those that are cut off or damaged.

    Those of an earlier version have no digest and are believed.
    """
    try:
        with path.open("rb") as file:
            file.seek(start)
            lines = file.read().split(b"\n")
    except OSError:
        return []
    found = (_line(_parsed(line)) for line in lines)
    return [record for record in found if record is not None]


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
    """As it is kept, with its digest."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return seals.seal(buffer.getvalue())


def from_npy(path: Path) -> NDArray[np.floating[Any]]:
    """Raises `StoreError` where there is none or a damaged one."""
    try:
        return read_array(path)
    except FileNotFoundError as error:
        raise StoreError(f"{path} is gone from the store; run again") from error


def read_array(path: Path) -> NDArray[np.floating[Any]]:
    """Raises `FileNotFoundError` or `DamagedError`."""
    content = seals.unseal(read_bytes(path))
    if content is None:
        raise DamagedError(path, CHANGED)
    try:
        array: NDArray[np.floating[Any]] = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DamagedError(path, error) from error
    return array


def read_record(path: Path) -> dict[str, Any]:
    """Raises `FileNotFoundError` or `DamagedError`."""
    record = seals.unseal_json(_parsed(read_bytes(path)), path.name)
    if record is None:
        raise DamagedError(path, CHANGED)
    return record
