"""Put approvals on a page that is already written.

The page may have been made on another machine, whose pictures are not here, so it cannot be rendered again;
only what stands between two comments is replaced.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from lora_checks.core.words import printable
from lora_checks.record import approval
from lora_checks.record.document import read_file
from lora_checks.record.files import write_text

NAME = "report.html"
_PLACE = re.compile(r"<!-- approvals: begin -->.*?<!-- approvals: end -->", re.DOTALL)


def context(directory: Path) -> dict[str, Any]:
    """Return the values of the template of approvals, from the files in the folder of the page."""
    beside = approval.beside(directory)
    return {
        "approvals": [{"words": printable(one.words), "loud": bool(one.despite), "lora": printable(one.lora)}
                      for one in beside.approvals],
        "approval_ignored": printable(beside.ignored),
    }  # fmt: skip


def stamp(directory: Path) -> Path | None:
    """Replace the approvals on the page of the folder's report; return its path.

    Returns None if there is no page, or one of another run. Raises `StoreError` if it cannot be written.
    """
    from lora_checks.report.html.template import environment

    path = directory / NAME
    if not path.is_file():
        return None
    text = path.read_text(encoding="utf-8", errors="replace")
    run = read_file(directory / "report.json")["run"]
    if len(_PLACE.findall(text)) != 1 or str(run.get("started") or run.get("finished")) not in text:
        return None
    ours = environment().get_template("approvals.html.j2").render(**context(directory)).strip()
    ours = ours.encode("utf-8", "replace").decode()
    return write_text(path, _PLACE.sub(lambda _: ours, text))
