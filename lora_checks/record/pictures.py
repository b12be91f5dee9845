"""Describe pictures for the record: by name and digest."""

from __future__ import annotations

from lora_checks.core.records import ImageFile, ImageSet, digest
from lora_checks.images.sets import LARGE
from lora_checks.record.shapes.rows import File, Picture
from lora_checks.record.shapes.run import Folder


def folder(pictures: ImageSet) -> Folder:
    """Return a folder's pictures and one digest of them all.

    The digest covers their names and bytes, or the file of statistics that replaces them. A large set is not
    listed: its pictures would be most of the record.
    """
    if pictures.statistics is not None:
        return {"digest": pictures.statistics.sha256, "images": []}
    listed = pictures.images if len(pictures.images) < LARGE else ()
    return {
        "digest": digest(sorted((image.name, image.sha256) for image in pictures.images)),
        "images": [{"name": image.name, **_file(image)} for image in listed],
    }


def picture(image: ImageFile, base: ImageFile | None, recipe: str) -> Picture:
    """Return a picture made with a LoRA, and its counterpart made without it.

    Args:
        image: the picture.
        base: the picture of the same prompt and seed without the LoRA, if there is one.
        recipe: the digest of what the picture was made from; "" if unknown.
    """
    prompt, _, seed = image.name.rpartition("/")
    return {
        "name": image.name,
        "prompt": image.prompt.id if image.prompt else prompt,
        "seed": int(seed) if seed.isdecimal() else image.seed,
        **_file(image),
        "base": None if base is None else _file(base),
        "recipe": recipe,
    }


def _file(image: ImageFile) -> File:
    """Name the picture's own file; "" if it is inside a tar or a table, which is no picture to show."""
    return {"sha256": image.sha256, "file": "" if image.member else str(image.path.resolve())}
