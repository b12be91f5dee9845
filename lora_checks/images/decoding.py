"""The one decoder: every metric sees the pixels that this file makes of a picture, and no others.

Libraries disagree on the same file: cv2 turns a photo upright and returns half of a truncated JPEG, PIL
does neither and shows 16-bit grey as white, and scripts skip suffixes they do not know without a word.
Colour profiles are ignored, as in the reference implementations of all our metrics.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from lora_checks.core.errors import ConfigError, MeasureError
from lora_checks.core.records import ImageFile, ImageSet, Prompt
from lora_checks.images import png_chunks

Pixels = NDArray[np.uint8]  # (H, W, 3) RGB, 0..255

DECODER = "1"  # part of every stored feature's key: raise it when the pixels of any file change
MAX_PIXELS = 89_478_485  # Pillow's own limit, as an error and not as a warning
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
# Pictures, but not for us; a .jfif is a JPEG by another name.
UNREADABLE = frozenset({".avif", ".heic", ".heif", ".jxl", ".gif", ".jp2", ".jfif"})
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")


def decode(path: Path) -> Pixels:
    """(H, W, 3) uint8 RGB: upright, 16-bit grey scaled, alpha over white.

    Raises `MeasureError` naming the file if it is animated, truncated, enormous or no picture, or if a
    checksum of a PNG does not match. JPEG, WebP, BMP and TIFF have none.
    """
    return _decoded(path, _bytes(path))


def pixels_of(image: ImageFile) -> Pixels:
    """Decode the very bytes that the picture's digest is of.

    What is measured on a picture is stored under its digest, so pixels of another picture there would be
    taken for this one's by every later run. Raises `MeasureError` naming the file if it changed.
    """
    return _decoded(image.path, content_of(image))


def content_of(image: ImageFile) -> bytes:
    """The bytes that the file's digest is of. Raises `MeasureError` if the file holds others by now."""
    content = _bytes(image.path)
    if hashlib.sha256(content).hexdigest() != image.sha256:
        raise MeasureError(
            f"{image.path} changed while it was being used: its bytes are not those that were hashed when "
            "the run began; run again when nothing writes to it"
        )
    return content


def _decoded(path: Path, data: bytes) -> Pixels:
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            _refuse(path, image)
            if png_chunks.is_png(data):  # of the pixels' checksums Pillow looks at none
                png_chunks.check(data, 2 * (image.width * 8 + 16) * (image.height + 16))
            image.load()
            pixels = np.array(_rgb(path, ImageOps.exif_transpose(image)))
    except MeasureError:
        raise
    except UnidentifiedImageError as error:  # says where in memory the bytes were
        why = f"no {', '.join(_FORMATS)}" if data else "it is empty"
        raise MeasureError(f"{path}: cannot be decoded as a picture: {why}") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error, ... on damaged files
        raise MeasureError(f"{path}: cannot be decoded as a picture: {error}") from error
    pixels.setflags(write=False)
    return pixels


def _refuse(path: Path, image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise MeasureError(f"{path}: {image.width} x {image.height} pixels is too large; scale it down")
    # An MPO is a camera's JPEG with a preview or a depth map behind the photo, not an animation.
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        raise MeasureError(f"{path}: an animation or multi-page file ({frames} frames); save one frame")


def _rgb(path: Path, image: Image.Image) -> Image.Image:
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
    return image.convert("RGB")


def _scaled(grey: NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(np.rint(grey).astype(np.uint8)).convert("RGB")


def list_images(folder: Path) -> tuple[Path, ...]:
    """The pictures of a folder by name, without its subfolders.

    Raises `ConfigError` if there are none, or if one would be left out unseen: of another format, or a link
    to what is not there.
    """
    try:
        found = sorted(path for path in folder.iterdir() if path.name[0] != ".")
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be listed: {error.strerror}") from error
    for path in found:
        if path.suffix.lower() in SUFFIXES and path.is_symlink() and not path.exists():
            raise ConfigError(f"{path}: is a link to nothing; put the picture there or remove the link")
    paths = [path for path in found if path.is_file()]
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


def image_set(name: str, folder: Path) -> ImageSet:
    """The pictures of a folder, or an .npz of statistics in their place."""
    if folder.suffix == ".npz" and folder.is_file():
        return ImageSet(name, (), statistics=image_file(folder))
    return ImageSet(name, tuple(image_file(path) for path in list_images(folder)))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MeasureError(f"{path}: cannot be read: {error.strerror}") from error


class Decoded(Sequence[Pixels]):
    """Pictures that are decoded when asked for and not kept, so a thousand take the memory of one.

    Each is decoded from the bytes that its digest is of; see `pixels_of`.
    """

    def __init__(self, images: Sequence[ImageFile]) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    @overload
    def __getitem__(self, index: int) -> Pixels: ...
    @overload
    def __getitem__(self, index: slice) -> Decoded: ...
    def __getitem__(self, index: int | slice) -> Pixels | Decoded:
        if isinstance(index, slice):
            return Decoded(self._images[index])
        return pixels_of(self._images[index])
