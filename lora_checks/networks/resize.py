"""Scale pictures as the reference implementations do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lora_checks.images.decoding import Pixels
from lora_checks.networks import Floats


def resized(image: Pixels, size: tuple[int, ...]) -> Pixels:
    """Scale to (height, width) by Pillow's bicubic; return the image itself if it has that size."""
    height, width = size
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def centred(image: Pixels, resize: int, crop: int) -> Pixels:
    """Scale the shorter side to ``resize`` and cut out the central square of side ``crop``.

    The same as torchvision's ``Resize`` and ``CenterCrop`` on a PIL image.
    """
    height, width = image.shape[:2]
    longer = int(resize * max(height, width) / min(height, width))
    scaled = resized(image, (longer, resize) if height > width else (resize, longer))
    top, left = (round((side - crop) / 2) for side in scaled.shape[:2])
    return scaled[top : top + crop, left : left + crop]


def standardised(image: Pixels, mean: NDArray[np.float32], std: NDArray[np.float32]) -> Floats:
    """Scale (H, W, 3) uint8 to [0, 1] and normalise each channel by ``mean``, ``std``; (3, H, W) float32."""
    unit = image.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    return np.ascontiguousarray((unit - mean[:, None, None]) / std[:, None, None], np.float32)


def clean(image: Pixels, side: int) -> Floats:
    """Scale (H, W, 3) uint8 to (side, side, 3) float32 in 0..255 as clean-fid does (Parmar et al. 2022).

    Bicubic in float, channel by channel.
    """
    channels = [Image.fromarray(image[:, :, i].astype(np.float32)) for i in range(3)]
    scaled = [np.asarray(c.resize((side, side), Image.Resampling.BICUBIC)).clip(0, 255) for c in channels]
    return np.stack(scaled, axis=2)
