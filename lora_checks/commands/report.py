"""``report``: write a run's reports again from its record and the store, without a model."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HELP = "write all reports of a run again, even of a run that was killed"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, help="folder with report.json or verdicts.jsonl")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write there instead")
    parser.add_argument(
        "--pictures", type=Path, metavar="FILE", help="write only a PNG of up to six of the run's pictures"
    )


def run(options: argparse.Namespace) -> int:
    from lora_checks.record import document
    from lora_checks.record.lock import ReportLock
    from lora_checks.report import html, outputs

    if options.pictures:
        from lora_checks.report.html import few

        few.write(document.read(options.directory), options.pictures)
        print(options.pictures)
        return 0
    folder = options.out or options.directory
    lock = ReportLock(folder, "python -m lora_checks report")
    lock.require("write elsewhere with --out DIR")
    try:
        report = document.read(options.directory)
        written = outputs.write(report, folder, again=True)
        custom = outputs.write_custom(report, folder)
    finally:
        lock.release()
    print("\n".join(map(str, [*written, *custom.paths])))
    for sentence in custom.troubles:
        print(sentence, file=sys.stderr)
    if folder / html.NAME not in written:
        print(
            f"{folder / html.NAME}: left unchanged: it shows pictures that are no longer on this machine; "
            "--out DIR writes a page without them",
            file=sys.stderr,
        )
    return 0
