"""Pictures that are decoded as they are needed, each once for all networks.

Every network looks at the same pictures, and LPIPS compares each batch with all references anew. So pixels
are kept in memory up to a limit, and the next pictures are decoded while a network works on this one.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import overload

from lora_checks.core.records import ImageFile
from lora_checks.images.decoding import Pixels, pixels_of

KEPT_BYTES = 256 << 20  # of pixels; 85 pictures of 1024 x 1024
AHEAD = 2  # pictures decoded before they are asked for
THREADS = 2

File = tuple[Path, str, int, int]  # with its digest, inode and the time of its last change


class Recent:
    """Decoded pictures by their file; the least recently used is dropped first.

    A file that was touched is decoded anew, which tells whether it is another picture (`pixels_of`).
    """

    def __init__(self, decode: Callable[[ImageFile], Pixels], most: int = KEPT_BYTES) -> None:
        self._decode, self._most = decode, most
        self.forget()

    def forget(self) -> None:
        """Start anew: a forked process has neither the threads nor a lock that anyone would release."""
        self._lock = threading.Lock()
        self._pictures: OrderedDict[File, Future[Pixels]] = OrderedDict()
        self._at_work: set[File] = set()  # those of `_pictures` that were not decoded yet
        self._sizes: dict[File, int] = {}  # bytes of the others
        self._total = 0  # of `_sizes`
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="decode")

    def get(self, image: ImageFile, then: Sequence[ImageFile] = ()) -> Pixels:
        """Return a picture's pixels, and begin to decode those of ``then``.

        Raises:
            MeasureError: It cannot be decoded. An error of ``then`` waits until the picture is asked for.
        """
        with self._lock:
            future = self._begun(image)
            for other in then:
                self._begun(other)
        try:
            return future.result()
        finally:
            with self._lock:
                self._drop()

    def _begun(self, image: ImageFile) -> Future[Pixels]:
        key = _file(image)
        if key not in self._pictures:
            self._pictures[key] = self._threads.submit(self._decode, image)
            self._at_work.add(key)
        self._pictures.move_to_end(key)
        return self._pictures[key]

    def _drop(self) -> None:
        """Drop the oldest pictures beyond the limit."""
        for key in [key for key in self._at_work if self._pictures[key].done()]:
            self._at_work.remove(key)
            self._sizes[key] = _bytes(self._pictures[key])
            self._total += self._sizes[key]
        while self._total > self._most:
            key = next(key for key in self._pictures if key in self._sizes)
            del self._pictures[key]
            self._total -= self._sizes.pop(key)


_RECENT = Recent(pixels_of)
os.register_at_fork(after_in_child=_RECENT.forget)


class Decoded(Sequence[Pixels]):
    """Pictures that are decoded at access, so a thousand take no more memory than `KEPT_BYTES`.

    Args:
        images: Their files.
        keep: False for a large set, which is looked at once: nothing is kept or decoded ahead.
    """

    def __init__(self, images: Sequence[ImageFile], keep: bool = True) -> None:
        self._images, self._keep = images, keep

    def __len__(self) -> int:
        return len(self._images)

    @overload
    def __getitem__(self, index: int) -> Pixels: ...
    @overload
    def __getitem__(self, index: slice) -> Decoded: ...
    def __getitem__(self, index: int | slice) -> Pixels | Decoded:
        if isinstance(index, slice):
            return Decoded(self._images[index], self._keep)
        if not self._keep:
            return pixels_of(self._images[index])
        place = range(len(self._images))[index]
        return _RECENT.get(self._images[place], self._images[place + 1 : place + 1 + AHEAD])

    def digest(self, index: int) -> str:
        """Return the SHA-256 of a picture's file, without decoding it."""
        return self._images[index].sha256


def _file(image: ImageFile) -> File:
    try:
        status = image.path.stat()
    except OSError:  # decoding says what is wrong
        return image.path, image.sha256, 0, 0
    return image.path, image.sha256, status.st_ino, max(status.st_mtime_ns, status.st_ctime_ns)


def _bytes(future: Future[Pixels]) -> int:
    return 0 if future.cancelled() or future.exception() else future.result().nbytes
