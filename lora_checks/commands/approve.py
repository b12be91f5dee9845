"""``approve``: record who approved a verdict, and keep the report as the next baseline."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lora_checks.record.regression.approved import Judged

HELP = "record who approved a report's verdict; --as-baseline keeps it for the next release"


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Writes approval.json next to report.json. `attest` signs it with the verdict; `verify`, the page "
        "and the model card show it."
    )
    add = parser.add_argument
    add(
        "report", metavar="REPORT", help="report folder or report.json; REPORT#NAME picks one LoRA of several"
    )
    add("--by", required=True, metavar="NAME", help="who approves, for people: it is not checked")
    add("--note", default="", metavar="TEXT", help="what was looked at, or who agreed")
    add(
        "--despite",
        default="",
        metavar="TEXT",
        help="approve what did not pass, with the reason; it is shown wherever the verdict is, and `verify` "
        "still refuses",
    )
    add(
        "--as-baseline",
        type=Path,
        metavar="PATH",
        help="copy report.json to this file or folder, for `--lora-baseline PATH` of the next release",
    )


def run(options: argparse.Namespace) -> int:
    """Return 0 for an approved PASS, 1 for what was approved despite its verdict."""
    from lora_checks.core.words import printable
    from lora_checks.record import approval
    from lora_checks.record.regression import approved

    judged = approved.read(options.report, Path(), "approve")
    own = approval.approve(judged, options.by, options.note, options.despite)
    if options.as_baseline is not None:
        approved.read_approved(options.report, Path())  # refuses what could not be one
    moved = approval.add(judged.path.parent, judged.sha256, own)
    if moved is not None:
        print(printable(f"note: the approval of an earlier report is now {moved}"))
    print(printable(f"{judged.label}, {own.outcome}: {own.words}"))
    if options.as_baseline is not None:
        print(printable(f"next time: --lora-baseline {_kept(judged, options.as_baseline)}"))
    print(printable(_shown(judged.path.parent)))
    return int(bool(own.despite))


def _kept(judged: Judged, target: Path) -> str:
    """Copy the report, and return the value of ``--lora-baseline`` that finds its LoRA."""
    from lora_checks.core.errors import ConfigError
    from lora_checks.core.files import write_atomically
    from lora_checks.record.document import NAME, read_file

    path = target / NAME if target.is_dir() or not target.suffix else target
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, judged.path.read_bytes())
    except OSError as error:
        why = error.strerror or error
        raise ConfigError(f"--as-baseline: {path} could not be written ({why})") from error
    several = len(read_file(path)["loras"]) > 1
    return f"{path}#{judged.name}" if several else str(path)


def _shown(directory: Path) -> str:
    """Show the approval on the page, and say where."""
    from lora_checks.report.html import stamp

    page = stamp.stamp(directory)
    return str(page or f"{directory}: no page of this run to show it on; `lora-checks report` makes one")
