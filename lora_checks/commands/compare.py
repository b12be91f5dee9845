"""``compare``: reports against each other, on the same prompts and seeds."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "say row by row how LoRAs of two or more reports differ"


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Each report against the first, on the same prompts and seeds, with intervals. Ends in 1 if "
        "something could not be compared."
    )
    parser.add_argument(
        "reports",
        nargs="+",
        metavar="REPORT",
        help="report folders or report.json files; REPORT#NAME for one LoRA of several",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write compare.json, compare.md and compare.html there"
    )


def run(options: argparse.Namespace) -> int:
    from lora_checks.core.errors import ConfigError
    from lora_checks.record.regression.approved import read
    from lora_checks.report import regression_reports

    if len(options.reports) < 2:
        raise ConfigError("compare: name two reports or more, the one to compare with first")
    found = regression_reports.side_by_side(
        [read(argument, Path(), "compare") for argument in options.reports]
    )
    print(regression_reports.text(found))
    if options.out is not None:
        print(f"written: {', '.join(str(path) for path in regression_reports.write(found, options.out))}")
    return int(not regression_reports.whole(found))
