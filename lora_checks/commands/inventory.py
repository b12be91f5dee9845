"""List the files of a store: their kind, their LoRA, and whether a run can still use them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_checks.core import locks
from lora_checks.core.device import library_versions
from lora_checks.core.errors import DamagedError
from lora_checks.core.files import PART
from lora_checks.core.store import read_record
from lora_checks.images import gallery, made, png
from lora_checks.images.plan import AS_WRITTEN, OWN_CODE
from lora_checks.networks.self_test import libraries
from lora_checks.networks.vlm.budget import FILE as ASKED
from lora_checks.report.html import cache

BASE = "base"  # stands for a LoRA's digest: images of the base model
KINDS = {  # folder of the store -> its contents in words
    "images": "images (the originals)",
    "arrays": "outputs of networks",
    "proofs": "proofs",
    "loaders": "what diffusers loads of LoRAs",
    "preflight": "preflight results",
    "settings": "proofs of the base's settings",
    "self_test": "self-tests of networks",
    "controls": "pictures to test vision models with",
    "page": "thumbnails",
    "models": "networks",
    "digests": "digests of large files",
    "report": "reports",
    "locks": "locks",
}
LISTS = {made.FILE: "list of images made", ASKED: "list of questions asked"}
FOLDERS = "folders by LoRA (copies)"
OTHER = "other files"


@dataclass(frozen=True, slots=True)
class Item:
    """A file of the store."""

    path: Path
    kind: str
    size: int  # bytes
    written: float  # seconds since 1970
    lora: str = ""  # SHA-256, BASE, or "" for a file that belongs to no LoRA
    useless: str = ""  # why no run with these libraries can use it; "" if one can


@dataclass(frozen=True, slots=True)
class Facts:
    """The LoRA that a file belongs to, and why it is useless; both "" if unknown."""

    lora: str = ""
    useless: str = ""


@dataclass(frozen=True, slots=True)
class Inventory:
    """All files of a store."""

    items: tuple[Item, ...]
    names: Mapping[str, str]  # SHA-256 of a LoRA -> its name, if the store has a folder of it


def take(root: Path) -> Inventory:
    """Read every image and record of the store at ``root``."""
    images = {path: _image(path) for path in sorted((root / "images").rglob("*.png"))}
    owners = {sha256: facts for sha256, facts in images.values() if sha256}
    folders = {path.parent: _shown(path) for path in sorted(root.glob(f"*/{gallery.RECORD}"))}
    items = []
    for path in _files(root):
        status = path.lstat()
        kind, facts = _about(root, path, images, owners, folders)
        items.append(Item(path, kind, status.st_size, status.st_mtime, facts.lora, facts.useless))
    names = {facts.lora: re.sub(r"-[0-9a-f]{6}$", "", folder.name) for folder, facts in folders.items()}
    return Inventory(tuple(items), names)


def _files(root: Path) -> Iterator[Path]:
    return (path for path in sorted(root.rglob("*")) if path.is_symlink() or not path.is_dir())


def _about(
    root: Path,
    path: Path,
    images: Mapping[Path, tuple[str, Facts]],
    owners: Mapping[str, Facts],
    folders: Mapping[Path, Facts],
) -> tuple[str, Facts]:
    parts = path.relative_to(root).parts
    kind = KINDS.get(parts[0], OTHER)
    if path.parent in folders:
        return FOLDERS, folders[path.parent]
    if path.name[0] == "." and path.name.endswith(PART):
        return kind, Facts(useless="half-written")
    match parts:
        case ("images", *_) if path in images:
            return kind, images[path][1]
        case ("arrays", _, owner, _):
            return kind, owners.get(owner, Facts())
        case ("arrays", *_):
            return kind, Facts(useless="from an earlier version of lora_checks")
        case ("page", cache.VERSION, _, start, rest):
            return kind, owners.get(start + rest, Facts())
        case ("page", *_):
            return kind, Facts(useless="from an earlier version of lora_checks")
        case ("proofs" | "loaders" | "preflight" | "settings" | "self_test", _):
            return kind, _record(parts[0], path)
        case ("locks", locks.DOOR):  # held by this inventory itself
            return kind, Facts()
        case ("locks", *_):
            return kind, Facts(useless="left by a process that has ended")
    return LISTS.get("/".join(parts), kind), Facts()


def _image(path: Path) -> tuple[str, Facts]:
    try:
        sha256, recipe = png.read(path)
    except (FileNotFoundError, DamagedError):
        return "", Facts(useless="damaged, or from an earlier version of lora_checks")
    return sha256, Facts(recipe.get("lora_sha256") or BASE, _of_versions(recipe.get("versions")))


def _of_versions(versions: object) -> str:
    """Return "made with ..." if an image was made with versions other than the installed ones, else ""."""
    if not isinstance(versions, list):
        return "made with unknown versions"
    now = (*library_versions(), OWN_CODE, AS_WRITTEN)
    others = [name for name in versions if name not in now]
    return f"made with {', '.join(map(str, others))}" if others else ""


def _record(kind: str, path: Path) -> Facts:
    try:
        record = read_record(path)
    except (FileNotFoundError, DamagedError):
        return Facts(useless="damaged, or from an earlier version of lora_checks")
    if kind in ("proofs", "loaders"):
        return Facts(str(record.get("lora", "")), _of_versions(record.get("versions")))
    if kind in ("preflight", "settings"):
        return Facts(useless=_of_versions(record.get("versions")))
    current = path.name.startswith("first-") or tuple(record.get("libraries", ())) == libraries()
    return Facts(useless="" if current else "made with other libraries")


def _shown(path: Path) -> Facts:
    """Read the record of a folder that shows a LoRA's images."""
    try:
        record: Any = json.loads(path.read_text(encoding="utf-8"))
        first = next(iter(record.values()))
        return Facts(first["lora_sha256"] or BASE, _of_versions(first["versions"]))
    except (OSError, ValueError, AttributeError, KeyError, TypeError, StopIteration):
        return Facts()
