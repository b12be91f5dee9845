"""Put PNG and JPEG files into JSON, and say which is the first."""

from __future__ import annotations

import base64

from lora_checks.core.errors import MeasureError
from lora_checks.networks.vlm.api import Request

ORDINALS = ("first", "second")
SIGNATURES = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg"}


def format_of(image: bytes) -> str:
    """Return "png" or "jpeg". Raises `MeasureError` for anything else."""
    for signature, name in SIGNATURES.items():
        if image.startswith(signature):
            return name
    raise MeasureError(f"a picture for the judge is neither PNG nor JPEG; it begins with {image[:8]!r}")


def data_url(image: bytes) -> str:
    """Return "data:image/png;base64,..."."""
    return f"data:image/{format_of(image)};base64,{base64.b64encode(image).decode()}"


def names_of(request: Request) -> list[str]:
    """Return what stands before each picture: nothing before a single one."""
    if len(request.images) == 1:
        return [""]
    return [f"The {ordinal} picture:" for ordinal in ORDINALS[: len(request.images)]]
