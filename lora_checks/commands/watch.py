"""``watch``: gate checkpoints as a trainer finishes them."""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lora_checks.commands import shared

HELP = "gate each checkpoint of a folder when it is finished, and keep the leaderboard and the page current"


def add(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("folder", type=Path, help="where the trainer writes; subfolders count")
    shared.add_policy(parser)
    shared.add_store(parser)
    add("--report", "--lora-report", type=Path, help="folder of the report (default: report in the store)")
    add("--pattern", default="*.safetensors", help="names of checkpoints (default: *.safetensors)")
    add(
        "--quiet",
        type=float,
        default=10.0,
        metavar="S",
        help="seconds without a change that end a file (default: 10)",
    )
    add("--every", type=float, default=5.0, metavar="S", help="seconds between two looks (default: 5)")
    add("--idle", type=float, metavar="S", help="end when nothing new has come for so many seconds")
    add("--once", action="store_true", help="gate what is finished now and end; for a trainer's own hook")
    add("--free", type=float, metavar="GIB", help="before each run wait until a GPU has so much memory free")
    add(
        "--args",
        default="",
        metavar="OPTIONS",
        help="further options of pytest, in quotes: --args='--lora-scale 0.8'",
    )


def run(options: argparse.Namespace) -> int:
    """Return 0 if a checkpoint of the last report passed."""
    from lora_checks.core.errors import ConfigError
    from lora_checks.gate.watching import Watch, follow, wait_for_memory

    if not options.folder.is_dir():
        raise ConfigError(f"{options.folder} is not a folder; name the one that the trainer writes to")
    report = options.report or shared.place(options).shown / "report"

    def gate(files: Sequence[Path]) -> int:
        if options.free is not None:
            wait_for_memory(options.free, options.every, _say)
        loras = [part for path in files for part in ("--lora", str(path))]
        places = ["--lora-policy", options.policy, "--lora-store", options.store, "--lora-report", report]
        command = [sys.executable, "-m", "pytest", *loras, *map(str, places), *shlex.split(options.args)]
        return subprocess.run(command, check=False).returncode

    watch = Watch(options.folder, options.pattern, options.quiet, report, gate, _say)
    try:
        follow(watch, every=options.every, idle=options.idle, once=options.once)
    except KeyboardInterrupt:
        _say("ended; the same command continues")
    return 0 if watch.passed() else 1


def _say(text: str) -> None:
    print(f"watch: {text}", flush=True)
