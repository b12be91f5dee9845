"""``card``: evaluation results and pictures in a Hugging Face model card."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "write results and pictures of a report into a Hugging Face model card"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", type=Path, help="the run's report folder")
    parser.add_argument("--lora", metavar="NAME", help="which LoRA, where the report has several")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--out", metavar="FILE", type=Path, help="the card (default: DIR/card/README.md)")
    place.add_argument("--repo-folder", metavar="FOLDER", type=Path, help="the card is FOLDER/README.md")
    parser.add_argument("--pictures", metavar="N", type=int, default=8, help="how many to show (default: 8)")
    parser.add_argument(
        "--png", action="store_true", help="pictures as they were judged, not as the smaller WebP"
    )


def run(options: argparse.Namespace) -> int:
    from lora_checks.core.errors import CardError
    from lora_checks.publish import card
    from lora_checks.record import document as report

    if options.pictures < 0:
        raise CardError("--pictures must be 0 or more")
    document = report.read(options.directory)
    lora = card.chosen(document, options.lora)
    folder = options.repo_folder or options.directory / "card"
    readme = options.out or folder / "README.md"
    for line in card.write(document, lora, readme, most=options.pictures, lossless=options.png):
        print(f"note: {line}")
    print(f"{readme}: {lora['name']}, {lora['outcome']}")
    return 0
