"""Fill a folder for each LoRA that people can open: its pictures by prompt and seed, and their recipes."""

from __future__ import annotations

import filecmp
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lora_checks.core.files import copy, write_atomically
from lora_checks.core.records import ImageSet
from lora_checks.core.store import explained

RECORD = "run.json"


def folder_name(name: str, sha256: str) -> str:
    """Return a readable name such as ``overfit-9c1e04``; two files of one name get two folders."""
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', name)}-{sha256[:6]}"


def shown(path: Path) -> str:
    """Return a path for people: relative to the current folder if that is shorter."""
    return min(os.path.relpath(path), str(path), key=len)


def show(folder: Path, images: ImageSet, record: Mapping[str, Any]) -> None:
    """Make ``folder`` contain exactly ``images``, as copies: editing one there changes no measurement."""
    wanted = {f"{image.name.replace('/', '_')}.png": image.path for image in images.images}
    content = json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.png"):
            if old.name not in wanted:
                old.unlink(missing_ok=True)
        for name, path in wanted.items():
            if not _is_copy(path, folder / name):
                copy(path, folder / name)
        _replace(folder / RECORD, content.encode())


def _is_copy(original: Path, shown: Path) -> bool:
    """Tell whether it has the same bytes and is not a link: editing a link would change the original."""
    try:
        linked = shown.is_symlink() or shown.samefile(original)
        return not linked and filecmp.cmp(original, shown, shallow=False)
    except OSError:
        return False


def _replace(path: Path, content: bytes) -> None:
    try:
        if path.read_bytes() == content:
            return
    except OSError:
        pass  # there is no such file yet
    write_atomically(path, content)
