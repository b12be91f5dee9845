"""Collect the pictures of a page, each of them once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lora_checks.record.shapes import Document, Run
from lora_checks.record.shapes import rows as shapes


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


def collect(document: Document) -> Album:
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


def approved(document: Document) -> Sequence[shapes.Picture]:
    """Return the pictures of the approved release that the run was compared with, if any."""
    baseline = document.get("baseline")
    return baseline["pictures"] if baseline else ()


def folder_images(run: Run) -> Iterator[tuple[str, shapes.NamedFile]]:
    """Yield folder and entry of each picture in the policy's folders."""
    for name in run["folders"]:
        for image in pictures_of(run, name):
            yield name, image


def pictures_of(run: Run, folder: str) -> Sequence[shapes.NamedFile]:
    """Return the pictures of one folder of the policy in the order they were measured."""
    known = run["folders"].get(folder)
    return known["images"] if known else ()
