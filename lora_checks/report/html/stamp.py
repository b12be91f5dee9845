"""Put approvals and people's votes on a page that is already written.

The page may have been made on another machine, whose pictures are not here, so it cannot be rendered again;
only what stands between two pairs of comments is replaced.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from lora_checks.core.words import printable
from lora_checks.record import approval
from lora_checks.record.document import read_file
from lora_checks.record.files import write_text
from lora_checks.record.shapes.votes import Votes
from lora_checks.record.votes import beside as votes
from lora_checks.report import votes_words

NAME = "report.html"
_PLACES = {
    f"{name}.html.j2": re.compile(f"<!-- {name}: begin -->.*?<!-- {name}: end -->", re.DOTALL)
    for name in ("approvals", "votes")
}


def context(directory: Path) -> dict[str, Any]:
    """Return the values of both templates, from the files in the folder of the page."""
    beside, people = approval.beside(directory), votes.beside(directory)
    return {
        "approvals": [{"words": printable(one.words), "loud": bool(one.despite), "lora": printable(one.lora)}
                      for one in beside.approvals],
        "approval_ignored": printable(beside.ignored),
        "votes": _votes(people.votes) if people.votes else None,
        "votes_ignored": printable(people.ignored),
    }  # fmt: skip


def _votes(found: Votes) -> dict[str, Any]:
    first, order, *others = votes_words.findings(found)
    tables = (votes_words.loras(found), votes_words.rows(found), votes_words.raters(found))
    names = ("Order of the LoRAs", "Rows against people", "Raters")
    return {
        "first": f"{first}; {order}",
        "others": others,
        "cautions": votes_words.cautions(found),
        "tables": [
            {
                "name": name,
                "headings": headings,
                "rows": [[printable(cell) for cell in row] for row in rows],
            }
            for name, (headings, rows) in zip(names, tables, strict=True)
            if rows
        ],
    }


def stamp(directory: Path) -> Path | None:
    """Replace approvals and votes on the page of the folder's report; return its path.

    Returns None if there is no page, or one of another run. Raises `StoreError` if it cannot be written.
    """
    from lora_checks.report.html.template import environment

    path = directory / NAME
    if not path.is_file():
        return None
    text = path.read_text(encoding="utf-8", errors="replace")
    run = read_file(directory / "report.json")["run"]
    if str(run.get("started") or run.get("finished")) not in text:
        return None
    values, found = context(directory), False
    for template, place in _PLACES.items():
        ours = environment().get_template(template).render(**values).strip()
        ours = ours.encode("utf-8", "replace").decode()
        before, *after = place.split(text)
        if len(after) == 1:  # a page of an earlier version has no place for votes
            text, found = f"{before}{ours}{after[0]}", True
    return write_text(path, text) if found else None
