"""``store``: how large a store is, and what of it can go."""

from __future__ import annotations

import argparse
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lora_checks.core.errors import ConfigError
from lora_checks.core.words import count, printable

if TYPE_CHECKING:
    from lora_checks.commands.inventory import Inventory, Item

HELP = "show the size of a store, or remove what is old, of a LoRA, or of no use any more"
DEFAULT = Path(".lora_checks")
UNITS = {"h": 3600, "d": 86400, "w": 7 * 86400}
DIGITS = 6  # of a SHA-256, at least, to name a LoRA by it


def add(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(required=True, metavar="VERB", dest="verb")
    size = verbs.add_parser("size", help="show its size by kind and by LoRA")
    gc = verbs.add_parser("gc", help="show what would be removed; with --yes remove it")
    for verb in (size, gc):
        verb.add_argument(
            "store",
            type=Path,
            nargs="?",
            default=DEFAULT,
            help="the --lora-store of runs (default: %(default)s)",
        )
    add = gc.add_argument
    add("--older-than", type=_age, metavar="AGE", help="only what was written longer ago: 12h, 30d, 8w")
    add("--lora", action="append", metavar="NAME", help="only what is of this LoRA: its name or its SHA-256")
    add(
        "--unmatched",
        action="store_true",
        help="only what no run can use any more: made with other versions of the libraries, damaged or left "
        "over; the default where nothing else is asked for",
    )
    add("--yes", action="store_true", help="remove it; without this nothing is changed")


def run(options: argparse.Namespace) -> int:
    from lora_checks.commands import inventory

    if not options.store.is_dir():
        raise ConfigError(f"{options.store} is not a folder; name the --lora-store of a run")
    if options.verb == "size":
        print("\n".join(sizes(options.store, inventory.take(options.store))))
        return 0
    return _collect(options)


def _collect(options: argparse.Namespace) -> int:
    from lora_checks.commands import inventory
    from lora_checks.core.store import Store

    store = Store(options.store)
    with store.locks.alone():
        found = inventory.take(options.store)
        chosen = choose(found, options.older_than, options.lora or (), options.unmatched, time.time())
        print("\n".join(listed(options.store, found, chosen)))
        if options.yes:
            store.remove([item.path for item in chosen])
    total = f"{count(len(chosen), 'file')}, {size_of(chosen)}"
    print(f"removed {total}" if options.yes else f"{total}; nothing was removed: --yes removes it")
    return 0


def choose(
    found: Inventory, seconds: float | None, loras: Sequence[str], unmatched: bool, now: float
) -> list[Item]:
    """What meets every condition; where none is given, what no run can use."""
    unmatched = unmatched or (seconds is None and not loras)
    wanted = {sha256 for name in loras for sha256 in _named(found, name)}
    conditions: list[Callable[[Item], bool]] = [lambda item: item.kind not in _KEPT]
    if seconds is not None:
        conditions.append(lambda item: item.written < now - seconds)
    if loras:
        conditions.append(lambda item: item.lora in wanted)
    if unmatched:
        conditions.append(lambda item: bool(item.useless))
    return [item for item in found.items if all(holds(item) for holds in conditions)]


_KEPT = ("reports", "other files", "list of images made")  # never removed by `gc`


def _named(found: Inventory, name: str) -> set[str]:
    known = {item.lora for item in found.items if item.lora}
    by_digest = {sha256 for sha256 in known if len(name) >= DIGITS and sha256.startswith(name.lower())}
    matching = by_digest | {sha256 for sha256, of in found.names.items() if of == name}
    if not matching:
        names = ", ".join(sorted({label(found, sha256) for sha256 in known})) or "none"
        raise ConfigError(f"--lora: the store has nothing of '{name}'; it has {names}")
    return matching


def label(found: Inventory, lora: str) -> str:
    name = found.names.get(lora, "")
    return printable(name if name == lora else " ".join(part for part in (name, lora[:DIGITS]) if part))


def sizes(store: Path, found: Inventory) -> list[str]:
    """For a terminal."""
    kinds, loras = Counter[str](), Counter[str]()
    files, images = Counter[str](), Counter[str]()
    for item in found.items:
        kinds[item.kind] += item.size
        files[item.kind] += 1
        loras[item.lora] += item.size
        images[item.lora] += item.kind.startswith("images")
    lines = [f"{store}: {size_of(found.items)}", ""]
    lines += [
        f"{size:>10}  {what}"
        for size, what in _table(kinds, lambda kind: f"{kind}, {count(files[kind], 'file')}")
    ]
    lines.append("")
    lines += [
        f"{size:>10}  {what}"
        for size, what in _table(
            loras,
            lambda lora: f"{label(found, lora)}, {count(images[lora], 'image')}" if lora else "of no LoRA",
        )
    ]
    useless = [item for item in found.items if item.useless and item.kind not in _KEPT]
    if useless:
        lines += ["", f"{size_of(useless)} can no longer be used: `store gc` shows what"]
    return lines


def _table(totals: Counter[str], words: Callable[[str], str]) -> list[tuple[str, str]]:
    return [(human(size), words(name)) for name, size in totals.most_common()]


def listed(store: Path, found: Inventory, chosen: Sequence[Item]) -> list[str]:
    groups = Counter((item.kind, item.lora, item.useless) for item in chosen)
    lines = []
    for (kind, lora, useless), number in sorted(groups.items()):
        of = [item for item in chosen if (item.kind, item.lora, item.useless) == (kind, lora, useless)]
        about = ", ".join(part for part in (label(found, lora) if lora else "", printable(useless)) if part)
        lines.append(f"{size_of(of):>10}  {kind}, {count(number, 'file')}" + (f" ({about})" if about else ""))
        lines += [f"{'':>10}    {printable(str(item.path.relative_to(store)))}" for item in of[:1]]
    return lines


def size_of(items: Sequence[Item]) -> str:
    return human(sum(item.size for item in items))


def human(size: float) -> str:
    """ "1.2 MB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _age(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([hdw])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"'{text}' is not an age; write 12h, 30d or 8w")
    return float(found[1]) * UNITS[found[2]]
