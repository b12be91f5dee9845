"""Multiply the vectors of pictures, and know pictures by their files.

Two sides of pictures are compared: a file is decoded only to make its vector, which its digest names. The dot
products are summed in double precision, on a CPU or on an NVIDIA or AMD GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lora_checks.images.decoded import Decoded
from lora_checks.images.decoding import Pixels
from lora_checks.networks.kept import key_of
from lora_checks.networks.resize import resized

if TYPE_CHECKING:
    from torch import Tensor

BATCH_BYTES = 256 << 20  # vectors multiplied at a time
CHUNK = 1 << 14  # columns converted to double precision at a time: they stay in the cache
DIFFERENCES = 1 << 16  # numbers subtracted at a time, for the same reason
Size = tuple[int, int]  # height and width


class Side:
    """The pictures on one side of a call; a file is decoded only to make its vector.

    Args:
        pictures: What to compare.
        sizes: The size of each file that was decoded before, by its digest.
    """

    def __init__(self, pictures: Sequence[Pixels], sizes: dict[str, Size]) -> None:
        self._pictures, self._sizes = pictures, sizes
        self._keys: dict[tuple[int, Size], str] = {}
        self._last: tuple[int, Pixels] | None = None

    def __len__(self) -> int:
        return len(self._pictures)

    def size(self, i: int) -> Size:
        """Return the height and width of a picture."""
        digest = self._digest(i)
        if digest in self._sizes:
            return self._sizes[digest]
        height, width = self._decoded(i).shape[:2]
        if digest:
            self._sizes[digest] = height, width
        return height, width

    def key(self, i: int, size: Size) -> str:
        """Return what identifies the pixels of a picture at a size."""
        if (i, size) not in self._keys:
            self._keys[i, size] = self.of_file(i, size) or key_of(self.pixels(i, size))
        return self._keys[i, size]

    def of_file(self, i: int, size: Size) -> str:
        """Return the key of a picture whose file's digest is known, without decoding it; else ""."""
        digest = self._digest(i)
        return digest and f"{digest} {size[0]}x{size[1]}"

    def pixels(self, i: int, size: Size) -> Pixels:
        """Decode a picture and scale it to a size."""
        return resized(self._decoded(i), size)

    def _digest(self, i: int) -> str:
        return self._pictures.digest(i) if isinstance(self._pictures, Decoded) else ""

    def _decoded(self, i: int) -> Pixels:
        if self._last is None or self._last[0] != i:
            self._last = i, self._pictures[i]
        return self._last[1]


@dataclass
class Batch:
    """Vectors that are multiplied together."""

    places: list[int] = field(default_factory=list)  # of their pictures
    keys: list[str] = field(default_factory=list)
    vectors: list[Tensor] = field(default_factory=list)  # (D,) each

    def full(self) -> bool:
        """Return whether one more vector would exceed `BATCH_BYTES`."""
        one = self.vectors[0] if self.vectors else None
        return one is not None and (len(self.vectors) + 1) * one.numel() * one.element_size() > BATCH_BYTES


def products(x: Sequence[Tensor], y: Sequence[Tensor], device: str) -> Tensor:
    """Return the dot product of each x and each y, (N, M) float64 on the CPU.

    The vectors are on the CPU. On a GPU they are multiplied there, in pieces that fit into its free memory.
    Where x is a part of y, as of references and references, each vector is converted once.
    """
    import torch

    place = device if device.startswith("cuda") else "cpu"  # MPS has no double precision
    first = _first(x, y)
    vectors = y if first is not None else [*y, *x]
    length, begin = len(x[0]), len(y) if first is None else first
    piece = CHUNK if place == "cpu" else piece_of(len(vectors), length, _free(place))
    total = torch.zeros(len(x), len(y), dtype=torch.float64, device=place)
    both = total.new_empty(len(vectors), piece)
    a, b = both[begin : begin + len(x)], both[: len(y)]
    for start in range(0, length, piece):
        width = min(piece, length - start)
        for row, vector in zip(both, vectors, strict=True):
            row[:width].copy_(vector[start : start + width])
        total.addmm_(a[:, :width], b[:, :width].T)
    return total.cpu()


def squared_distance(x: Tensor, y: Tensor) -> float:
    """Return the squared distance of two vectors on the CPU, summed in double precision.

    In pieces, so that the difference and its squares, which are not needed, stay in the cache.
    """
    import torch

    total, difference = 0.0, torch.empty(DIFFERENCES)
    for start in range(0, len(x), DIFFERENCES):
        a, b = x[start : start + DIFFERENCES], y[start : start + DIFFERENCES]
        piece = torch.sub(a, b, out=difference[: len(a)])
        total += float(piece.square_().sum(dtype=torch.float64))
    return total


def _first(x: Sequence[Tensor], y: Sequence[Tensor]) -> int | None:
    """Return where x stands in y, if all its vectors stand there in order; else None."""
    ours, theirs = ([vector.data_ptr() for vector in side] for side in (x, y))
    first = theirs.index(ours[0]) if ours[0] in theirs else 0
    return first if ours == theirs[first : first + len(ours)] else None


def piece_of(rows: int, length: int, free: int) -> int:
    """Return how many columns of ``rows`` vectors fit into a quarter of the free memory, in double precision.

    At least `CHUNK`: where not even that fits, the device says that its memory ran out.
    """
    return max(CHUNK, min(length, free // (4 * 8 * rows)))


def _free(device: str) -> int:
    import torch

    free: int = torch.cuda.mem_get_info(device)[0]
    return free
