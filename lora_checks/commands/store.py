"""``store``: show the size of a store and remove what is no longer needed."""

from __future__ import annotations

import argparse
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lora_checks.commands import shared
from lora_checks.core.errors import ConfigError
from lora_checks.core.words import count, printable

if TYPE_CHECKING:
    from lora_checks.commands.holdings import Holdings
    from lora_checks.commands.inventory import Inventory, Item

HELP = "show the size of a store, or remove old, useless or a LoRA's files"
UNITS = {"h": 3600, "d": 86400, "w": 7 * 86400}
DIGITS = 6  # how many digits of a SHA-256 it takes to name a LoRA


def add(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(required=True, metavar="VERB", dest="verb")
    size = verbs.add_parser("size", help="show the size by kind of file and by LoRA")
    gc = verbs.add_parser("gc", help="show what would be removed; with --yes, remove it")
    for verb in (size, gc):
        verb.add_argument(
            "store",
            nargs="?",
            default=shared.OF_PROJECT,
            help="the --lora-store of runs, a folder or a URL (default: .lora_checks)",
        )
    size.add_argument(
        "--by-lora",
        action="store_true",
        help="of a store at a URL, too: reads every image there (of a folder this is always shown)",
    )
    add = gc.add_argument
    add(
        "--older-than",
        type=_age,
        metavar="AGE",
        help="only files written longer ago, for example 12h, 30d or 8w",
    )
    add("--lora", action="append", metavar="NAME", help="only files of this LoRA, by name or SHA-256")
    add(
        "--unmatched",
        action="store_true",
        help="only files that no run can use any more: made with other library versions, damaged or left "
        "over; the default if no other condition is set",
    )
    add("--yes", action="store_true", help="remove the files; without this option nothing changes")


def run(options: argparse.Namespace) -> int:
    from lora_checks.commands.holdings import holdings_of

    do = _size if options.verb == "size" else _collect
    for number, held in enumerate(holdings_of(shared.place(options))):
        if number:
            print()
        do(held, options)
    return 0


def _size(held: Holdings, options: argparse.Namespace) -> None:
    from lora_checks.commands import inventory
    from lora_checks.commands.holdings import FolderHoldings

    deep = options.by_lora or isinstance(held, FolderHoldings)
    print("\n".join(sizes(held.where, inventory.take(held, deep), deep)))


def _collect(held: Holdings, options: argparse.Namespace) -> None:
    from lora_checks.commands import inventory

    with held.alone():
        contents = inventory.take(held)
        chosen = choose(contents, options.older_than, options.lora or (), options.unmatched, time.time())
        print("\n".join(listed(contents, chosen)))
        if options.yes:
            held.remove([item.name for item in chosen])
    total = f"{count(len(chosen), 'file')}, {size_of(chosen)}"
    print(
        f"removed {total}" if options.yes else f"{total}; nothing was removed; run again with --yes to remove"
    )


def choose(
    inventory: Inventory, seconds: float | None, loras: Sequence[str], unmatched: bool, now: float
) -> list[Item]:
    """Return the files that meet every condition; without conditions, those that no run can use."""
    unmatched = unmatched or (seconds is None and not loras)
    wanted = {sha256 for name in loras for sha256 in _named(inventory, name)}
    conditions: list[Callable[[Item], bool]] = [lambda item: item.kind not in _KEPT]
    if seconds is not None:
        conditions.append(lambda item: item.written < now - seconds)
    if loras:
        conditions.append(lambda item: item.lora in wanted)
    if unmatched:
        conditions.append(lambda item: bool(item.useless))
    return [item for item in inventory.items if all(holds(item) for holds in conditions)]


_KEPT = ("reports", "other files", "list of images made")  # never removed by `gc`


def _named(inventory: Inventory, name: str) -> set[str]:
    """Return the digests of the LoRAs called ``name``. Raises `ConfigError` if there are none."""
    known = {item.lora for item in inventory.items if item.lora}
    by_digest = {sha256 for sha256 in known if len(name) >= DIGITS and sha256.startswith(name.lower())}
    matching = by_digest | {sha256 for sha256, lora in inventory.names.items() if lora == name}
    if not matching:
        names = ", ".join(sorted({label(inventory, sha256) for sha256 in known})) or "none"
        raise ConfigError(f"--lora: the store has no files of '{name}'; it has files of {names}")
    return matching


def label(inventory: Inventory, lora: str) -> str:
    """Return a LoRA's name and the start of its digest."""
    name = inventory.names.get(lora, "")
    return printable(name if name == lora else " ".join(part for part in (name, lora[:DIGITS]) if part))


def sizes(store: str, inventory: Inventory, by_lora: bool = True) -> list[str]:
    """Return the lines of ``store size``."""
    kinds, loras = Counter[str](), Counter[str]()
    files, images = Counter[str](), Counter[str]()
    for item in inventory.items:
        kinds[item.kind] += item.size
        files[item.kind] += 1
        loras[item.lora] += item.size
        images[item.lora] += item.kind.startswith("images")
    lines = [f"{store}: {size_of(inventory.items)}", ""]
    lines += [
        f"{size:>10}  {what}"
        for size, what in _table(kinds, lambda kind: f"{kind}, {count(files[kind], 'file')}")
    ]
    if not by_lora:
        return [*lines, "", "--by-lora reads every image, to say which LoRA takes how much"]
    lines.append("")
    lines += [
        f"{size:>10}  {what}"
        for size, what in _table(
            loras,
            lambda lora: (
                f"{label(inventory, lora)}, {count(images[lora], 'image')}" if lora else "not of a LoRA"
            ),
        )
    ]
    useless = [item for item in inventory.items if item.useless and item.kind not in _KEPT]
    if useless:
        lines += ["", f"{size_of(useless)} can no longer be used: `store gc` lists the files"]
    return lines


def _table(totals: Counter[str], words: Callable[[str], str]) -> list[tuple[str, str]]:
    return [(human(size), words(name)) for name, size in totals.most_common()]


def listed(inventory: Inventory, chosen: Sequence[Item]) -> list[str]:
    """Return the lines of ``store gc``: each group of files with its size and an example."""
    groups = Counter((item.kind, item.lora, item.useless) for item in chosen)
    lines = []
    for (kind, lora, useless), number in sorted(groups.items()):
        group = [item for item in chosen if (item.kind, item.lora, item.useless) == (kind, lora, useless)]
        about = ", ".join(
            part for part in (label(inventory, lora) if lora else "", printable(useless)) if part
        )
        lines.append(
            f"{size_of(group):>10}  {kind}, {count(number, 'file')}" + (f" ({about})" if about else "")
        )
        lines += [f"{'':>10}    {printable(item.name)}" for item in group[:1]]
    return lines


def size_of(items: Sequence[Item]) -> str:
    return human(sum(item.size for item in items))


def human(size: float) -> str:
    """Return a size in bytes as "1.2 MB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _age(text: str) -> float:
    age = re.fullmatch(r"(\d+(?:\.\d+)?)([hdw])", text)
    if age is None:
        raise argparse.ArgumentTypeError(f"'{text}' is not an age; write 12h, 30d or 8w")
    return float(age[1]) * UNITS[age[2]]
