"""How much do two pictures of the same thing differ, pixel by pixel?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.errors import MeasureError
from lora_checks.images.decoding import Pixels
from lora_checks.metrics import metric

INFINITY = float("inf")
SIDE, SIGMA = 11, 1.5  # of the window
LEVELS = 255.0
C1, C2 = (0.01 * LEVELS) ** 2, (0.03 * LEVELS) ** 2
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # exponents, finest first
ROUNDING = 1 / 12  # mean square error of rounding to 8 bits


@metric(extractor="", against="reference", per="image", better="higher", range=(-1, 1), takes="pair")
def ssim(a: Pixels, b: Pixels) -> float:
    """(H, W, 3), (H, W, 3) uint8 -> structural similarity in [-1, 1] (Wang et al. 2004).

    Higher is nearer, 1 is equal. It uses a Gaussian window of 11 x 11 with sigma 1.5 and population
    covariances, and is the mean over all windows inside the picture and over the three channels.
    """
    return float(np.mean([_maps(x, y)[0].mean() for x, y in _channels(a, b, SIDE)]))


@metric(extractor="", against="reference", per="image", better="higher", range=(0, 1), takes="pair")
def ms_ssim(a: Pixels, b: Pixels) -> float:
    """(H, W, 3), (H, W, 3) uint8 -> SSIM over five scales in [0, 1] (Wang et al. 2003).

    Higher is nearer, 1 is equal. It combines contrast and structure of every scale with the luminance of the
    coarsest; negative factors count as 0. Each scale averages 2 x 2 pixels of the last. Pictures need 176
    pixels a side.
    """
    return float(np.mean([_over_scales(x, y) for x, y in _channels(a, b, SIDE * 2 ** (len(SCALES) - 1))]))


@metric(extractor="", against="reference", per="image", better="higher", range=(0, 59), takes="pair")
def psnr(a: Pixels, b: Pixels) -> float:
    """(H, W, 3), (H, W, 3) uint8 -> peak signal-to-noise ratio of one pair in dB; higher is nearer.

    The mean square error is taken to be at least that of rounding to 8 bits, so that equal pictures have 58.9
    dB and not infinity. Leaving them out would hide a copy; an infinite value would hide all other pictures.
    """
    error = np.square(a.astype(np.float64) - b).mean()
    return float(10 * np.log10(LEVELS**2 / max(error, ROUNDING)))


def _channels(a: Pixels, b: Pixels, least: int) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    if min(a.shape[:2]) < least:
        raise MeasureError(
            f"a picture of {a.shape[1]} x {a.shape[0]} pixels is too small; each side needs at least {least}"
        )
    x, y = a.astype(np.float64), b.astype(np.float64)
    return [(x[:, :, i], y[:, :, i]) for i in range(3)]


def _over_scales(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    parts = []
    for _ in SCALES:
        whole, structure = (values.mean() for values in _maps(x, y))
        parts.append(structure)
        x, y = _halved(x), _halved(y)
    parts[-1] = whole
    return float(np.prod(np.power(np.maximum(parts, 0), SCALES)))


def _maps(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the maps of SSIM and of its part without luminance, (H - 10, W - 10) each."""
    mx, my, xx, yy, xy = (_blurred(values) for values in (x, y, x * x, y * y, x * y))
    structure = (2 * (xy - mx * my) + C2) / (xx - mx**2 + yy - my**2 + C2)
    return structure * (2 * mx * my + C1) / (mx**2 + my**2 + C1), structure


def _blurred(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Blur with the Gaussian window, only where it lies wholly inside."""
    window = np.exp(-((np.arange(SIDE) - SIDE // 2) ** 2) / (2 * SIGMA**2))
    window /= window.sum()
    for axis in (0, 1):
        length = x.shape[axis] - SIDE + 1
        x = sum(w * np.take(x, range(i, i + length), axis) for i, w in enumerate(window))
    return x


def _halved(x: NDArray[np.float64]) -> NDArray[np.float64]:
    height, width = (side - side % 2 for side in x.shape)
    halved: NDArray[np.float64] = x[:height, :width].reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    return halved
