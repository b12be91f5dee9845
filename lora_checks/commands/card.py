"""``card``: write evaluation results and pictures into a Hugging Face model card."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "write a report's results and pictures into a Hugging Face model card"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", type=Path, help="the run's report folder")
    parser.add_argument("--lora", metavar="NAME", help="LoRA to describe, if the report has several")
    target = parser.add_mutually_exclusive_group()
    target.add_argument(
        "--out", metavar="FILE", type=Path, help="path of the card (default: DIR/card/README.md)"
    )
    target.add_argument(
        "--repo-folder", metavar="FOLDER", type=Path, help="write the card to FOLDER/README.md"
    )
    parser.add_argument(
        "--pictures", metavar="N", type=int, default=8, help="number of pictures to show (default: 8)"
    )
    parser.add_argument(
        "--png", action="store_true", help="save the judged PNG files instead of smaller WebP copies"
    )


def run(options: argparse.Namespace) -> int:
    from lora_checks.core.errors import CardError
    from lora_checks.publish import card
    from lora_checks.record import approval
    from lora_checks.record import document as report
    from lora_checks.record.votes import beside as votes

    if options.pictures < 0:
        raise CardError("--pictures must be 0 or more")
    document = report.read(options.directory)
    lora = card.chosen(document, options.lora)
    folder = options.repo_folder or options.directory / "card"
    readme = options.out or folder / "README.md"
    beside, people = approval.beside(options.directory), votes.beside(options.directory)
    warnings = card.write(
        document,
        lora,
        readme,
        most=options.pictures,
        lossless=options.png,
        approvals=beside.of(lora["sha256"]),
        votes=people.votes,
    )
    for warning in [*warnings, *filter(None, [beside.ignored, people.ignored])]:
        print(f"note: {warning}")
    print(f"{readme}: {lora['name']}, {lora['outcome']}")
    return 0
