"""``log``: a finished report, logged to trackers again or for the first time."""

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
    """1 if a tracker did not take it, which is said as a line of its own like every other."""
    from lora_checks.core.errors import TrackerError
    from lora_checks.core.extensions import load_file
    from lora_checks.publish import trackers
    from lora_checks.record import document as report

    for path in options.declared_in:
        load_file(path)
    targets = trackers.chosen(options.to, "--to")
    document = report.read(options.directory)
    refused = 0
    for target in targets:
        try:
            with contextlib.redirect_stdout(sys.stderr):  # what clients say is not what we found
                line = f"{target.tracker}: {trackers.log(target, document, options.directory)}"
        except TrackerError as trouble:
            line, refused = trackers.refusal(target, str(trouble), options.directory), 1
        print(line, flush=True)
    return refused
