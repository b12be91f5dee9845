"""Mean and covariance of a set of features in a file: pytorch-fid's ``.npz`` with ``mu`` and ``sigma``.

Files of either program are read by the other. Ours also say how many images they are of and which network
made the features, so that they are never compared with another network's.
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
from lora_checks.images.decoding import Decoded, Pixels, image_file, list_images
from lora_checks.networks import Floats, ImageExtractor, refuse_changed


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    mu: NDArray[np.float64]  # (D,)
    sigma: NDArray[np.float64]  # (D, D), ddof 1
    n: int | None = None  # images it is of, where the file says so
    network: str = ""  # id of the extractor, "" where the file does not say


def moments(features: NDArray[np.floating[Any]], network: str = "") -> Moments:
    """Of (N, D) features; `MeasureError` for fewer than two images or for features that are not finite."""
    x = usable(features)
    return Moments(x.mean(axis=0), np.cov(x, rowvar=False), len(x), network)


def usable(features: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """(N, D) as float64; `MeasureError` where a covariance would be undefined or NaN."""
    x = np.asarray(features, np.float64)
    bad = int((~np.isfinite(x)).any(axis=1).sum())
    if bad:
        raise MeasureError(f"{bad} of {len(x)} images have no usable features (NaN or infinite)")
    if len(x) < 2:
        raise MeasureError(f"a distance of distributions needs at least 2 images on each side, not {len(x)}")
    return x


def write_statistics(folder: Path, out: Path, extractor: ImageExtractor, batch: int = 16) -> None:
    """Measure the pictures of ``folder`` and write their mean and covariance to ``out``."""
    if out.suffix != ".npz":
        raise ConfigError(f"{out}: name a file that ends in .npz")
    decoded = Decoded([image_file(path) for path in list_images(folder)])
    found = moments(_features(decoded, extractor, batch), extractor.id)
    refuse_changed(extractor)
    buffer = io.BytesIO()
    np.savez(buffer, mu=found.mu, sigma=found.sigma, n=np.int64(found.n or 0), network=np.str_(found.network))
    try:
        write_atomically(out, buffer.getvalue())
    except OSError as error:
        raise StoreError(f"{out}: cannot be written: {error.strerror}") from error


def _features(images: Sequence[Pixels], extractor: ImageExtractor, batch: int) -> Floats:
    parts = [extractor.images(images[start : start + batch]) for start in range(0, len(images), batch)]
    return np.concatenate(parts)


def read_statistics(path: Path, network: str = "", content: bytes | None = None) -> Moments:
    """Read ``mu`` and ``sigma``; `ConfigError` names what is wrong with the file.

    ``network`` is the id of the extractor they will be compared under, where that is known; ``content`` is
    what the file held when it was hashed.
    """
    try:
        with np.load(path if content is None else io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ConfigError(
            f"{path}: is no .npz of statistics; make one with `stats FOLDER OUT.npz`"
        ) from error
    absent = {"mu", "sigma"} - arrays.keys()
    if absent:
        raise ConfigError(
            f"{path}: lacks {' and '.join(sorted(absent))}; it holds {', '.join(arrays) or 'nothing'}"
        )
    found = _checked(path, arrays)
    if network and found.network and network != found.network:
        raise ConfigError(
            f"{path}: was made with {found.network}, and the policy names {network}; make it again"
        )
    return found


def _checked(path: Path, arrays: dict[str, NDArray[Any]]) -> Moments:
    mu, sigma = arrays["mu"], arrays["sigma"]
    if mu.dtype.kind != "f" or sigma.dtype.kind != "f":
        raise ConfigError(f"{path}: mu is of {mu.dtype} and sigma of {sigma.dtype}; expected floats")
    if mu.ndim != 1 or sigma.shape != (mu.size, mu.size):
        raise ConfigError(f"{path}: mu is {mu.shape} and sigma {sigma.shape}; expected (D,) and (D, D)")
    if not (np.isfinite(mu).all() and np.isfinite(sigma).all()):
        raise ConfigError(f"{path}: holds NaN or infinite numbers; make it again")
    if not np.allclose(sigma, sigma.T, atol=1e-6 * np.abs(sigma).max()):
        raise ConfigError(f"{path}: sigma is not symmetric, so it is no covariance")
    n = int(arrays["n"]) if "n" in arrays else None
    network = str(arrays["network"]) if "network" in arrays else ""
    return Moments(mu.astype(np.float64), sigma.astype(np.float64), n, network)
