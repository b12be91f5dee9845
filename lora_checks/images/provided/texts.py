"""The texts that programs put into a picture's file, by PNG keyword; those of EXIF under the same names."""

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
    """Empty for a file that is no picture of these formats: what cannot be decoded is refused elsewhere."""
    try:
        with Image.open(path, formats=_FORMATS) as image:
            if image.format == "PNG":
                if not any(key in image.info for key in KEYS):
                    image.load()  # text may stand behind the pixels
                inside = {str(key): text for key, text in image.info.items() if isinstance(text, str)}
                if any(key in inside for key in KEYS):
                    return inside
            return dict(_exif_texts(image.getexif()))
    except Exception:
        return {}


def _exif_texts(exif: Image.Exif) -> Iterator[tuple[str, str]]:
    """ComfyUI's "prompt:{...}" in the place of a camera's name, and the user comment of the others.

    Fooocus writes the comment into the root directory, where it does not belong (its meta_parser.py).
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
    """EXIF names the code in 8 bytes and not which half of a UTF-16 character is first: the likelier text."""
    if not isinstance(comment, bytes):
        return ""
    code, text = comment[:8], comment[8:]
    if code != b"UNICODE\0":
        encoding = _CODES.get(code)
        return text.decode(encoding, "replace") if encoding else comment.decode("utf-8", "replace")
    return max((text.decode(order, "replace") for order in ("utf-16-be", "utf-16-le")), key=_latin)


def _latin(text: str) -> int:
    return sum(letter.isascii() for letter in text)
