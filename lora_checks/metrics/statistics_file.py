"""Read and write mean and covariance of features as pytorch-fid's ``.npz`` with ``mu`` and ``sigma``.

Each program reads the other's files. Files written here also hold the number of images and the network that
made the features, so that they are never compared with features of another network.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.errors import ConfigError, MeasureError, StoreError
from lora_checks.core.files import write_atomically
from lora_checks.images.decoded import Decoded
from lora_checks.images.decoding import Pixels, image_file, list_images
from lora_checks.networks import Floats, ImageExtractor, refuse_changed


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Mean and covariance of a set of features."""

    mu: NDArray[np.float64]  # (D,)
    sigma: NDArray[np.float64]  # (D, D), ddof 1
    n: int | None = None  # number of images, if the file has it
    network: str = ""  # id of the network, "" if the file does not have it


def moments(features: NDArray[np.floating[Any]], network: str = "") -> Moments:
    """Return mean and covariance of (N, D) features; raise `MeasureError` as `usable` does."""
    x = usable(features)
    return Moments(x.mean(axis=0), np.cov(x, rowvar=False), len(x), network)


def usable(features: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return (N, D) as float64; raise `MeasureError` if the covariance would be undefined or NaN."""
    x = np.asarray(features, np.float64)
    bad = int((~np.isfinite(x)).any(axis=1).sum())
    if bad:
        raise MeasureError(f"{bad} of {len(x)} images have no usable features (NaN or infinite)")
    if len(x) < 2:
        raise MeasureError(
            f"a distance of distributions needs at least 2 images on each side, and there are {len(x)}"
        )
    return x


def write_statistics(folder: Path, out: Path, extractor: ImageExtractor, batch: int = 16) -> None:
    """Measure the pictures of a folder and write their mean and covariance.

    Args:
        folder: The pictures.
        out: The file, ending in .npz.
        extractor: The network.
        batch: How many pictures to decode at a time.

    Raises:
        ConfigError: ``out`` has another ending, or the folder cannot be read.
        StoreError: ``out`` cannot be written.
    """
    if out.suffix != ".npz":
        raise ConfigError(f"{out}: name a file that ends in .npz")
    decoded = Decoded([image_file(path) for path in list_images(folder)])
    stats = moments(_features(decoded, extractor, batch), extractor.id)
    refuse_changed(extractor)
    buffer = io.BytesIO()
    np.savez(buffer, mu=stats.mu, sigma=stats.sigma, n=np.int64(stats.n or 0), network=np.str_(stats.network))
    try:
        write_atomically(out, buffer.getvalue())
    except OSError as error:
        raise StoreError(f"{out}: cannot be written: {error.strerror}") from error


def _features(images: Sequence[Pixels], extractor: ImageExtractor, batch: int) -> Floats:
    parts = [extractor.images(images[start : start + batch]) for start in range(0, len(images), batch)]
    return np.concatenate(parts)


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
