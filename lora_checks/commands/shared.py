"""Declare the options that several commands have."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lora_checks.core import project

if TYPE_CHECKING:
    from lora_checks.core.remote.place import Place

OF_PROJECT = object()  # stands for the value of pyproject.toml, or the default
DEFAULTS: dict[str, Path | str | None] = {"policy": Path(), "store": project.STORE, "base": None}
TEXTS = ("store", "base")  # options that may be no paths
POLICY = "folder with thresholds.yaml and prompts.yaml"


def add_policy(parser: argparse.ArgumentParser) -> None:
    """Add ``--policy``, also under the name that a gating run gives it."""
    parser.add_argument("--policy", "--lora-policy", type=Path, default=OF_PROJECT, help=POLICY)


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add ``--store``, also under the name that a gating run gives it."""
    kept = "where images and measurements are kept, a folder or a URL (default: .lora_checks)"
    parser.add_argument("--store", "--lora-store", default=OF_PROJECT, help=kept)


def add_base(parser: argparse.ArgumentParser) -> None:
    """Add ``--base``, also under the name that a gating run gives it."""
    instead = "base model instead of the policy's"
    parser.add_argument("--base", "--lora-base", metavar="MODEL", default=OF_PROJECT, help=instead)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``, also under the name that a gating run gives it."""
    parser.add_argument(
        "--device", "--lora-device", default="auto", help="auto, cpu, cuda or mps (default: auto)"
    )


def place(options: argparse.Namespace) -> Place:
    """Return where the store of ``--store`` is. Raises `ConfigError`."""
    from lora_checks.core.remote.place import place_of

    return place_of(str(options.store), Path())


def complete(options: argparse.Namespace) -> None:
    """Give options that were left out the project's values, or their defaults. Raises `ConfigError`."""
    left_out = [name for name in DEFAULTS if getattr(options, name, None) is OF_PROJECT]
    mine = project.find(Path.cwd()) if left_out else None
    for name in left_out:
        text = getattr(mine, name)
        setattr(options, name, DEFAULTS[name] if text is None else text if name in TEXTS else Path(text))
