"""How a table of native names is written and looked up.

A row is the name of a layer in the original model -> the names of the same layer in diffusers' model, both
with their dots and with ``{}`` for the number of a block. diffusers may split one original weight into
several: then they stand in the order of its rows. A name that is the same in both needs no row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

QKV = ("to_q", "to_k", "to_v")
ADDED_QKV = ("add_q_proj", "add_k_proj", "add_v_proj")


@dataclass(frozen=True, slots=True)
class Native:
    """The layers of diffusers' model that one original layer is."""

    targets: tuple[str, ...]  # in the order of the original's rows
    swapped: bool = False  # diffusers stores the two halves of the rows in the opposite order
    swapped_if_pair: bool = False  # ... but only if there are twice as many rows as columns


Row = str | tuple[str, ...] | Native
Rows = Mapping[str, Row]


def swapped(target: str) -> Native:
    """Return the row of a layer whose halves diffusers exchanges: shift and scale, most of them."""
    return Native((target,), swapped=True)


def native(row: Row) -> Native:
    """Return a row in its full form."""
    if isinstance(row, Native):
        return row
    return Native((row,) if isinstance(row, str) else row)


def under(original: str, ours: str, rows: Rows) -> dict[str, Native]:
    """Return rows with what stands before the original names and before diffusers' added."""
    return {
        f"{original}.{name}": replace(row, targets=tuple(f"{ours}.{target}" for target in row.targets))
        for name, row in ((name, native(row)) for name, row in rows.items())
    }


def parts(path: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return several modules below one path: ``parts("attn", QKV)``."""
    return tuple(f"{path}.{name}" for name in names)


class Table:
    """The native names of one model, found by their flattened spelling ("_" for ".")."""

    def __init__(self, *rows: Rows) -> None:
        self.rows = {name: native(row) for some in rows for name, row in some.items()}
        self._patterns = [(_pattern(name), row) for name, row in self.rows.items()]

    def find(self, flat: str) -> Native | None:
        """Return the row of a flattened name with its numbers filled in, its targets flattened too."""
        for pattern, row in self._patterns:
            if match := pattern.fullmatch(flat):
                filled = (target.format(*match.groups()) for target in row.targets)
                return replace(row, targets=tuple(target.replace(".", "_") for target in filled))
        return None


def _pattern(name: str) -> re.Pattern[str]:
    pieces = (re.escape(piece.replace(".", "_")) for piece in name.split("{}"))
    return re.compile("([0-9]{1,3})".join(pieces))
