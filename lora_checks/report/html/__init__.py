"""Render the document as one HTML page with embedded pictures, which opens from disk without a network.

Full-size pictures are next to it in ``images/``. Everything comes from the document and the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lora_checks.record.files import write_text, writing
from lora_checks.record.shapes import Document
from lora_checks.report.html import examples, page, ranking, sheet, spectra, stamp
from lora_checks.report.html.album import collect
from lora_checks.report.html.cache import open_cache
from lora_checks.report.html.matrices import matrices
from lora_checks.report.html.prints import Prints, data_uri
from lora_checks.report.html.template import render

NAME = "report.html"
EMBEDDED = ("data:image/webp;base64,", '"cells":"')  # marks each picture and each matrix in a page


def write(document: Document, directory: Path) -> Path:
    """Write ``report.html`` and the pictures next to it; return the page's path.

    A picture that is missing or has changed since it was judged is shown as missing. Raises `StoreError`
    if the folder cannot be written.
    """
    return write_text(directory / NAME, _text(document, directory))


def rewrite(document: Document, directory: Path) -> Path | None:
    """Write the page again; keep a page of this run that has pictures now gone, and return None."""
    path, text = directory / NAME, _text(document, directory)
    old = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    same_run = str(document["run"].get("started")) in old
    if same_run and any(old.count(part) > text.count(part) for part in EMBEDDED):
        return None
    return write_text(path, text)


def _text(document: Document, directory: Path) -> str:
    with writing(directory / NAME):  # covers the pictures next to it as well
        return html(document, directory)


def html(document: Document, directory: Path, live: Mapping[str, Any] | None = None) -> str:
    """Return the page as text; copy the full-size pictures next to it.

    ``live`` holds facts of an ongoing run; that page polls its server and reloads when something changes.
    """
    run = document["run"]
    album = collect(document)
    prints = Prints(album, open_cache(run), directory)
    checks = sheet.checks(document)
    loras = sheet.loras(document, album, checks)
    chosen = spectra.sets(run, loras, prints)
    side = spectra.side_of(chosen, prints)
    thumbs = prints.thumbnails([number for _, _, numbers in chosen for number in numbers], side)
    links = prints.hang()
    data = {
        "checks": checks,
        "loras": loras,
        "prompts": sheet.prompts(run),
        "links": links,
        "names": [picture.name for picture in album.pictures],
        "curves": ranking.curves(document),
        "matrices": matrices(document, album),
        "spectrum": spectra.curves(chosen, prints, side),
        "live": live,
    }
    pictures = [data_uri(thumbs[i]) if i in thumbs else "" for i in range(len(album))]
    shown = {"examples": examples.chosen(document, album), "thumbnails": pictures, "links": links}
    return render(page.context(document) | stamp.context(directory) | shown, data, pictures, live)
