"""Draw the pictures of the networks' self-test: two persons, and a larger one of fine structure.

python self_test_pictures.py      # a second; writes lora_checks/networks/self_test/pictures
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from draw import draw, sample_identity, sample_scene
from PIL import Image

FOLDER = Path(__file__).parents[3] / "lora_checks" / "self_test" / "pictures"
WIDTH, HEIGHT = 240, 160  # not square, so that cropping shows; higher than most networks' inputs


def structured() -> Image.Image:
    """Draw colours that differ by channel, edges at every angle, and very fine stripes."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    angle = np.arctan2(y - 60, x - 150)
    rays = np.where(np.floor(angle / np.pi * 24) % 2 == 0, 200, 40)
    stripes = np.where((x + 2 * y) // 3 % 2 == 0, 220, 60)
    red = np.where(x < 90, stripes, rays)
    green = np.where(y < 70, 255 * x // WIDTH, 80)
    blue = np.where((x - 60) ** 2 + (y - 110) ** 2 < 35**2, 240, 30)
    return Image.fromarray(np.dstack([red, green, blue]).astype(np.uint8))


def main() -> None:
    rng = np.random.default_rng(0)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in ("first", "second"):
        draw(sample_identity(rng), sample_scene(rng)).save(FOLDER / f"{name}.png", optimize=True)
    structured().save(FOLDER / "large.png", optimize=True)


if __name__ == "__main__":
    main()
