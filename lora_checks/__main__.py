"""``python -m lora_checks``: what is done once, outside a gating run."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from lora_checks.device import choose_device
from lora_checks.errors import LoraChecksError


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 1 where a file is bad or a row not calibrated, or 2 where the command itself is wrong."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except BrokenPipeError:  # `| head`: nobody reads on, and Python must not complain at its exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except LoraChecksError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


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
    stats.set_defaults(run=_stats)
    show = commands.add_parser("inspect", help="say what LoRA files are, without loading a model")
    show.add_argument("loras", nargs="+", metavar="LORA", help="files, folders or patterns")
    show.add_argument("--details", action="store_true", help="everything of each file, not a line each")
    show.add_argument("--json", action="store_true", help="for machines: everything, each layer too")
    show.set_defaults(run=_inspect)
    _add_calibrate(
        commands.add_parser("calibrate", help="propose limits from LoRAs known to be good and bad")
    )
    return parser


def _add_calibrate(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--policy", type=Path, default=Path(), help="folder with thresholds.yaml and prompts.yaml")
    add("--good", nargs="+", required=True, metavar="LORA", help="LoRAs that should pass")
    add("--bad", nargs="+", required=True, metavar="LORA", help="LoRAs that should not, each for any reason")
    add("--store", type=Path, default=Path(".lora_checks"), help="where images and measurements are kept")
    add("--device", default="auto", help="auto, cpu, cuda or mps (default: auto)")
    add("--seeds", type=int, metavar="N", help="images per prompt (default: the policy's)")
    parser.set_defaults(run=_calibrate)


def _stats(options: argparse.Namespace) -> int:
    from lora_checks import extractors
    from lora_checks.statistics_file import write_statistics

    settings = {"file": str(options.weights.resolve())} if options.weights else {}
    inception = extractors.build("inception", settings, choose_device(options.device))
    write_statistics(options.folder, options.out, cast(extractors.ImageExtractor, inception))
    print(f"wrote {options.out}")
    return 0


def _inspect(options: argparse.Namespace) -> int:
    from lora_checks.lora import inspection, inspection_text

    found = inspection.inspect_all(options.loras, Path())
    if options.json:
        print(json.dumps(inspection.as_json(found), indent=1, default=str, allow_nan=False))
    elif len(found) == 1 or options.details:
        print(inspection_text.blocks(found))
    else:
        print(inspection_text.table(found))
    return int(any(one.error for one in found))


def _calibrate(options: argparse.Namespace) -> int:
    from lora_checks import calibrate

    found = calibrate.run(
        options.policy, options.good, options.bad, options.store, options.device, options.seeds
    )
    print(found.text)
    return int(not found.sound)


if __name__ == "__main__":
    sys.exit(main())
