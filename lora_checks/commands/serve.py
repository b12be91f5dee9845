"""``serve``: show the page of a report folder in a browser and follow the run."""

from __future__ import annotations

import argparse
from pathlib import Path

from lora_checks.commands.serving import until_stopped
from lora_checks.core.errors import ConfigError

HELP = "show a report folder in the browser, and follow the run while it is going on"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "directory", type=Path, help="the run's --lora-report (default of a run: .lora_checks/report)"
    )
    parser.add_argument(
        "--port", type=int, default=8765, help="port on 127.0.0.1; 0 picks a free one (default: 8765)"
    )


def run(options: argparse.Namespace) -> int:
    from lora_checks.report.html import server

    if not options.directory.is_dir():
        raise ConfigError(f"{options.directory} is not a folder; name the report folder of a run")
    folder = options.directory.resolve()
    until_stopped(lambda port: server.serve(folder, port), options.port, "stop with Ctrl-C")
    return 0
