"""Decode pictures, in the same way for every metric.

Libraries disagree on the same file: cv2 rotates a photo upright and returns half of a truncated JPEG, PIL
does neither and shows 16-bit grey as white, and scripts silently skip suffixes that they do not know.
Colour profiles are ignored, as in the reference implementations of all our metrics.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from lora_checks.core import png_chunks
from lora_checks.core.errors import ConfigError, MeasureError
from lora_checks.core.records import ImageFile, Member, Prompt
from lora_checks.images import tables

Pixels = NDArray[np.uint8]  # (H, W, 3) RGB, 0..255

DECODER = "1"  # part of every stored feature's key: raise it when the pixels of any file change
MAX_PIXELS = 89_478_485  # Pillow's limit for its warning; an error here
UNPACKED_PIXELS = 4 << 20  # above it, a copy of the pixels takes more memory than time saved is worth
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
# Pictures that this decoder does not read; a .jfif is a JPEG under another name.
UNREADABLE = frozenset({".avif", ".heic", ".heif", ".jxl", ".gif", ".jp2", ".jfif"})
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")


def decode(path: Path, known: bool = False) -> Pixels:
    """Decode a file to (H, W, 3) uint8 RGB: upright, 16-bit grey scaled to 8 bits, alpha over white.

    Args:
        path: The file.
        known: Its bytes have the digest of a picture that was decoded before, so a PNG's checksums, which
            cost as much as the decoding, are not checked again.

    Raises:
        MeasureError: The file is animated, truncated, too large or not a picture, or a checksum of a PNG does
            not match. JPEG, WebP, BMP and TIFF have no checksums.
    """
    return _decoded(path, _bytes(path), known)


def pixels_of(image: ImageFile) -> Pixels:
    """Decode the bytes that the picture's digest was computed from.

    Measurements are stored under this digest, so every later run would take the values of a changed file for
    those of this picture.

    Raises:
        MeasureError: The file changed.
    """
    return _decoded(image.where, content_of(image))


def content_of(image: ImageFile) -> bytes:
    """Return the bytes that the file's digest was computed from; raise `MeasureError` if the file changed."""
    content = _bytes(image.path) if image.member is None else _inside(image.path, image.member)
    if hashlib.sha256(content).hexdigest() != image.sha256:
        raise MeasureError(
            f"{image.where} changed while it was being used: its bytes are not those that were hashed when "
            "the run began; run again when nothing writes to it"
        )
    return content


def _inside(path: Path, member: Member) -> bytes:
    """Return the bytes of a picture in a file that holds many."""
    if member.column:
        return tables.content(path, member)
    first, size = member.at
    try:
        with path.open("rb") as file:
            file.seek(first)
            return file.read(size)
    except OSError as error:
        raise MeasureError(f"{path}: {member.name}: cannot be read: {error.strerror}") from error


def _decoded(path: Path | str, data: bytes, known: bool = False) -> Pixels:
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            _refuse(path, image)
            size = image.width, image.height
        with Image.open(io.BytesIO(data if known else _checked(data, *size)), formats=_FORMATS) as image:
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            pixels = np.asarray(_rgb(path, image))  # in place and without copies: large photos take long
    except MeasureError:
        raise
    except UnidentifiedImageError as error:  # its message has a memory address
        why = f"no {', '.join(_FORMATS)}" if data else "it is empty"
        raise MeasureError(f"{path}: cannot be decoded as a picture: {why}") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error, ... on damaged files
        raise MeasureError(f"{path}: cannot be decoded as a picture: {error}") from error
    pixels.setflags(write=False)
    return pixels


def _checked(data: bytes, width: int, height: int) -> bytes:
    """Return the file, of a PNG after its checksums: Pillow does not verify those of pixels.

    The gate's own pictures have a better one.
    """
    if not png_chunks.is_png(data) or png_chunks.sealed_sha256(data) is not None:
        return data
    most = 2 * (width * 8 + 16) * (height + 16)
    if width * height <= UNPACKED_PIXELS:
        return png_chunks.unpacked(data, most)
    png_chunks.check(data, most)
    return data


def _refuse(path: Path | str, image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise MeasureError(f"{path}: {image.width} x {image.height} pixels is too large; scale it down")
    # An MPO is a camera's JPEG with a preview or a depth map behind the photo, not an animation.
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        raise MeasureError(f"{path}: an animation or multi-page file ({frames} frames); save one frame")


def _rgb(path: Path | str, image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return _scaled(np.asarray(image).astype(np.float64) / 257)
    if image.mode in ("I", "F"):
        raise MeasureError(
            f"{path}: {image.mode}-mode pixels have no known range; save 8 or 16 bits a channel"
        )
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _scaled(grey: NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(np.rint(grey).astype(np.uint8)).convert("RGB")


def list_images(folder: Path) -> tuple[Path, ...]:
    """Return the pictures of a folder, sorted by name, without subfolders.

    Raises:
        ConfigError: There are none, or one would be silently skipped: it has another format, or is a broken
            link.
    """
    try:
        entries = sorted(path for path in folder.iterdir() if path.name[0] != ".")
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be listed: {error.strerror}") from error
    for path in entries:
        if path.suffix.lower() in SUFFIXES and path.is_symlink() and not path.exists():
            raise ConfigError(f"{path}: is a link to nothing; put the picture there or remove the link")
    paths = [path for path in entries if path.is_file()]
    for path in paths:
        if path.suffix.lower() in UNREADABLE:
            raise ConfigError(
                f"{path}: {path.suffix} pictures are not read; convert it to PNG or move it away"
            )
    pictures = tuple(path for path in paths if path.suffix.lower() in SUFFIXES)
    if not pictures:
        raise ConfigError(
            f"{folder}: no pictures there ({', '.join(sorted(SUFFIXES))}; subfolders are not read)"
        )
    return pictures


def image_file(
    path: Path, name: str | None = None, prompt: Prompt | None = None, seed: int | None = None
) -> ImageFile:
    return ImageFile(path, hashlib.sha256(_bytes(path)).hexdigest(), name or path.name, prompt, seed)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MeasureError(f"{path}: cannot be read: {error.strerror}") from error
