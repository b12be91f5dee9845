"""A folder per LoRA that a person can open: the pictures by prompt and seed, and what they are."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lora_checks.core.records import ImageSet
from lora_checks.core.store import Store

RECORD = "run.json"


def folder_name(name: str, sha256: str) -> str:
    """``overfit-9c1e04``: readable, and another file of the same name gets another folder."""
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', name)}-{sha256[:6]}"


def shown(path: Path) -> str:
    """For people: relative to the current folder where that is shorter."""
    return min(os.path.relpath(path), str(path), key=len)


def show(store: Store, folder: Path, images: ImageSet, record: Mapping[str, Any]) -> None:
    """Make ``folder`` show exactly ``images`` of the store, without copying where the disk allows it."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {f"{image.name.replace('/', '_')}.png": image.path for image in images.images}
    for old in folder.glob("*.png"):
        if old.name not in wanted or not old.samefile(wanted[old.name]):
            old.unlink(missing_ok=True)
    for name, path in wanted.items():
        _link(path, folder / name)
    content = json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    if not (folder / RECORD).is_file() or (folder / RECORD).read_text(encoding="utf-8") != content:
        (folder / RECORD).unlink(missing_ok=True)
        store.put(folder / RECORD, content.encode())


def _link(source: Path, target: Path) -> None:
    if target.exists():
        return
    try:
        os.link(source, target)
    except FileExistsError:
        pass  # another worker was first
    except OSError:
        shutil.copyfile(source, target)
