"""``stats``: measure the mean and covariance of a folder of reference pictures once."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import cast

from lora_checks.commands import shared
from lora_checks.core.device import choose_device

HELP = "measure a folder of reference pictures once; use the file with --lora-references"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="folder of reference pictures")
    parser.add_argument(
        "out", type=Path, metavar="OUT.npz", help="write mean and covariance there, in pytorch-fid's format"
    )
    parser.add_argument("--weights", type=Path, help="Inception weights, if not in torch's cache")
    shared.add_device(parser)


def run(options: argparse.Namespace) -> int:
    from lora_checks import networks
    from lora_checks.metrics.statistics_file import write_statistics

    settings = {"file": str(options.weights.resolve())} if options.weights else {}
    inception = networks.build("inception", settings, choose_device(options.device))
    write_statistics(options.folder, options.out, cast(networks.ImageExtractor, inception))
    print(f"wrote {options.out}")
    return 0
