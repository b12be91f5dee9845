"""``policy``: check policies as a run does, and summarise them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lora_checks.commands import shared

HELP = "check policies as strictly as a run does, and summarise them"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "directories",
        nargs="*",
        type=Path,
        metavar="DIR",
        help=shared.POLICY,
    )
    parser.add_argument(
        "--schemas",
        type=Path,
        metavar="DIR",
        help="write the JSON Schemas of both files into DIR, for an editor",
    )


def run(options: argparse.Namespace) -> int:
    """Return 1 if a policy is invalid; print the first error of each, with file and line."""
    from lora_checks.core.errors import ConfigError
    from lora_checks.core.words import count
    from lora_checks.policy import json_schema
    from lora_checks.policy.reading import load_policy

    if not (options.directories or options.schemas):
        raise ConfigError("policy: name a policy's folder, or a folder to write the --schemas into")
    if options.schemas:
        print(*json_schema.write(options.schemas), sep="\n")
    invalid = False
    for directory in options.directories:
        try:
            policy = load_policy(directory)
        except ConfigError as error:
            print(f"error: {error}", file=sys.stderr)
            invalid = True
            continue
        rows, prompts = len(policy.thresholds), policy.prompts
        asked = f"{count(len(prompts.prompts), 'prompt')} x {count(len(prompts.seeds), 'seed')}"
        print(f"{directory}: {count(rows, 'row')}, {asked}, base {prompts.base.model}")
    return int(invalid)
