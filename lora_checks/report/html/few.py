"""Draw up to six of a run's pictures into one file, for places that show a link but no page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lora_checks.core.errors import ReportError, StoreError
from lora_checks.core.files import is_of
from lora_checks.core.words import printable
from lora_checks.images.decoding import decode
from lora_checks.record.shapes import Document
from lora_checks.report.html import examples

MOST = 6
SIDE = 256  # px of a thumbnail's longer side
TEXT = 18  # px of a line of text
ACROSS = 3


def write(document: Document, path: Path) -> int:
    """Write a PNG of thumbnails, from the best to the worst by the row that matters; return their number.

    Raises:
        ReportError: No picture is left on this machine.
        StoreError: The file cannot be written.
    """
    from PIL import Image, ImageDraw, ImageFont, ImageOps

    shown = _chosen(document)
    if not shown:
        raise ReportError("no picture of this report is on this machine")
    across = min(ACROSS, len(shown))
    down = -(-len(shown) // across)
    sheet = Image.new("RGB", (across * SIDE, down * (SIDE + 2 * TEXT)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for i, (file, caption) in enumerate(shown):
        image = ImageOps.contain(Image.fromarray(decode(file)), (SIDE - 4, SIDE - 4))
        x, y = i % across * SIDE, i // across * (SIDE + 2 * TEXT)
        sheet.paste(image, (x + 2, y + 2))
        for line, text in enumerate(caption):
            draw.text((x + 2, y + SIDE + line * TEXT), _fitting(text, font), "black", font)
    try:
        sheet.save(path, "PNG")
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}") from error
    return len(shown)


def _chosen(document: Document) -> list[tuple[Path, tuple[str, str]]]:
    """Return files with two lines of caption, evenly from the best to the worst."""
    found = examples.decisive(document)
    if found is None:
        return []
    lora, row, m = found
    files = {picture["name"]: picture for picture in lora.get("pictures") or ()}
    there = [
        (Path(files[name]["file"]), (printable(name), examples.value_of(row, m, value)))
        for _, name, value in examples.ranking(row, m)
        if name in files and is_of(Path(files[name]["file"]), files[name]["sha256"])
    ]
    picks = min(MOST, len(there))
    return [there[round(i * (len(there) - 1) / max(1, picks - 1))] for i in range(picks)]


def _fitting(text: str, font: Any) -> str:
    """Shorten a text to the width of a thumbnail."""
    text = text.encode("ascii", "replace").decode()
    while font.getlength(text) > SIDE - 4:
        text = text[:-4] + "..."
    return text
