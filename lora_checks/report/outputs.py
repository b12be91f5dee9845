"""Everything that is made of a report, from its document and the store alone: no model, no GPU, no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lora_checks.record import document as report
from lora_checks.record import journal
from lora_checks.record.files import write_text
from lora_checks.report import gitlab, html, markdown, tables

# Every file that tells of a verdict
VERDICTS = (report.NAME, "report.md", html.NAME, tables.CSV, tables.PARQUET, gitlab.FILE, journal.NAME)


def write(document: Mapping[str, Any], directory: Path, *, again: bool = False) -> list[Path]:
    """What was written: report.json first, since the others can be made of it again. Raises `StoreError`.

    ``again``: a page of this run that shows what is no longer on this machine is left as it is.
    """
    written = [
        report.write(document, directory),
        write_text(directory / "report.md", markdown.render(document)),
        *tables.write(document, directory),
        (html.rewrite if again else html.write)(document, directory),
        gitlab.write(document, directory),
    ]
    return [path for path in written if path is not None]
