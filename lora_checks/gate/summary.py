"""Show the end of a gating run on the terminal, in place of pytest's own summary."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lora_checks.core.words import printable
from lora_checks.images.gallery import shown
from lora_checks.record.shapes import Document
from lora_checks.report import github, html, terminal


def write(
    reporter: pytest.TerminalReporter, document: Document, folder: Path, interrupted: bool = False
) -> None:
    """Write the table of verdicts and the place of the report."""
    writer = reporter.config.get_terminal_writer()
    reporter.section("LoRA release gate")
    lines = terminal.lines(document, writer.fullwidth, writer.markup if writer.hasmarkup else None)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        workspace = os.environ.get("GITHUB_WORKSPACE")
        annotations = github.annotations(document, Path(workspace) if workspace else None)
        lines = [*github.guarded(lines), *annotations]
    for line in lines:
        reporter.write_line(line)
    if interrupted:
        reporter.write_line("interrupted; the same command continues: what is in the store is not made again")
    reporter.write_line(f"report: {shown(folder / html.NAME)}")


def tell(config: pytest.Config, line: str) -> None:
    """Print a line of its own between pytest's dots; nothing for ""."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if not line or reporter is None:
        return
    reporter.ensure_newline()
    if config.get_terminal_writer().width_of_current_line:  # pytest-xdist's dots
        reporter.write_line("")
    reporter.write_line(printable(line))


def silence_pytest(config: pytest.Config) -> None:
    """Leave out pytest's FAILURES section, which would repeat the sentences of the table of verdicts."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:  # with -p no:terminal there is neither a summary nor options for it
        return
    if config.option.tbstyle == "auto":
        config.option.tbstyle = "no"
    if config.option.reportchars == "fE":  # pytest's default
        reporter.reportchars = ""
