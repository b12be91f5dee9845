"""Encode a picture for a vision model, without what else its file holds."""

from __future__ import annotations

import io

from PIL import Image

from lora_checks.core.records import ImageFile
from lora_checks.images.decoding import pixels_of


def encoded(image: ImageFile, size: int | None = None) -> bytes:
    """Return the picture as PNG: upright, RGB, and without metadata, which often hold prompts and names.

    Args:
        image: The picture.
        size: The longest side in pixels that it may have; None leaves it as it is.
    """
    picture = Image.fromarray(pixels_of(image))
    if size is not None and max(picture.size) > size:
        picture.thumbnail((size, size), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()
