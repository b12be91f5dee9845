"""``log``: log a finished report to experiment trackers."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

HELP = "log a finished report to wandb, mlflow, tensorboard or trackio"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", type=Path, help="the run's report folder")
    parser.add_argument(
        "--to",
        required=True,
        metavar="TRACKERS",
        help="such as wandb,mlflow or wandb:PROJECT, mlflow:EXPERIMENT, tensorboard:FOLDER, trackio:PROJECT",
    )
    parser.add_argument(
        "--from",
        dest="declared_in",
        action="append",
        default=[],
        metavar="FILE",
        type=Path,
        help="Python file that declares a tracker of TRACKERS, such as conftest.py; repeatable",
    )


def run(options: argparse.Namespace) -> int:
    """Print one line per tracker; return 1 if a tracker did not accept the report."""
    from lora_checks.core.errors import TrackerError
    from lora_checks.core.extensions import load_file
    from lora_checks.publish import trackers
    from lora_checks.record import document as report

    for path in options.declared_in:
        load_file(path)
    targets = trackers.chosen(options.to, "--to")
    document = report.read(options.directory)
    status = 0
    for target in targets:
        try:
            with contextlib.redirect_stdout(sys.stderr):  # stdout is for our lines alone
                line = f"{target.tracker}: {trackers.log(target, document, options.directory)}"
        except TrackerError as error:
            line, status = trackers.refusal(target, str(error), options.directory), 1
        print(line, flush=True)
    return status
