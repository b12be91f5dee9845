"""``compare``: compare reports row by row, on the same prompts and seeds."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "compare the LoRAs of two or more reports row by row"


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Shows the rows of all reports side by side, and compares each report with the first, on the prompts "
        "that both have and the same seeds, with intervals. Exits with 1 if a row could not be compared."
    )
    parser.add_argument(
        "reports",
        nargs="+",
        metavar="REPORT",
        help="report folders or report.json files; REPORT#NAME picks one LoRA of several",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write compare.json, .csv, .md and .html there"
    )


def run(options: argparse.Namespace) -> int:
    from lora_checks.core.errors import ConfigError
    from lora_checks.record.regression.approved import read
    from lora_checks.report import regression_reports

    if len(options.reports) < 2:
        raise ConfigError("compare: name at least two reports; the others are compared with the first")
    comparison = regression_reports.side_by_side(
        [read(argument, Path(), "compare") for argument in options.reports]
    )
    print(regression_reports.text(comparison))
    if options.out is not None:
        print(
            f"written: {', '.join(str(path) for path in regression_reports.write(comparison, options.out))}"
        )
    return int(not regression_reports.whole(comparison))
