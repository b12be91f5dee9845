"""Pictures as the record has them: by name and digest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lora_checks.core.records import ImageFile, ImageSet, digest

Facts = dict[str, Any]


def folder(pictures: ImageSet) -> Facts:
    """``digest`` is of the pictures' names and bytes, or of the file of statistics."""
    if pictures.statistics is not None:
        return {"digest": pictures.statistics.sha256, "images": []}
    return {
        "digest": digest(sorted((image.name, image.sha256) for image in pictures.images)),
        "images": [{"name": image.name, **_file(image)} for image in pictures.images],
    }


def picture(image: ImageFile, base: ImageFile | None) -> Facts:
    prompt, _, seed = image.name.rpartition("/")
    return {
        "name": image.name,
        "prompt": image.prompt.id if image.prompt else prompt,
        "seed": int(seed) if seed.isdecimal() else image.seed,
        **_file(image),
        "base": None if base is None else _file(base),
    }


def _file(image: ImageFile) -> Mapping[str, str]:
    return {"sha256": image.sha256, "file": str(image.path.resolve())}
