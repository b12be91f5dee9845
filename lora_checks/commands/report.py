"""``report``: every output of a run again, from its record and the store; no model is loaded."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "make every output of a report again, also of a run that was killed"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, help="folder with report.json or verdicts.jsonl")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write there instead")


def run(options: argparse.Namespace) -> int:
    from lora_checks import outputs, report

    document = report.read(options.directory)
    for path in outputs.write(document, options.out or options.directory):
        print(path)
    return 0
