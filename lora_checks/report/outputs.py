"""Write everything that is made of a report, from its document and the store alone, without torch."""

from __future__ import annotations

from pathlib import Path

from lora_checks.record import document as report
from lora_checks.record import journal
from lora_checks.record.files import write_text
from lora_checks.record.shapes import Document
from lora_checks.record.votes.beside import beside
from lora_checks.report import custom, experiments, gitlab, html, markdown, tables

# Every file of the gate that states a verdict
VERDICTS = (
    report.NAME,
    "report.md",
    html.NAME,
    tables.CSV,
    tables.PARQUET,
    tables.WIDE,
    experiments.CSV,
    gitlab.FILE,
    journal.NAME,
)


def write(document: Document, directory: Path, *, again: bool = False) -> list[Path]:
    """Write the gate's outputs and return their paths.

    report.json is first, because the others can be made from it again. Custom outputs are written by
    `write_custom`, after the run has ended well.

    Args:
        again: Leave a page of this run alone if it shows pictures that are no longer on this machine.

    Raises:
        StoreError: A file cannot be written.
    """
    written = [
        report.write(document, directory),
        write_text(directory / "report.md", markdown.render(document, beside(directory).votes)),
        *tables.write(document, directory),
        experiments.write(document, directory),
        (html.rewrite if again else html.write)(document, directory),
        gitlab.write(document, directory),
    ]
    return [path for path in written if path is not None]


def write_custom(document: Document, directory: Path) -> custom.Written:
    """Write the outputs that packages and ``conftest.py`` add; they cannot change the gate's own files."""
    return custom.write(document, directory, VERDICTS)


def verdicts(directory: Path) -> list[Path]:
    """Return every file in the folder that may tell of a verdict, the gate's and the custom ones."""
    return [*(directory / name for name in VERDICTS), *custom.earlier(directory)]
