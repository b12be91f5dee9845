"""Read and write ``votes.json`` next to the report.json that it is about."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from lora_checks.core import seals
from lora_checks.core.errors import ReleaseError, ReportError
from lora_checks.core.strict_json import strict_json
from lora_checks.core.words import printable
from lora_checks.record.files import write_text
from lora_checks.record.schema import problem
from lora_checks.record.shapes.votes import Votes

NAME = "votes.json"


@dataclass(frozen=True, slots=True)
class Beside:
    """The votes next to a report, or why they are ignored ("" if there are none)."""

    votes: Votes | None = None
    ignored: str = ""


def write(votes: Votes, directory: Path) -> Path:
    """Write the votes and return their path. Raises `StoreError`."""
    return write_text(directory / NAME, json.dumps(seals.seal_json(votes), indent=1, allow_nan=False) + "\n")


def read(path: Path) -> Votes:
    """Return the votes in a file. Raises `ReportError` if it is missing, damaged, or of another version."""
    try:
        record = strict_json(path.read_bytes(), str(path))
    except OSError as error:
        raise ReportError(
            f"{path}: cannot be read ({error.strerror or error}); `lora-checks votes` writes it"
        ) from error
    except ReleaseError as error:
        raise ReportError(f"{error}; `lora-checks votes` writes it again") from error
    content = seals.unseal_json(record)
    wrong = "its digest does not match" if content is None else problem(content, "votes")
    if wrong:
        raise ReportError(f"{path}: {wrong}; `lora-checks votes` writes it again")
    return cast(Votes, content)


def beside(directory: Path) -> Beside:
    """Return the votes on the report.json in a folder; votes on another report are only named.

    Never raises: a page or card is shown without votes that cannot be read, and says so.
    """
    path, here = directory / NAME, directory / "report.json"
    try:
        if not path.exists():
            return Beside()
        votes = read(path)
        report = here.read_bytes() if here.exists() else b""
    except (ReportError, OSError) as error:
        return Beside(ignored=f"people's votes are ignored: {printable(str(error))}")
    if votes["report"] != hashlib.sha256(report).hexdigest():
        return Beside(
            ignored=f"people's votes are ignored: {printable(str(path))} is about another report than this; "
            "run `lora-checks votes` again"
        )
    return Beside(votes)
