"""Compute the features of a large set of pictures in blocks, each one entry of the store.

Fifty thousand rows in files of their own would cost more to write and to read than many networks take to make
them. A block's address is a digest of the network and of its pictures' digests, so it is shared, resumed and
checked as single rows are. A block never spans two files: another shard changes no other shard's blocks.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_checks.core import parallel
from lora_checks.core.errors import DamagedError, MeasureError, StoreError
from lora_checks.core.records import ImageFile, digest
from lora_checks.core.store import Progress, Store, explained, read_array, to_npy
from lora_checks.images.decoded import Decoded
from lora_checks.images.decoding import Pixels
from lora_checks.networks import (
    Extractor,
    ImageExtractor,
    ManyParts,
    Streaming,
    device_of,
    refuse_changed,
)
from lora_checks.networks.runtime import no_search

Floats = NDArray[np.floating[Any]]
BLOCK = 32  # pictures of a block: what a killed run makes again, in each thread


@dataclass(frozen=True, slots=True)
class Blocks:
    """The features of a set of pictures, as the store holds them."""

    images: Sequence[ImageFile]
    network: ImageExtractor
    store: Store

    def rows(self, progress: Progress | None = None, workers: int | None = None) -> Iterator[Floats]:
        """Yield the features of each block, (up to 32, D), in the order of the pictures.

        Args:
            progress: Gets the number of pictures whose block is missing, then those done by any process.
            workers: Threads; by default this process's share of the processors. A network that may not be
                called by several threads at once has one.

        Raises:
            MeasureError: A picture cannot be decoded or measured; it is named.
        """
        blocks = list(_blocks(self.images))
        paths = [self.store.array(*self._key(block)) for block in blocks]
        at_once = (workers or parallel.threads()) if isinstance(self.network, Streaming) else 1
        self._make_missing(blocks, paths, at_once, progress)
        for i, path in enumerate(paths):
            yield self._read(path, blocks[i])

    def _make_missing(
        self,
        blocks: Sequence[Sequence[ImageFile]],
        paths: Sequence[Path],
        workers: int,
        progress: Progress | None = None,
    ) -> None:
        sizes = [len(block) for block in blocks]
        with _OneThread(self.network) as one, no_search():

            def make(i: int) -> bytes:
                one.limit(Decoded(blocks[i][:1], keep=False))
                return to_npy(self._made(blocks[i]))

            parallel.make_missing(self.store, paths, sizes, make, workers, progress)

    def _read(self, path: Path, block: Sequence[ImageFile]) -> Floats:
        """Read a block; make it again if it is damaged, or was removed a moment ago."""
        try:
            return read_array(path)
        except (DamagedError, FileNotFoundError) as error:
            self.store.say(f"{path} is damaged or gone ({error}) and is regenerated")
            self.store.remove_damaged(path)
        self._make_missing([block], [path], 1)
        try:
            return read_array(path)
        except (DamagedError, FileNotFoundError) as error:
            raise StoreError(f"{path} was just written and cannot be read: {error}") from error

    def whole(self, progress: Progress | None = None) -> Floats:
        """Return all rows, (N, D), in a temporary file that is mapped into memory: pages may be dropped."""
        with explained(self.store.root):
            file = tempfile.TemporaryFile(dir=self.store.root)  # noqa: SIM115  # the map keeps it open
        rows, first = 0, None
        for block in self.rows(progress):
            first = block if first is None else first
            with explained(self.store.root):
                file.write(np.ascontiguousarray(block).tobytes())
            rows += len(block)
        if first is None:
            raise MeasureError("there are no pictures to measure")
        with explained(self.store.root):
            file.flush()
        return np.memmap(file, dtype=first.dtype, mode="r", shape=(rows, first.shape[1]))

    def _key(self, block: Sequence[ImageFile]) -> tuple[str, str]:
        """Return what addresses a block. Values of a CPU and of a GPU differ by rounding, so never mix."""
        kind = device_of(self.network)
        where = "" if kind == "cpu" else f" on {kind}"
        return f"block {self.network.id}{where}", digest([image.sha256 for image in block])

    def _made(self, block: Sequence[ImageFile]) -> Floats:
        network, pixels = self.network, Decoded(block, keep=False)
        streaming = network.streamed if isinstance(network, Streaming) else network.images
        compute: Any = network.rows if isinstance(network, ManyParts) else streaming
        return checked(network, compute(pixels), len(block))


def checked(network: Extractor, rows: Any, count: int) -> Floats:
    """Return what a network gave for ``count`` inputs.

    Raises:
        MeasureError: It is something other than ``count`` rows of floats.
        PrerequisiteError: A file of the network changed while it worked; the rows must not be stored.
    """
    refuse_changed(network)
    if not isinstance(rows, np.ndarray) or rows.dtype.kind != "f" or rows.ndim != 2 or len(rows) != count:
        got = f"{rows.dtype} {rows.shape}" if isinstance(rows, np.ndarray) else type(rows).__name__
        raise MeasureError(
            f"{network.label} returned {got} for {count} inputs; it must be float ({count}, D)"
        )
    return rows


def _blocks(images: Sequence[ImageFile]) -> Iterator[Sequence[ImageFile]]:
    """Yield up to 32 pictures at a time; of a file that holds many, only its own."""
    for _, group in groupby(images, lambda image: image.path if image.member else None):
        part = list(group)
        for start in range(0, len(part), BLOCK):
            yield part[start : start + BLOCK]


class _OneThread:
    """Call a network from several threads, of which each computes alone.

    Otherwise every thread would start torch's own for each layer, and values would depend on their number.
    """

    def __init__(self, network: ImageExtractor) -> None:
        self._network, self._loading, self._loaded = network, threading.Lock(), False
        self._before = 0  # torch's threads

    def __enter__(self) -> _OneThread:
        return self

    def __exit__(self, *_: object) -> None:
        if self._before:
            sys.modules["torch"].set_num_threads(self._before)

    def limit(self, picture: Sequence[Pixels]) -> None:
        """Load the network by a look at one picture, in one thread; then give this thread one of torch's."""
        with self._loading:
            if not self._loaded:
                self._network.images(picture)
                self._loaded = True
        torch = sys.modules.get("torch")
        if device_of(self._network) == "cpu" and torch is not None and torch.get_num_threads() != 1:
            self._before = self._before or torch.get_num_threads()
            torch.set_num_threads(1)
