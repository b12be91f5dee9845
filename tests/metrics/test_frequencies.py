"""Metrics of frequencies in closed form: noise, blur and a grid whose spectra are known."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from lora_checks import networks
from lora_checks.core.errors import ConfigError, MeasureError
from lora_checks.metrics.frequencies import fine_detail, grid, spectrum_high, spectrum_low, spectrum_middle
from lora_checks.networks.self_test.scores import examine
from lora_checks.networks.spectrum import EDGES
from lora_checks.report.html import spectrum as of_page

BANDS = (spectrum_low, spectrum_middle, spectrum_high)


def grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values.round().clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def noise(side: int, deviation: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(128, deviation, (side, side))


def wave(side: int, amplitude: float, period: int) -> np.ndarray:
    return np.broadcast_to(amplitude * np.cos(2 * np.pi * np.arange(side) / period), (side, side))


def blurred(values: np.ndarray, sigma: float) -> np.ndarray:
    """Blur by the transfer function itself: exp(-2 pi^2 sigma^2 f^2)."""
    frequency = np.hypot(np.fft.fftfreq(len(values))[:, None], np.fft.fftfreq(len(values)))
    transfer = np.exp(-2 * np.pi**2 * sigma**2 * frequency**2)
    return np.fft.ifft2(np.fft.fft2(values) * transfer).real


def features(*pictures: np.ndarray, side: int = 256) -> Any:
    return networks.build("spectrum", {"side": side}, "cpu").images([grey(one) for one in pictures])


@pytest.mark.parametrize("side", [64, 255, 512])
def test_noise_has_its_variance_at_every_frequency_whatever_the_size(side: int) -> None:
    rows = features(*(noise(side, 20, seed) for seed in range(20)), side=side)
    expected = 10 * math.log10((20**2 + 1 / 12) / 255**2)
    assert rows.shape == (20, 25)
    fine = rows[:, 10:].mean(axis=0)
    assert np.abs(fine - expected).max() < (1 if side == 64 else 0.5)
    assert fine[-1] == pytest.approx(expected, abs=0.15)


def test_twice_the_noise_is_six_decibels_in_every_band() -> None:
    plain, loud = (features(*(noise(256, d, seed) for seed in range(8))) for d in (10, 20))
    for band in BANDS:
        assert band(loud, plain).mean() == pytest.approx(20 * math.log10(2), abs=1)
        assert band(plain, plain).mean() < 1.5
    assert fine_detail(loud, plain).mean() == pytest.approx(20 * math.log10(2), abs=0.05)
    assert fine_detail(plain, plain).mean() == pytest.approx(0, abs=1e-6)


def test_blur_takes_what_its_transfer_function_says() -> None:
    sharp = [noise(256, 30, seed) for seed in range(8)]
    plain, soft = features(*sharp), features(*(blurred(one, 0.5) for one in sharp))
    rings = []
    for low, high in pairwise(EDGES[20:]):
        f = np.linspace(low, high, 200)
        kept = np.exp(-4 * np.pi**2 * 0.5**2 * f**2)
        rings.append(10 * math.log10((kept * f).sum() / f.sum()))
    assert fine_detail(soft, plain).mean() == pytest.approx(np.mean(rings), abs=0.15)
    assert spectrum_high(soft, plain).mean() == pytest.approx(np.sqrt(np.mean(np.square(rings))), abs=0.3)
    assert spectrum_low(soft, plain).mean() < 1.5


def test_a_grid_is_in_its_own_band_alone() -> None:
    plain = features(*(noise(256, 8, seed) for seed in range(8)))
    for period, band in ((32, spectrum_low), (8, spectrum_middle), (3, spectrum_high)):
        lined = features(*(noise(256, 8, seed) + wave(256, 12, period) for seed in range(8)))
        apart = {other.__name__: other(lined, plain).mean() for other in BANDS}
        assert max(apart, key=lambda name: apart[name]) == band.__name__
        assert all(value < 1.6 for name, value in apart.items() if name != band.__name__)


@pytest.mark.parametrize("side", [128, 257, 512])
@pytest.mark.parametrize("amplitude", [4, 16])
def test_a_wave_stands_out_by_its_amplitude(side: int, amplitude: float) -> None:
    found = grid(grey(noise(side, 8) + wave(side, amplitude, 8)))
    assert found == pytest.approx(20 * math.log10(amplitude * side / 3 / 8) - 1, abs=2.5)


def test_seams_of_patches_are_seen_in_a_photo_and_edges_are_not(large_photos: list[np.ndarray]) -> None:
    seams = np.zeros(large_photos[0].shape[:2])
    seams[::16] += 10
    seams[:, ::16] += 10
    for photo in large_photos:
        lined = (photo + seams[:, :, None]).clip(0, 255).astype(np.uint8)
        assert grid(photo) < 15 < 20 < grid(lined)
    edge = np.where(np.arange(200)[:, None] > 0.4 * np.arange(200), 200.0, 50.0)
    assert grid(grey(edge + noise(200, 3) - 128)) < 15


def test_the_page_has_the_same_fine_detail() -> None:
    plain, soft = grey(noise(256, 30)), grey(blurred(noise(256, 30, 1), 0.4))
    curves = [
        of_page.fine(curve, 256) for one in (soft, plain) if (curve := of_page.radial(one, 256)) is not None
    ]
    network = networks.build("spectrum", {"side": 256}, "cpu")
    decibels = fine_detail(network.images([soft]), network.images([plain]))[0]  # type: ignore[attr-defined]
    assert 10 * (curves[0] - curves[1]) == pytest.approx(decibels, abs=0.3)


def test_larger_pictures_are_compared_at_the_side_and_smaller_ones_refused() -> None:
    assert features(noise(512, 20), side=256).shape == (1, 25)
    with pytest.raises(MeasureError, match=r"128 x 128 pixels has no spectrum at 256 px; .* `side`"):
        features(noise(128, 20), side=256)
    with pytest.raises(MeasureError, match="40 x 40 pixels is too small; each side needs at least 64"):
        grid(grey(noise(40, 20)))
    for side in (32, 64.0, True, 5000):
        with pytest.raises(ConfigError, match=r"spectrum: side: must be a whole number from 64 to 4096"):
            networks.build("spectrum", {"side": side}, "cpu")


def test_its_self_test_has_pictures_of_its_size() -> None:
    numbers = examine(networks.build("spectrum", {"side": 512}, "cpu"))
    assert numbers["first-second"] < 0.99
