"""Collect the pictures of a page, each of them once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture file of the document, with the SHA-256 of its bytes."""

    sha256: str
    file: str  # path, "" if the document has none
    name: str  # for people: "green-shirt/1", "base green-shirt/1", "references/07.png"


@dataclass(slots=True)
class Album:
    """Numbered pictures; equal bytes share a number."""

    pictures: list[Picture] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)
    _named: dict[str, int] = field(default_factory=dict)

    def add(self, sha256: str, file: str, name: str) -> int:
        key = sha256 or file
        if key not in self._numbers:
            self._numbers[key] = len(self.pictures)
            self.pictures.append(Picture(sha256, file, name))
        self._named.setdefault(name, self._numbers[key])
        return self._numbers[key]

    def number(self, sha256: str) -> int | None:
        return self._numbers.get(sha256)

    def named(self, name: str) -> int | None:
        """Return the number of a reference or training picture such as "references/07.png"."""
        return self._named.get(name)

    def __len__(self) -> int:
        return len(self.pictures)


def collect(document: Row) -> Album:
    """Collect all pictures: of the LoRAs, the base, the approved release and the policy's folders."""
    album = Album()
    for lora in document["loras"]:
        for picture in lora.get("pictures") or ():
            album.add(picture["sha256"], picture["file"], picture["name"])
    for lora in document["loras"]:
        for picture in lora.get("pictures") or ():
            base = picture.get("base")
            if base:
                album.add(base["sha256"], base["file"], f"base {picture['name']}")
    for picture in approved(document):
        album.add(picture["sha256"], picture["file"], f"approved {picture['name']}")
    for name, image in folder_images(document["run"]):
        album.add(image["sha256"], image["file"], f"{name}/{image['name']}")
    return album


def approved(document: Row) -> Sequence[Row]:
    """Return the pictures of the approved release that the run was compared with, if any."""
    entries: Sequence[Row] = (document.get("baseline") or {}).get("pictures") or ()
    return entries


def folder_images(run: Row) -> Iterator[tuple[str, Row]]:
    """Yield folder and entry of each picture in the policy's folders."""
    for name in run.get("folders") or {}:
        for image in pictures_of(run, name):
            yield name, image


def pictures_of(run: Row, folder: str) -> Sequence[Row]:
    """Return the pictures of one folder of the policy in the order they were measured."""
    entries: Sequence[Row] = ((run.get("folders") or {}).get(folder) or {}).get("images") or ()
    return entries
