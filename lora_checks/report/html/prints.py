"""Prepare an album for the page: thumbnails, full-size copies with links, and spectra."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
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

THREADS = 4
FOLDER = "images"  # full-size pictures, next to the page
SHOWN_BY_BROWSERS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})
OURS = re.compile(r"[0-9a-f]{20}\.[a-z]{3,4}")  # file names of this module


@dataclass(slots=True)
class Prints:
    """The pictures of an album; each is read at most once per page, and only if it is not cached."""

    album: Album
    cache: Cache
    beside: Path  # folder of the page
    size: int = 0  # px of a thumbnail's longer side
    _sources: dict[Picture, Path | None] = field(default_factory=dict)

    def source(self, picture: Picture) -> Path | None:
        """Find the judged file: at its recorded path or next to an earlier page, else None."""
        if picture not in self._sources:  # its bytes are hashed once per page
            places = (Path(picture.file) if picture.file else None, self.beside / self.link(picture))
            found = (path for path in places if path is not None and is_of(path, picture.sha256))
            self._sources[picture] = next(found, None)
        return self._sources[picture]

    def link(self, picture: Picture) -> str:
        """Return the relative link of the full-size picture, named by content, not by file name."""
        suffix = Path(picture.file).suffix.lower()
        named = picture.sha256 or hashlib.sha256(picture.file.encode(errors="replace")).hexdigest()
        safe = suffix if suffix in SHOWN_BY_BROWSERS else ".png"
        return f"{FOLDER}/{named[:20]}{safe}"

    def pixels(self, number: int) -> NDArray[np.uint8] | None:
        """Return the pixels, or None if the picture is missing, damaged or changed."""
        picture = self.album.pictures[number]
        path = self.source(picture)
        try:
            return None if path is None else decode(path, known=bool(picture.sha256))
        except (LoraChecksError, OSError):
            return None

    def side(self, number: int) -> int:
        """Return the shorter side in px, or 0 for a missing picture."""
        sha256 = self.album.pictures[number].sha256
        cached = self.cache.get("side", sha256)
        if cached is not None:
            return int(cached)
        pixels = self.pixels(number)
        if pixels is None:
            return 0
        self.cache.put("side", sha256, str(min(pixels.shape[:2])).encode())
        return int(min(pixels.shape[:2]))

    def thumbnails(self, spectra: Sequence[int] = (), side: int = 0) -> dict[int, bytes]:
        """Return a WebP of each readable picture; also compute and cache the spectra of ``spectra``."""
        self.size = self.size or self._size()
        wanted = set(spectra)
        numbers = range(len(self.album))
        with ThreadPoolExecutor(THREADS) as pool:  # decoding, transforms and disks wait outside the GIL
            made = pool.map(lambda at: self._thumbnail(at, side if at in wanted else 0), numbers)
            return {number: thumb for number, thumb in zip(numbers, made, strict=True) if thumb is not None}

    def _size(self) -> int:
        """Return the thumbnail size: from an earlier page of these pictures, or by trying some."""
        key = hashlib.sha256(repr([p.sha256 for p in self.album.pictures]).encode()).hexdigest()
        cached = self.cache.get("size", key)
        if cached is not None:
            return int(cached)
        size = thumbnails.fitting(len(self.album), self.pixels)
        self.cache.put("size", key, str(size).encode())
        return size

    def _thumbnail(self, number: int, side: int) -> bytes | None:
        sha256 = self.album.pictures[number].sha256
        cached = self.cache.get(f"thumb-{self.size}", sha256)
        if cached is not None and not (side and self.cache.get(f"spectrum-{side}", sha256) is None):
            return cached
        pixels = self.pixels(number)
        if pixels is None:
            return cached
        if side:
            self._keep_spectrum(sha256, pixels, side)
        thumb = cached or thumbnails.encode(pixels, self.size)
        self.cache.put(f"thumb-{self.size}", sha256, thumb)
        return thumb

    def _keep_spectrum(self, sha256: str, pixels: NDArray[np.uint8], side: int) -> NDArray[np.float64] | None:
        curve = spectrum.radial(pixels, side)
        self.cache.put(f"spectrum-{side}", sha256, b"none" if curve is None else curve.tobytes())
        return curve

    def spectrum(self, number: int, side: int) -> NDArray[np.float64] | None:
        """Return the spectrum, or None for a picture that is missing or smaller than ``side``."""
        sha256 = self.album.pictures[number].sha256
        cached = self.cache.get(f"spectrum-{side}", sha256)
        if cached is not None:
            return None if cached == b"none" else np.frombuffer(cached)
        pixels = self.pixels(number)
        return None if pixels is None else self._keep_spectrum(sha256, pixels, side)

    def hang(self) -> list[str]:
        """Copy each picture next to the page and remove those of an earlier page.

        Returns the relative link of each; "" if it is missing or browsers cannot show it.
        """
        folder = self.beside / FOLDER
        links = [self._hang(picture, folder) for picture in self.album.pictures]
        linked = {Path(link).name for link in links if link}
        for old in folder.glob("*") if folder.is_dir() else ():
            if OURS.fullmatch(old.name) and old.name not in linked:
                old.unlink(missing_ok=True)
        return links

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
    """Return whether ``target`` is a complete copy, not a link: an edit of one must not change the other."""
    if target.is_symlink() or not is_of(target, picture.sha256):
        return False
    original = Path(picture.file)
    return not (picture.file and original.is_file() and target.samefile(original))


def data_uri(webp: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(webp).decode()}"


def numbers_of(pictures: Sequence[dict[str, Any]], key: str) -> list[int]:
    """Return the images' numbers under ``key`` ("picture" or "base"), without missing ones."""
    return [picture[key] for picture in pictures if picture[key] is not None]
