"""Declare the options that several commands have."""

from __future__ import annotations

import argparse
from pathlib import Path

POLICY = "folder with thresholds.yaml and prompts.yaml"


def add_policy(parser: argparse.ArgumentParser) -> None:
    """Add ``--policy``, also under the name that a gating run gives it."""
    parser.add_argument(
        "--policy",
        "--lora-policy",
        type=Path,
        default=Path(),
        help=POLICY,
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``, also under the name that a gating run gives it."""
    parser.add_argument(
        "--device", "--lora-device", default="auto", help="auto, cpu, cuda or mps (default: auto)"
    )
