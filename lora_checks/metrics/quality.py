"""Is it a sound picture at all? Plain statistics of the pixels, and a learned aesthetic score.

Luma is ITU-R 601's 0.299 R + 0.587 G + 0.114 B in grey levels, 0 to 255. All of these metrics depend on the
content and size of the picture, so limits hold for one set of prompts at one size.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lora_checks.images.decoding import Pixels
from lora_checks.metrics import metric

INFINITY = float("inf")
WEIGHTS = np.array([0.299, 0.587, 0.114])
DARK, BRIGHT = 2, 253  # grey levels at which nothing is left to see
FLAT = 3.0  # grey levels of deviation; even a plain wall with noise has more


@metric(extractor="", against="nothing", per="image", better="higher", range=(0, INFINITY), takes="picture")
def sharpness(picture: Pixels) -> float:
    """(H, W, 3) uint8 -> variance of the luma's Laplacian at full size; higher is sharper, or noisier.

    The kernel is [0 1 0; 1 -4 1; 0 1 0], inside the border (Pech-Pacheco et al. 2000). 0 for a flat picture;
    noise of deviation s adds 20 s^2, so set a maximum, too.
    """
    x = luma(picture)
    around = x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:]
    return float((around - 4 * x[1:-1, 1:-1]).var())


@metric(extractor="aesthetic", against="nothing", per="image", better="higher", range=(-INFINITY, INFINITY))
def aesthetic(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, 1) -> (N,): how people would rate each picture, about 1 to 10, by LAION-Aesthetics V1.

    Higher is better. It knows photos and art from the web but nothing about a subject: set a limit on its
    `gain` over the base, not on the score.
    """
    return x[:, 0]


@metric(extractor="", against="nothing", per="image", better="higher", range=(0, 255), takes="picture")
def brightness(picture: Pixels) -> float:
    """(H, W, 3) uint8 -> mean luma, 0 (black) to 255 (white); set two limits, as neither end is good."""
    return float(luma(picture).mean())


@metric(extractor="", against="nothing", per="image", better="higher", range=(0, 127.5), takes="picture")
def contrast(picture: Pixels) -> float:
    """(H, W, 3) uint8 -> standard deviation of luma, 0 (flat) to 127.5; higher has more contrast."""
    return float(luma(picture).std())


@metric(extractor="", against="nothing", per="image", better="lower", range=(0, 1), takes="picture")
def clipped(picture: Pixels) -> float:
    """(H, W, 3) uint8 -> share of pixels with luma at most 2 or at least 253; lower is better."""
    x = luma(picture)
    return float(((x <= DARK) | (x >= BRIGHT)).mean())


@metric(
    extractor="",
    against="nothing",
    per="image",
    better="lower",
    range=(0, 1),
    takes="picture",
    two_valued=True,
)
def flat(picture: Pixels) -> float:
    """(H, W, 3) uint8 -> 1 for a black, white or plain picture (no channel deviates by 3 levels), else 0.

    Lower is better; the mean is the share of such images.
    """
    return float(picture.std(axis=(0, 1)).max() < FLAT)


def luma(picture: Pixels) -> NDArray[np.float64]:
    """(H, W, 3) uint8 -> (H, W)."""
    grey: NDArray[np.float64] = picture @ WEIGHTS
    return grey
