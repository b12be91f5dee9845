"""Read and write mean and covariance of features as pytorch-fid's ``.npz`` with ``mu`` and ``sigma``.

Each program reads the other's files. Files written here also hold the number of images and the network that
made the features, so that they are never compared with features of another network.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.errors import ConfigError, StoreError
from lora_checks.core.files import write_atomically
from lora_checks.core.records import ImageFile
from lora_checks.core.store import Progress, Store
from lora_checks.metrics.moments import Moments, streamed
from lora_checks.networks import ImageExtractor
from lora_checks.networks.blocks import Blocks


def write_statistics(
    pictures: Sequence[ImageFile],
    out: Path,
    extractor: ImageExtractor,
    store: Store,
    progress: Progress | None = None,
    workers: int | None = None,
) -> Moments:
    """Measure pictures and write the mean and covariance of their features, in constant memory.

    Args:
        pictures: What `image_set` lists.
        out: The file, ending in .npz.
        extractor: The network.
        store: Where features are kept: a run that was killed goes on from there.
        progress: Gets the number of pictures that the network has yet to see, then those done.
        workers: Threads; see `Blocks.rows`.

    Returns:
        What was written.

    Raises:
        ConfigError: ``out`` has another ending.
        MeasureError: A picture cannot be decoded or measured; it is named.
        StoreError: ``out`` cannot be written.
    """
    if out.suffix != ".npz":
        raise ConfigError(f"{out}: name a file that ends in .npz")
    stats = streamed(Blocks(pictures, extractor, store).rows(progress, workers), extractor.id)
    buffer = io.BytesIO()
    np.savez(buffer, mu=stats.mu, sigma=stats.sigma, n=np.int64(stats.n or 0), network=np.str_(stats.network))
    try:
        write_atomically(out, buffer.getvalue())
    except OSError as error:
        raise StoreError(f"{out}: cannot be written: {error.strerror}") from error
    return stats


def read_statistics(path: Path, network: str = "", content: bytes | None = None) -> Moments:
    """Read mean and covariance from a file.

    Args:
        path: The file.
        network: The id of the network whose features they will be compared with; "" if that is unknown.
        content: What the file held when it was hashed; None to read it now.

    Raises:
        ConfigError: The file cannot be read, is malformed, or was made with another network.
    """
    try:
        with np.load(path if content is None else io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ConfigError(
            f"{path}: is not an .npz of statistics; make one with `stats FOLDER OUT.npz`"
        ) from error
    absent = {"mu", "sigma"} - arrays.keys()
    if absent:
        raise ConfigError(
            f"{path}: lacks {' and '.join(sorted(absent))}; it holds {', '.join(arrays) or 'nothing'}"
        )
    stats = _checked(path, arrays)
    if network and stats.network and network != stats.network:
        raise ConfigError(
            f"{path}: was made with {stats.network}, and the policy names {network}; make it again"
        )
    return stats


def _checked(path: Path, arrays: dict[str, NDArray[Any]]) -> Moments:
    mu, sigma = arrays["mu"], arrays["sigma"]
    if mu.dtype.kind != "f" or sigma.dtype.kind != "f":
        raise ConfigError(f"{path}: mu is of {mu.dtype} and sigma of {sigma.dtype}; expected floats")
    if mu.ndim != 1 or sigma.shape != (mu.size, mu.size):
        raise ConfigError(f"{path}: mu is {mu.shape} and sigma {sigma.shape}; expected (D,) and (D, D)")
    if not (np.isfinite(mu).all() and np.isfinite(sigma).all()):
        raise ConfigError(f"{path}: holds NaN or infinite numbers; make it again")
    if not np.allclose(sigma, sigma.T, atol=1e-6 * np.abs(sigma).max()):
        raise ConfigError(f"{path}: sigma is not symmetric, so it is not a covariance")
    n = int(arrays["n"]) if "n" in arrays else None
    network = str(arrays["network"]) if "network" in arrays else ""
    return Moments(mu.astype(np.float64), sigma.astype(np.float64), n, network)
