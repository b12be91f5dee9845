"""Do the pictures have the detail of real ones at each scale, and no regular pattern on top?

What a decoder, an upscaler or too much training leaves in a picture often shows in its spectrum first: grain,
blur, or a grid (Durall et al. 2020, "Watch your Up-Convolution"; Frank et al. 2020).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.errors import MeasureError
from lora_checks.images.decoding import Pixels
from lora_checks.images.spectrum import LEAST, power, radius, square
from lora_checks.metrics import metric
from lora_checks.metrics.vectors import Array

INFINITY = float("inf")
OCTAVE = 5  # rings of `networks.spectrum`
NEAR, FAR = 3, 8  # steps from a coefficient to its neighbours; the window spreads a wave over two
DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1), (1, 2), (2, 1), (1, -2), (2, -1))
COARSE = 1 / 32  # cycles per pixel up to which a pattern belongs to what the picture shows
SMALLEST = 64


@metric(extractor="spectrum", against="reference", per="image", better="lower", range=(0, INFINITY))
def spectrum_low(x: Array, y: Array) -> NDArray[np.float64]:
    """(N, 25), (M, 25) in dB -> (N,) distance to the references' mean, 1/64 to 1/16 cycles per pixel.

    The distance is the root of the mean square over the band, in dB (log-spectral distance); lower is closer.
    """
    return _apart(x[:, : 2 * OCTAVE], y[:, : 2 * OCTAVE])


@metric(extractor="spectrum", against="reference", per="image", better="lower", range=(0, INFINITY))
def spectrum_middle(x: Array, y: Array) -> NDArray[np.float64]:
    """(N, 25), (M, 25) in dB -> (N,) the same from 1/16 to 1/4 cycles per pixel; lower is closer."""
    return _apart(x[:, 2 * OCTAVE : 4 * OCTAVE], y[:, 2 * OCTAVE : 4 * OCTAVE])


@metric(extractor="spectrum", against="reference", per="image", better="lower", range=(0, INFINITY))
def spectrum_high(x: Array, y: Array) -> NDArray[np.float64]:
    """(N, 25), (M, 25) in dB -> (N,) the same from 1/4 to 1/2 cycles per pixel; lower is closer."""
    return _apart(x[:, 4 * OCTAVE :], y[:, 4 * OCTAVE :])


@metric(extractor="spectrum", against="reference", per="image", better="higher", range=(-INFINITY, INFINITY))
def fine_detail(x: Array, y: Array) -> NDArray[np.float64]:
    """(N, 25), (M, 25) in dB -> (N,) power above 1/4 cycle per pixel less the references', in dB.

    0 is like the references, -10 a tenth of their fine detail (blur), 10 ten times it (grain, halos). Neither
    end is good, so set two limits. The page's percentage is this value.
    """
    fine = np.asarray(x, np.float64)[:, -OCTAVE:].mean(axis=1)
    apart: NDArray[np.float64] = fine - np.asarray(y, np.float64)[:, -OCTAVE:].mean()
    return apart


@metric(extractor="", against="nothing", per="image", better="lower", range=(0, INFINITY), takes="picture")
def grid(picture: Pixels) -> float:
    """(H, W, 3) uint8 -> dB by which the strongest regular pattern stands out of its surroundings.

    A pattern that repeats across the picture, such as the seams of a decoder's patches, is a single point in
    the magnitude spectrum. Each point is compared with the geometric mean of its neighbours on a line, in the
    one of eight directions where these are strongest, so that an edge, which is a line in the spectrum, does
    not count; nor does what repeats more slowly than every 32 pixels. Noise and most photos have 8 to 13; a
    wave of amplitude a over noise of deviation s has about 20 log10(a S / 3 s) - 1 dB on a square of side S.
    Lower is better. What the picture shows may be a pattern, too, such as a striped shirt: gate the gain over
    the base, or a share of images.
    """
    middle = square(picture)
    side = len(middle)
    if side < SMALLEST:
        raise MeasureError(
            f"a picture of {picture.shape[1]} x {picture.shape[0]} pixels is too small; each side needs at "
            f"least {SMALLEST}"
        )
    half = 10 * np.log10(power(middle) + np.float32(LEAST))
    whole = _whole(half, side)
    above = half - _surroundings(whole)[:, : half.shape[1]]
    return max(0.0, float(above[radius(side) >= COARSE].max()))


def _apart(x: Array, y: Array) -> NDArray[np.float64]:
    difference = np.asarray(x, np.float64) - np.asarray(y, np.float64).mean(axis=0)
    distance: NDArray[np.float64] = np.sqrt(np.square(difference).mean(axis=1))
    return distance


def _whole(half: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Return (S, S) from (S, S // 2 + 1): the spectrum of real numbers is symmetric about its middle."""
    mirrored = np.roll(half[::-1, ::-1], 1, axis=0)[:, (1 - side % 2) : -1]
    return np.concatenate([half, mirrored], axis=1)


def _surroundings(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean level of the neighbours on a line, in the direction where it is highest."""
    best = np.full_like(levels, -np.inf)
    for down, right in DIRECTIONS:
        longest = max(down, abs(right))
        steps = [sign * step for step in range(NEAR, FAR + 1) for sign in (1, -1) if step % longest == 0]
        near = sum(
            np.roll(levels, (step // longest * down, step // longest * right), (0, 1)) for step in steps
        )
        best = np.maximum(best, near / len(steps))
    return best
