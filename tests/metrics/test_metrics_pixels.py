"""Metrics of pixels in closed form, and which way is better."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from lora_checks import metrics
from lora_checks.core.errors import MeasureError
from lora_checks.metrics.of_pixels import OfPixels
from lora_checks.metrics.pixels import ms_ssim, psnr, ssim
from lora_checks.metrics.quality import brightness, clipped, contrast, flat, sharpness

PAIRS = [ssim, ms_ssim, psnr]


def plain(level: int, side: int = 200) -> np.ndarray:
    return np.full((side, side, 3), level, np.uint8)


def noisy(picture: np.ndarray, deviation: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, deviation, picture.shape)
    return np.clip(picture + noise, 0, 255).round().astype(np.uint8)


@pytest.mark.parametrize("fn", PAIRS)
def test_equal_pictures_have_the_best_value_and_a_worse_one_less(
    fn: Callable[..., float], large_photos: list[np.ndarray]
) -> None:
    picture = large_photos[0]
    values = [fn(picture, noisy(picture, deviation)) for deviation in (0, 5, 20, 80)]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 4
    assert metrics.get(fn.__name__).better == "higher"
    assert values[0] == pytest.approx(1 if fn is not psnr else 58.92, abs=0.01)
    assert fn(picture, noisy(picture, 20)) == pytest.approx(fn(noisy(picture, 20), picture))


def test_two_plain_pictures() -> None:
    """Without structure, SSIM is its luminance term alone."""
    c1 = (0.01 * 255) ** 2
    expected = (2 * 50 * 200 + c1) / (50**2 + 200**2 + c1)
    assert ssim(plain(50), plain(200)) == pytest.approx(expected)
    assert ms_ssim(plain(50), plain(200)) == pytest.approx(expected**0.1333)
    assert psnr(plain(50), plain(200)) == pytest.approx(20 * math.log10(255 / 150))


def test_too_small_is_an_error() -> None:
    with pytest.raises(MeasureError, match=r"10 x 10 pixels is too small; .*11"):
        ssim(plain(1, 10), plain(1, 10))
    with pytest.raises(MeasureError, match="200 x 10 pixels is too small"):
        ssim(plain(1)[:10], plain(1)[:10])
    assert ssim(plain(1, 11), plain(1, 11)) == ms_ssim(plain(1, 176), plain(1, 176)) == pytest.approx(1)
    with pytest.raises(MeasureError, match=r"175 x 175 .* 176"):
        ms_ssim(plain(1, 175), plain(1, 175))


def test_sharpness_of_noise_and_of_its_blur() -> None:
    """Grey noise of deviation s has a Laplacian of variance 20 s^2; a ramp has none."""
    grey = np.random.default_rng(0).normal(128, 10, (400, 400)).round().clip(0, 255)
    picture = np.repeat(grey[:, :, None], 3, axis=2).astype(np.uint8)
    assert sharpness(picture) == pytest.approx(20 * (100 + 1 / 12), rel=0.02)
    blurred = ((picture[:-1].astype(int) + picture[1:]) // 2).astype(np.uint8)
    assert sharpness(blurred) < sharpness(picture)
    ramp = np.repeat(np.tile(np.arange(200, dtype=np.uint8), (200, 1))[:, :, None], 3, axis=2)
    assert sharpness(ramp) == pytest.approx(0, abs=1e-9)


def test_exposure() -> None:
    assert [brightness(plain(level)) for level in (0, 100, 255)] == pytest.approx([0, 100, 255])
    half = plain(0)
    half[:100] = 255
    assert contrast(half) == pytest.approx(127.5)
    assert [clipped(picture) for picture in (plain(0), plain(128), plain(255), half)] == [1, 0, 1, 1]
    half[:50] = 128
    assert clipped(half) == pytest.approx(0.75)
    assert [clipped(plain(level)) for level in (2, 3, 252, 253)] == [1, 0, 0, 1]


def test_luma_weighs_the_channels() -> None:
    colours = np.zeros((1, 3, 3), np.uint8)
    colours[0, [0, 1, 2], [0, 1, 2]] = 100
    assert [brightness(colours[:, i : i + 1]) for i in range(3)] == pytest.approx([29.9, 58.7, 11.4])


def test_black_white_and_plain_pictures_are_flat_and_photos_are_not(photos: list[np.ndarray]) -> None:
    assert [flat(picture) for picture in (plain(0), plain(255), noisy(plain(128), 1), photos[0])] == [
        1,
        1,
        1,
        0,
    ]


def test_a_picture_is_flat_up_to_a_deviation_of_3_levels_in_each_channel() -> None:
    striped = plain(100)
    striped[:100, :, 2] = 105
    assert flat(striped) == 1  # a deviation of 2.5
    striped[:100, :, 2] = 106
    assert flat(striped) == 0  # of 3


def test_the_second_picture_is_scaled_to_the_first(photos: list[np.ndarray]) -> None:
    small = photos[0][::2, ::2]
    network = OfPixels(metrics.get("psnr"))
    assert network.distances([photos[0]], [small, photos[0]]).shape == (1, 2)
    assert network.paired([photos[0], photos[1]], [small, photos[1]])[1] == pytest.approx(58.92, abs=0.01)
    with pytest.raises(MeasureError, match="not 1 and 2"):
        network.paired(photos[:1], photos[:2])


def test_the_identity_of_a_metric_of_pixels_is_its_own() -> None:
    assert OfPixels(metrics.get("psnr")).id != OfPixels(metrics.get("ssim")).id
