"""``requirements``: list the packages for a machine that only verifies, reports or inspects."""

from __future__ import annotations

import argparse

from lora_checks.core import packages
from lora_checks.core.errors import ConfigError

HELP = "print the packages that the commands without a model need, for `pip install`"


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "For a machine without torch: pip install --no-deps lora-checks && "
        "lora-checks requirements | pip install --no-warn-conflicts -r /dev/stdin"
    )
    parser.add_argument("extra", nargs="?", default="", help="an extra to include, for example release")


def run(options: argparse.Namespace) -> int:
    try:
        print("\n".join(packages.light_requirements(options.extra)))
    except KeyError as error:
        raise ConfigError(f"requirements: {error.args[0]}") from None
    return 0
