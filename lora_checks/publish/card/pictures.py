"""Choose and save the pictures of a card, in the folder ``images`` next to it."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path

from lora_checks.core.errors import CardError
from lora_checks.core.files import is_of, write_atomically
from lora_checks.record.shapes import Document, Lora
from lora_checks.record.shapes.rows import File
from lora_checks.report.pictures import Picture, pictures

FOLDER = "images"
PREFIX = "lora-checks-"  # a later card replaces only files with this prefix
QUALITY = 90  # of WebP


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture, its counterpart without the LoRA if there is one, and their file name."""

    picture: Picture
    base: Path | None
    name: str  # file name without prefix and ending

    def url(self, lossless: bool = False) -> str:
        return f"{FOLDER}/{PREFIX}{self.name}{ending(lossless)}"

    def base_url(self, lossless: bool = False) -> str:
        return f"{FOLDER}/{PREFIX}{self.name}-base{ending(lossless)}" if self.base else ""


def ending(lossless: bool) -> str:
    return ".png" if lossless else ".webp"


def samples(document: Document, lora: Lora, most: int) -> list[Sample]:
    """Return the first ``most`` pictures of `report.pictures`, under unique, plain file names."""
    bases = {entry["name"]: entry["base"] for entry in lora.get("pictures") or ()}
    named: dict[str, Sample] = {}
    for picture in pictures(lora, document["run"], most):
        seed = "" if picture.seed is None else f"-{picture.seed}"
        name = re.sub(r"[^a-z0-9]+", "-", f"{picture.prompt}{seed}".lower()).strip("-")
        name = name if name and name not in named else f"{name}-{len(named)}".strip("-")
        named[name] = Sample(picture, _judged(bases.get(picture.name)), name)
    return list(named.values())


def _judged(base: File | None) -> Path | None:
    return Path(base["file"]) if base and is_of(Path(base["file"]), base["sha256"]) else None


def save(shown: list[Sample], folder: Path, *, lossless: bool) -> None:
    """Save the pictures in ``folder`` and remove those of an earlier card.

    They are saved as WebP; with ``lossless``, as the bytes that were judged. Raises `CardError`.
    """
    wanted = {}
    for sample in shown:
        wanted[sample.url(lossless)] = sample.picture.file
        if sample.base is not None:
            wanted[sample.base_url(lossless)] = sample.base
    try:
        for url, file in wanted.items():
            write_atomically(folder / url, _content(file, lossless))
        for old in (folder / FOLDER).glob(f"{PREFIX}*"):
            if f"{FOLDER}/{old.name}" not in wanted:
                old.unlink()
    except OSError as trouble:
        raise CardError(f"the pictures of the card could not be written: {trouble}") from trouble


def _content(file: Path, lossless: bool) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    with Image.open(file) as image:
        if lossless and image.format == "PNG":
            return file.read_bytes()
        plain = image.convert("RGB")
    plain.info.clear()  # no metadata: a picture made elsewhere may carry its whole workflow
    if lossless:
        plain.save(buffer, "PNG")
    else:
        plain.save(buffer, "WEBP", quality=QUALITY)
    return buffer.getvalue()
