"""Read the texts that programs write into a picture's file, from PNG chunks and EXIF."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from PIL import Image

from lora_checks.images.png import METADATA_KEY

KEYS = (METADATA_KEY, "parameters", "prompt", "invokeai_metadata", "sd-metadata", "Dream")
_FORMATS = ("PNG", "JPEG", "WEBP")
_EXIF, _USER_COMMENT, _MODEL, _MAKE, _DESCRIPTION = 0x8769, 0x9286, 0x0110, 0x010F, 0x010E
_CODES = {b"ASCII\0\0\0": "utf-8", b"\0" * 8: "utf-8", b"JIS\0\0\0\0\0": "iso2022_jp"}


def texts(path: Path) -> Mapping[str, str]:
    """Return keyword -> text; empty if the file is not such a picture, which the decoder refuses later."""
    try:
        with Image.open(path, formats=_FORMATS) as image:
            if image.format == "PNG":
                if not any(key in image.info for key in KEYS):
                    image.load()  # text may follow the pixels
                inside = {str(key): text for key, text in image.info.items() if isinstance(text, str)}
                if any(key in inside for key in KEYS):
                    return inside
            return dict(_exif_texts(image.getexif()))
    except Exception:
        return {}


def _exif_texts(exif: Image.Exif) -> Iterator[tuple[str, str]]:
    """Yield ComfyUI's "prompt:{...}" in the camera's name, and the user comment of other programs.

    Fooocus writes the comment into the wrong directory, the root (its meta_parser.py).
    """
    for tag in (_MODEL, _MAKE, _DESCRIPTION):
        key, _, text = str(exif.get(tag, "")).partition(":")
        if key.lower() in KEYS:
            yield key.lower(), text
    for comment in (exif.get(_USER_COMMENT), exif.get_ifd(_EXIF).get(_USER_COMMENT)):
        text = comment if isinstance(comment, str) else _decoded(comment or b"")
        if text:
            yield "parameters", text


def _decoded(comment: object) -> str:
    """Decode a user comment. EXIF does not say the byte order of UTF-16, so take the likelier text."""
    if not isinstance(comment, bytes):
        return ""
    code, text = comment[:8], comment[8:]
    if code != b"UNICODE\0":
        encoding = _CODES.get(code)
        return text.decode(encoding, "replace") if encoding else comment.decode("utf-8", "replace")
    return max((text.decode(order, "replace") for order in ("utf-16-be", "utf-16-le")), key=_latin)


def _latin(text: str) -> int:
    return sum(letter.isascii() for letter in text)
