"""List the files of a store: their kind, their LoRA, and whether a run can still use them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lora_checks.core import locks
from lora_checks.core.device import library_versions
from lora_checks.core.errors import DamagedError
from lora_checks.core.files import PART
from lora_checks.core.remote import leases
from lora_checks.core.store import known_record
from lora_checks.images import made, png
from lora_checks.images.plan import AS_WRITTEN, OWN_CODE
from lora_checks.networks.self_test import libraries
from lora_checks.networks.vlm.budget import FILE as ASKED
from lora_checks.report.html import cache

if TYPE_CHECKING:
    from lora_checks.commands.holdings import Holdings

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
    "leases": "leases of runs",
    "outbox": "not sent to the server yet",
}
RECORDS = ("proofs", "loaders", "preflight", "settings", "self_test")  # folders of JSON records
LEASES = leases.FOLDER
LISTS = {made.FILE: "list of images made", ASKED: "list of questions asked"}
FOLDERS = "folders by LoRA (copies)"
OTHER = "other files"


@dataclass(frozen=True, slots=True)
class Item:
    """An entry of the store."""

    name: str  # relative to the store
    kind: str
    size: int  # bytes
    written: float  # seconds since 1970
    lora: str = ""  # SHA-256, BASE, or "" for an entry that belongs to no LoRA
    useless: str = ""  # why no run with these libraries can use it; "" if one can


@dataclass(frozen=True, slots=True)
class Facts:
    """The LoRA that an entry belongs to, why it is useless, and a picture's SHA-256; "" if unknown."""

    lora: str = ""
    useless: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Inventory:
    """All entries of a store."""

    items: tuple[Item, ...]
    names: Mapping[str, str]  # SHA-256 of a LoRA -> its name, if there is a folder that shows its images


def take(held: Holdings, deep: bool = True) -> Inventory:
    """List a store's entries.

    Args:
        held: The store.
        deep: False to read no entry: their LoRAs, and whether they are of use, stay unknown.
    """
    entries = held.entries()
    told = [entry.name for entry in entries if deep and _tells(entry.name)]
    known = dict(zip(told, held.each(told, _known), strict=True))
    owners = {facts.sha256: facts for facts in known.values() if facts.sha256}
    folders = {name: _shown(content) for name, content in held.galleries().items()}
    items = []
    for entry in entries:
        kind, facts = _about(entry.name, known, owners, folders)
        items.append(Item(entry.name, kind, entry.size, entry.written, facts.lora, facts.useless))
    names = {facts.lora: re.sub(r"-[0-9a-f]{6}$", "", folder) for folder, facts in folders.items()}
    return Inventory(tuple(items), names)


def _tells(name: str) -> bool:
    """Tell whether an entry's content says whose it is, or whether it is of use."""
    folder, _, last = name.partition("/")
    if last.rpartition("/")[2].startswith("."):
        return False
    return (folder == "images" and name.endswith(".png")) or (
        folder in (*RECORDS, LEASES) and "/" not in last
    )


def _about(
    name: str, known: Mapping[str, Facts], owners: Mapping[str, Facts], folders: Mapping[str, Facts]
) -> tuple[str, Facts]:
    parts = tuple(name.split("/"))
    kind = KINDS.get(parts[0], OTHER)
    if len(parts) == 2 and parts[0] in folders:
        return FOLDERS, folders[parts[0]]
    if parts[-1][0] == "." and name.endswith(PART):
        return kind, Facts(useless="half-written")
    if name in known:
        return kind, known[name]
    match parts:
        case ("arrays", _, owner, _):
            return kind, owners.get(owner, Facts())
        case ("arrays", *_):
            return kind, Facts(useless="from an earlier version of lora_checks")
        case ("page", cache.VERSION, _, start, rest):
            return kind, owners.get(start + rest, Facts())
        case ("page", *_):
            return kind, Facts(useless="from an earlier version of lora_checks")
        case ("locks", locks.DOOR):  # held by this inventory itself
            return kind, Facts()
        case ("locks", *_):
            return kind, Facts(useless="left by a process that has ended")
    return LISTS.get(name, kind), Facts()


def _known(name: str, content: bytes | None) -> Facts:
    """Return what an entry's content says."""
    folder = name.partition("/")[0]
    if folder == LEASES:
        return Facts(useless="" if leases.lives(content or b"") else "left by a run that has ended")
    if content is None:
        return DAMAGED
    try:
        if folder == "images":
            sha256, recipe = png.known(Path(name), content)
            return Facts(recipe.get("lora_sha256") or BASE, _of_versions(recipe.get("versions")), sha256)
        return _record(folder, name, known_record(Path(name), content))
    except DamagedError:
        return DAMAGED


DAMAGED = Facts(useless="damaged, or from an earlier version of lora_checks")


def _of_versions(versions: object) -> str:
    """Return "made with ..." if an image was made with versions other than the installed ones, else ""."""
    if not isinstance(versions, list):
        return "made with unknown versions"
    now = (*library_versions(), OWN_CODE, AS_WRITTEN)
    others = [name for name in versions if name not in now]
    return f"made with {', '.join(map(str, others))}" if others else ""


def _record(kind: str, name: str, record: Mapping[str, Any]) -> Facts:
    if kind in ("proofs", "loaders"):
        return Facts(str(record.get("lora", "")), _of_versions(record.get("versions")))
    if kind in ("preflight", "settings"):
        return Facts(useless=_of_versions(record.get("versions")))
    current = Path(name).name.startswith("first-") or tuple(record.get("libraries", ())) == libraries()
    return Facts(useless="" if current else "made with other libraries")


def _shown(content: bytes) -> Facts:
    """Read the record of a folder that shows a LoRA's images."""
    try:
        record: Any = json.loads(content)
        first = next(iter(record.values()))
        return Facts(first["lora_sha256"] or BASE, _of_versions(first["versions"]))
    except (ValueError, AttributeError, KeyError, TypeError, StopIteration):
        return Facts()
