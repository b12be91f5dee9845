"""The album on disk and in the page: a thumbnail and a link of each picture, and spectra of some."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.errors import LoraChecksError
from lora_checks.core.files import copy, is_of
from lora_checks.images.decoding import decode
from lora_checks.report.html import spectrum, thumbnails
from lora_checks.report.html.album import Album, Picture
from lora_checks.report.html.cache import Cache

FOLDER = "images"  # beside the page: the pictures in full size
SHOWN_BY_BROWSERS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})
OURS = re.compile(r"[0-9a-f]{20}\.[a-z]{3,4}")  # names that this module gives


@dataclass(slots=True)
class Prints:
    """The pictures of an album, each read from disk at most once a page and only if nothing of it is kept."""

    album: Album
    cache: Cache
    beside: Path  # folder of the page
    size: int = 0  # px of a thumbnail's longer side

    def source(self, picture: Picture) -> Path | None:
        """Where the bytes that were judged are: where the document says, or beside an earlier page; None if
        nowhere."""
        for path in (Path(picture.file) if picture.file else None, self.beside / self.link(picture)):
            if path is not None and is_of(path, picture.sha256):
                return path
        return None

    def link(self, picture: Picture) -> str:
        """Relative address in full size; its name is by content, so nothing of a file name gets there."""
        suffix = Path(picture.file).suffix.lower()
        named = picture.sha256 or hashlib.sha256(picture.file.encode(errors="replace")).hexdigest()
        safe = suffix if suffix in SHOWN_BY_BROWSERS else ".png"
        return f"{FOLDER}/{named[:20]}{safe}"

    def pixels(self, number: int) -> NDArray[np.uint8] | None:
        """None where the picture is gone, damaged or another than the one that was judged."""
        picture = self.album.pictures[number]
        path = self.source(picture)
        try:
            return None if path is None else decode(path)
        except (LoraChecksError, OSError):
            return None

    def side(self, number: int) -> int:
        """px of its shorter side; 0 for a picture that is lost."""
        sha256 = self.album.pictures[number].sha256
        kept = self.cache.get("side", sha256)
        if kept is not None:
            return int(kept)
        pixels = self.pixels(number)
        if pixels is None:
            return 0
        self.cache.put("side", sha256, str(min(pixels.shape[:2])).encode())
        return int(min(pixels.shape[:2]))

    def thumbnails(self, spectra: Sequence[int] = (), side: int = 0) -> dict[int, bytes]:
        """WebP of each picture that could be read; on the way, the spectra of some are made and kept."""
        self.size = self.size or self._size()
        wanted, found = set(spectra), {}
        for number in range(len(self.album)):
            thumb = self._thumbnail(number, side if number in wanted else 0)
            if thumb is not None:
                found[number] = thumb
        return found

    def _size(self) -> int:
        """Known from an earlier page of as many pictures, or found by trying some."""
        key = hashlib.sha256(repr([p.sha256 for p in self.album.pictures]).encode()).hexdigest()
        kept = self.cache.get("size", key)
        if kept is not None:
            return int(kept)
        size = thumbnails.fitting(len(self.album), self.pixels)
        self.cache.put("size", key, str(size).encode())
        return size

    def _thumbnail(self, number: int, side: int) -> bytes | None:
        sha256 = self.album.pictures[number].sha256
        kept = self.cache.get(f"thumb-{self.size}", sha256)
        if kept is not None and not (side and self.cache.get(f"spectrum-{side}", sha256) is None):
            return kept
        pixels = self.pixels(number)
        if pixels is None:
            return kept
        if side:
            self._keep_spectrum(sha256, pixels, side)
        thumb = kept or thumbnails.encode(pixels, self.size)
        self.cache.put(f"thumb-{self.size}", sha256, thumb)
        return thumb

    def _keep_spectrum(self, sha256: str, pixels: NDArray[np.uint8], side: int) -> NDArray[np.float64] | None:
        curve = spectrum.radial(pixels, side)
        self.cache.put(f"spectrum-{side}", sha256, b"none" if curve is None else curve.tobytes())
        return curve

    def spectrum(self, number: int, side: int) -> NDArray[np.float64] | None:
        """None for a picture that is lost or smaller than ``side``."""
        sha256 = self.album.pictures[number].sha256
        kept = self.cache.get(f"spectrum-{side}", sha256)
        if kept is not None:
            return None if kept == b"none" else np.frombuffer(kept)
        pixels = self.pixels(number)
        return None if pixels is None else self._keep_spectrum(sha256, pixels, side)

    def hang(self) -> list[str]:
        """Copy each picture beside the page, and clear away those of an earlier page.

        The address of each, relative to the page; "" where browsers cannot show it or it is gone.
        """
        folder = self.beside / FOLDER
        found = [self._hang(picture, folder) for picture in self.album.pictures]
        kept = {Path(link).name for link in found if link}
        for old in folder.glob("*") if folder.is_dir() else ():
            if OURS.fullmatch(old.name) and old.name not in kept:
                old.unlink(missing_ok=True)
        return found

    def _hang(self, picture: Picture, folder: Path) -> str:
        link = self.link(picture)
        target = self.beside / link
        if _is_copy(target, picture):
            return link
        source = self.source(picture)
        if source is None or source.suffix.lower() not in SHOWN_BY_BROWSERS:
            return ""
        folder.mkdir(parents=True, exist_ok=True)
        copy(source, target)
        return link


def _is_copy(target: Path, picture: Picture) -> bool:
    """Whether the picture beside the page is whole, and no link to the original: an edit of the one would
    change the other."""
    if target.is_symlink() or not is_of(target, picture.sha256):
        return False
    original = Path(picture.file)
    return not (picture.file and original.is_file() and target.samefile(original))


def data_uri(webp: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(webp).decode()}"


def numbers_of(pictures: Sequence[dict[str, Any]], key: str) -> list[int]:
    """Of a LoRA's images, the numbers under ``key`` ("picture" or "base"), without gaps."""
    return [picture[key] for picture in pictures if picture[key] is not None]
