"""Convolutions by another method give the same numbers, and only where that method is there."""

from __future__ import annotations

import pytest
import torch

from lora_checks.networks.convolution import SMALLEST_MAP, speed_up


def layers() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(64, 96, 5, padding=2),
        torch.nn.ReLU(),
        torch.nn.Conv2d(96, 64, 3, padding=1),
        torch.nn.Conv2d(64, 8, 3, stride=2),
    ).eval()


@pytest.mark.parametrize("size", [SMALLEST_MAP - 1, SMALLEST_MAP, 40])
def test_the_numbers_stay(size: int) -> None:
    """Up to 1e-5 of the largest value, the precision of float32 sums of this length."""
    plain, fast = layers(), layers()
    speed_up(fast)
    x = torch.randn(1, 64, size, size + 3).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        expected, found = plain(x), fast(x)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_layers_stay_as_they_are_where_the_method_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.nnpack, "is_available", lambda: False)
    module = layers()
    speed_up(module)
    assert all("forward" not in vars(layer) for layer in module)
