"""Render the page on which people vote; it knows pictures and questions by random tokens only."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from lora_checks.core.errors import ReportError
from lora_checks.core.files import is_of
from lora_checks.core.words import count, printable
from lora_checks.images.decoding import decode
from lora_checks.record.votes.ballot import Ballot, Shown
from lora_checks.report.html import prints
from lora_checks.report.html.album import Album, Picture
from lora_checks.report.html.cache import Cache
from lora_checks.report.html.escape import policy, script_json
from lora_checks.report.html.template import environment, scripts, static

STYLES = ("page.css", "vote.css")
SCRIPTS = ("vote.js",)
LOSSLESS = 256  # px of the longer side up to which the offline page has every pixel
QUALITY = 92  # of WebP in the offline page
REAL = "Which of the two is a real picture?"


def sources(ballot: Ballot, reports: Sequence[Path] = ()) -> dict[str, Path]:
    """Return the file of each picture, by token.

    Args:
        ballot: what is shown.
        reports: the folders of its reports, if these were moved since the ballot was drawn.

    Raises:
        ReportError: pictures are gone, or have changed since they were judged.
    """
    folders = list(dict.fromkeys([*(Path(lora.report) for lora in ballot.loras), *reports]))
    found = {picture.token: _source(picture, folders) for picture in ballot.pictures}
    lost = [picture for picture in ballot.pictures if found[picture.token] is None]
    if lost:
        first = lost[0]
        raise ReportError(
            f"{len(lost)} of {count(len(found), 'picture')} are gone or have changed since they were judged; "
            f"the first is {first.lora or 'the real picture'} {first.name} at {first.file or '(no path)'}: "
            "run the gate again, which makes the same ones, or begin another ballot with --out DIR"
        )
    return {token: path for token, path in found.items() if path is not None}


def _source(picture: Shown, folders: Sequence[Path]) -> Path | None:
    """Return the judged file, at its recorded path or next to a report's page."""
    one = Picture(picture.sha256, picture.file, "")
    for folder in folders:
        path = prints.Prints(Album(), Cache(None), folder).source(one)
        if path is not None:
            return path
    return None


def png(path: Path, sha256: str) -> bytes:
    """Return a picture's pixels and nothing else of its file, whose metadata may name the LoRA.

    Raises:
        ReportError: the file has changed since the page was opened.
    """
    if not is_of(path, sha256):
        raise ReportError(f"{path} has changed since it was judged")
    return _encoded(path, sha256)


@lru_cache(maxsize=32)
def _encoded(path: Path, _sha256: str) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(decode(path)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def served(ballot: Ballot) -> str:
    """Return the page that loads pictures from its server and saves votes there."""
    return _page(ballot, {}, live=True)


def offline(ballot: Ballot, files: Mapping[str, Path]) -> str:
    """Return the page with all pictures inside, which keeps votes in the browser and gives them back."""
    pictures = {picture.token: _webp(files[picture.token]) for picture in ballot.pictures}
    return _page(ballot, pictures, live=False)


def _webp(path: Path) -> str:
    from PIL import Image

    image, buffer = Image.fromarray(decode(path)), io.BytesIO()
    image.save(buffer, "WEBP", quality=QUALITY, lossless=max(image.size) <= LOSSLESS, method=2)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def public(ballot: Ballot) -> dict[str, Any]:
    """Return what a rater's browser gets to know."""
    return {
        "ballot": ballot.id,
        "questions": {"better": printable(ballot.question), "real": REAL},
        "showings": [
            {
                "token": one.token,
                "kind": one.kind,
                "pictures": list(one.pictures),
                "text": printable(one.text),
                "again": one.again,
            }
            for one in ballot.showings
        ],
    }


def _page(ballot: Ballot, pictures: Mapping[str, str], live: bool) -> str:
    from markupsafe import Markup

    run = scripts(SCRIPTS, ())
    text = (
        environment()
        .get_template("vote.html.j2")
        .render(
            csp=policy(run, live=live),
            styles=Markup("\n".join(static(style) for style in STYLES)),
            scripts=[Markup(script) for script in run],
            data=Markup(script_json(public(ballot) | {"live": live})),
            pictures=Markup(script_json(pictures)),
            live=live,
            showings=len(ballot.showings),
        )
    )
    return text.encode("utf-8", "replace").decode()
