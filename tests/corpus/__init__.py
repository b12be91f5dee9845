"""Files that must never pass the gate, each with the sentence that the gate says about it."""

from __future__ import annotations

from . import bases, bombs, containers, headers, kinds, numbers, places
from .entry import Entry

GROUPS = {
    "places": places.ENTRIES,
    "containers": containers.ENTRIES,
    "headers": headers.ENTRIES,
    "bombs": bombs.ENTRIES,
    "kinds": kinds.ENTRIES,
    "numbers": numbers.ENTRIES,
}
ENTRIES: dict[str, Entry] = {entry.name: entry for group in GROUPS.values() for entry in group}
NEEDS_BASE: dict[str, Entry] = {entry.name: entry for entry in bases.ENTRIES}
