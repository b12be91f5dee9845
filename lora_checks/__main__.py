"""``python -m lora_checks``: what is done once, outside a gating run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from lora_checks.device import choose_device
from lora_checks.errors import LoraChecksError


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        _stats(options.folder, options.out, options.weights, choose_device(options.device))
    except LoraChecksError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lora_checks", description="Helpers of the LoRA gate.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    stats = commands.add_parser(
        "stats", help="measure a folder of reference pictures once; use the file with --references"
    )
    stats.add_argument("folder", type=Path, help="reference pictures")
    stats.add_argument(
        "out", type=Path, metavar="OUT.npz", help="mean and covariance, as pytorch-fid has them"
    )
    stats.add_argument("--weights", type=Path, help="Inception weights, if not in torch's cache")
    stats.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")
    return parser


def _stats(folder: Path, out: Path, weights: Path | None, device: str) -> None:
    from lora_checks import extractors
    from lora_checks.statistics_file import write_statistics

    settings = {"file": str(weights.resolve())} if weights else {}
    inception = extractors.build("inception", settings, device)
    write_statistics(folder, out, cast(extractors.ImageExtractor, inception))
    print(f"wrote {out}")


if __name__ == "__main__":
    sys.exit(main())
