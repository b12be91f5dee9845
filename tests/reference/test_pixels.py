"""SSIM and PSNR against scikit-image, MS-SSIM against pytorch-msssim, sharpness against OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from pytorch_msssim import ms_ssim as torch_ms_ssim
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from lora_checks.metrics.pixels import ms_ssim, psnr, ssim
from lora_checks.metrics.quality import luma, sharpness


@pytest.fixture
def pairs(large_photos: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """A photo with noise, with its neighbour's row, brighter, and another photo."""
    a, b = (photo[:301, :400] for photo in large_photos[:2])
    noise = np.random.default_rng(0).normal(0, 12, a.shape)
    return [(a, np.clip(a + noise, 0, 255).astype(np.uint8)), (a, np.roll(a, 1, axis=0)), (a, a // 2), (a, b)]


def test_ssim(pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """To 1e-9 of Wang's setting in scikit-image, whose mean leaves out the border, too."""
    for a, b in pairs:
        expected = structural_similarity(
            a,
            b,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
            channel_axis=2,
        )
        assert ssim(a, b) == pytest.approx(expected, abs=1e-9)


def test_ms_ssim(pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """To 1e-5 of its float32, on sides that every step halves evenly: it pads an odd one with black."""
    for a, b in pairs:
        even = [np.ascontiguousarray(picture[:288, :400]) for picture in (a, b)]
        x, y = (torch.from_numpy(p).permute(2, 0, 1)[None].float() for p in even)
        expected = float(torch_ms_ssim(x, y, data_range=255))
        assert ms_ssim(*even) == pytest.approx(expected, abs=1e-5)


def test_psnr(pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """To 1e-9 where the pictures differ by more than rounding."""
    for a, b in pairs:
        assert psnr(a, b) == pytest.approx(peak_signal_noise_ratio(a, b, data_range=255), abs=1e-9)


def test_sharpness(large_photos: list[np.ndarray]) -> None:
    """To 1e-9 of OpenCV's Laplacian without its border."""
    for photo in large_photos:
        expected = cv2.Laplacian(luma(photo), cv2.CV_64F)[1:-1, 1:-1].var()
        assert sharpness(photo) == pytest.approx(expected, rel=1e-9)


def test_luma(large_photos: list[np.ndarray]) -> None:
    """To half a level, which OpenCV rounds away."""
    grey = cv2.cvtColor(large_photos[0], cv2.COLOR_RGB2GRAY)
    assert np.abs(luma(large_photos[0]) - grey).max() <= 0.51
