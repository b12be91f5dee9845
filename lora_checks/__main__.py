"""``lora-checks``, or ``python -m lora_checks``: the commands around a gating run."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from lora_checks.commands import shared
from lora_checks.core import packages
from lora_checks.core.errors import LoraChecksError
from lora_checks.core.outside import job_log

COMMANDS = (  # modules of lora_checks.commands, in the order of `--help`
    "demo",
    "init",
    "check",
    "fetch",
    "watch",
    "stats",
    "inspect",
    "calibrate",
    "policy",
    "selftest",
    "report",
    "compare",
    "serve",
    "vote",
    "votes",
    "approve",
    "attest",
    "verify",
    "log",
    "card",
    "comment",
    "requirements",
    "store",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0; 1 if the answer is no (a bad file, a row not calibrated); 2 if the command is wrong."""
    try:
        with job_log():
            parser = _parser()
            options = parser.parse_args(arguments)
            if not hasattr(options, "run"):  # no command
                parser.print_help(sys.stderr)
                return 2
            return _run(options)
    except BrokenPipeError:  # `| head` has stopped reading, and Python must not complain at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(options: argparse.Namespace) -> int:
    try:
        shared.complete(options)
        return int(options.run(options))
    except LoraChecksError as error:
        print(f"error: {error}", file=sys.stderr)
    except ModuleNotFoundError as error:
        print(f"error: {packages.missing(error)}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lora-checks",
        description="Helpers of the LoRA gate; `pytest --lora FILE` is the gate itself.",
        epilog="Begin with `lora-checks demo`, or with `lora-checks init` for a LoRA of your own.",
    )
    parser.add_argument("--version", action="version", version=f"lora-checks {packages.version()}")
    commands = parser.add_subparsers(metavar="COMMAND")
    for name in COMMANDS:
        command = import_module(f"lora_checks.commands.{name}")
        own = commands.add_parser(name, help=command.HELP)
        command.add(own)
        own.set_defaults(run=command.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
