"""Gather the mean and covariance of features, block by block and without loss.

Each block's features are centred, and blocks are merged in order (Chan, Golub & LeVeque 1979; Pebay 2008), so
a million images need no more memory than a block. Sums of squares without centring would lose the digits that
the mean takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.errors import MeasureError
from lora_checks.metrics.mapped import once

Array = NDArray[np.floating[Any]]
ROWS = 1024  # of a block: its boundaries, and so the last digits, depend on nothing but the rows' order


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Mean and covariance of a set of features."""

    mu: NDArray[np.float64]  # (D,)
    sigma: NDArray[np.float64]  # (D, D), ddof 1
    n: int | None = None  # number of images, if the file has it
    network: str = ""  # id of the network, "" if the file does not have it


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """What is known of the rows so far."""

    n: int
    mean: NDArray[np.float64]  # (D,)
    spread: NDArray[np.float64]  # (D, D): sum of the outer products of the centred rows

    @classmethod
    def of(cls, rows: NDArray[np.float64]) -> Gathered:
        """Return that of some rows, (N, D)."""
        mean = rows.mean(axis=0)
        centred = rows - mean
        return cls(len(rows), mean, centred.T @ centred)

    def merged(self, other: Gathered) -> Gathered:
        """Return that of both sets of rows (Chan et al., eq. 1.5)."""
        n, apart = self.n + other.n, other.mean - self.mean
        mean = self.mean + apart * (other.n / n)
        spread = self.spread + other.spread + np.outer(apart, apart) * (self.n * other.n / n)
        return Gathered(n, mean, spread)


def moments(features: Array, network: str = "") -> Moments:
    """Return mean and covariance of (N, D) features; raise `MeasureError` as `usable` does."""
    if len(features) > ROWS:
        return once(features, f"moments {network}", lambda: streamed(in_rows(features), network))
    x = usable(features)
    return Moments(x.mean(axis=0), np.cov(x, rowvar=False), len(x), network)


def streamed(parts: Iterable[Array], network: str = "") -> Moments:
    """Return mean and covariance of rows that come in parts of any size, (n, D) each.

    How the rows are divided changes nothing, to the last bit.

    Raises:
        MeasureError: A row is not finite, or there are fewer than two.
    """
    gathered: Gathered | None = None
    bad = total = 0
    for part in even(parts, ROWS):
        x = np.asarray(part, np.float64)
        total += len(x)
        bad += int((~np.isfinite(x)).any(axis=1).sum())
        if not bad:
            block = Gathered.of(x)
            gathered = block if gathered is None else gathered.merged(block)
    _refuse(bad, total)
    if gathered is None:  # pragma: no cover  # _refuse has raised
        raise MeasureError("there are no features")
    sigma = gathered.spread / (gathered.n - 1)
    return Moments(gathered.mean, (sigma + sigma.T) / 2, gathered.n, network)


def even(parts: Iterable[Array], rows: int) -> Iterator[Array]:
    """Yield the same rows in parts of ``rows``, of which only the last may be shorter."""
    held: list[Array] = []
    size = 0
    for part in parts:
        while size + len(part) >= rows:
            taken = rows - size
            yield np.concatenate([*held, part[:taken]])
            part, held, size = part[taken:], [], 0
        if len(part):
            held.append(part)
            size += len(part)
    if held:
        yield np.concatenate(held)


def in_rows(features: Array, rows: int = ROWS) -> Iterator[Array]:
    """Yield the rows of (N, D) features a part at a time; they may be in a mapped file."""
    for start in range(0, len(features), rows):
        yield features[start : start + rows]


def usable(features: Array) -> NDArray[np.float64]:
    """Return (N, D) as float64; raise `MeasureError` if the covariance would be undefined or NaN."""
    x = np.asarray(features, np.float64)
    _refuse(int((~np.isfinite(x)).any(axis=1).sum()), len(x))
    return x


def _refuse(bad: int, total: int) -> None:
    if bad:
        raise MeasureError(f"{bad} of {total} images have no usable features (NaN or infinite)")
    if total < 2:
        raise MeasureError(
            f"a distance of distributions needs at least 2 images on each side, and there are {total}"
        )
