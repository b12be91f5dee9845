"""``policy``: read policies as a run would, and say what they ask for."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HELP = "read policies strictly, as a run does, and say what they ask for"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "directories", nargs="+", type=Path, metavar="DIR", help="with thresholds.yaml and prompts.yaml"
    )


def run(options: argparse.Namespace) -> int:
    """Return 1 if a policy is wrong; each one's first error has its file and line."""
    from lora_checks.core.errors import ConfigError
    from lora_checks.core.words import count
    from lora_checks.policy.reading import load_policy

    wrong = False
    for directory in options.directories:
        try:
            policy = load_policy(directory)
        except ConfigError as error:
            print(f"error: {error}", file=sys.stderr)
            wrong = True
            continue
        rows, prompts = len(policy.thresholds), policy.prompts
        asked = f"{count(len(prompts.prompts), 'prompt')} x {count(len(prompts.seeds), 'seed')}"
        print(f"{directory}: {count(rows, 'row')}, {asked}, base {prompts.base.model}")
    return int(wrong)
