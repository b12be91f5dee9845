"""The inception slot with ``resize: clean`` against clean-fid."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from cleanfid.resize import build_resizer
from pytorch_fid import inception as pytorch_inception

from lora_checks.networks.inception import Inception
from lora_checks.networks.resize import clean


def test_the_resize(photos: list[np.ndarray], large_photos: list[np.ndarray]) -> None:
    """Exactly, up and down, on sides that are not equal."""
    resize = build_resizer("clean")
    for picture in (photos[0], photos[1][:50], large_photos[0]):
        np.testing.assert_array_equal(clean(picture, 299), resize(picture))


def test_the_network_scales_nothing_after_it(
    photos: list[np.ndarray], inception_file: Path, inception: Inception
) -> None:
    """To 1e-4 of the largest feature: pytorch-fid's network with its own scaling switched off."""
    state = torch.load(inception_file)
    with patch.object(pytorch_inception, "load_state_dict_from_url", lambda *_, **__: state):
        network = pytorch_inception.InceptionV3([3], resize_input=False).eval()
    x = np.stack([build_resizer("clean")(picture) for picture in photos[:2]]) / 255
    with torch.inference_mode():
        expected = network(torch.from_numpy(x).permute(0, 3, 1, 2).float())[0].flatten(1).numpy()
    ours = Inception({"file": str(inception_file), "resize": "clean"}, "cpu", cache=inception.cache)
    found = ours.images(photos[:2])
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
    assert np.abs(found - inception.images(photos[:2])).max() > 1e-3 * np.abs(expected).max()
    assert ours.id != inception.id
