"""Read and write ``ballot.json``: which pictures people are shown, and which LoRA each of them is of.

Whoever votes never sees this file. The page knows pictures and showings by random tokens only.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lora_checks.core import seals
from lora_checks.core.errors import ReleaseError, ReportError, StoreError
from lora_checks.core.files import write_if_absent
from lora_checks.core.strict_json import strict_json

NAME = "ballot.json"
SCHEMA = 1
Kind = Literal["better", "real"]


@dataclass(frozen=True, slots=True)
class Contestant:
    """A LoRA whose pictures are shown."""

    label: str  # unique in the ballot: its name, with the report's folder where two reports have the name
    name: str  # in its report
    sha256: str
    path: str
    report: str  # folder


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture; ``lora`` is the label of its LoRA, or "" for a real picture."""

    token: str
    lora: str
    name: str  # in its report, "prompt/seed"
    prompt: str
    sha256: str
    file: str


@dataclass(frozen=True, slots=True)
class Showing:
    """A question about two pictures; ``again`` is the showing that it repeats, or ""."""

    token: str
    kind: Kind
    pictures: tuple[str, str]
    prompt: str  # id
    text: str
    again: str


@dataclass(frozen=True, slots=True)
class Ballot:
    """All that is asked, the same for every rater; each rater has an order and sides of their own."""

    id: str
    made: str  # ISO 8601, UTC
    question: str
    pairs: int  # that were asked for; there may be fewer
    real: int
    loras: tuple[Contestant, ...]
    pictures: tuple[Shown, ...]
    showings: tuple[Showing, ...]


def read(path: Path) -> Ballot:
    """Return the ballot in a file.

    Raises:
        ReportError: the file is missing, damaged, or of another version.
    """
    try:
        record = strict_json(path.read_bytes(), str(path))
    except OSError as error:
        why = error.strerror or error
        raise ReportError(f"{path}: cannot be read ({why}); name the folder of `lora-checks vote`") from error
    except ReleaseError as error:
        raise ReportError(f"{error}; restore it: without it no vote can be read") from error
    content = seals.unseal_json(record)
    if content is None or content.get("schema") != SCHEMA:
        raise ReportError(
            f"{path} was damaged or edited since it was written, or another version wrote it; restore it: "
            "without it no vote can be read"
        )
    return _ballot(content)


def _ballot(content: Mapping[str, Any]) -> Ballot:
    return Ballot(
        id=content["id"],
        made=content["made"],
        question=content["question"],
        pairs=content["pairs"],
        real=content["real"],
        loras=tuple(Contestant(**lora) for lora in content["loras"]),
        pictures=tuple(Shown(**picture) for picture in content["pictures"]),
        showings=tuple(
            Showing(**{**showing, "pictures": tuple(showing["pictures"])}) for showing in content["showings"]
        ),
    )


def put(ballot: Ballot, folder: Path) -> Ballot:
    """Write the ballot unless the folder has one; return the folder's ballot.

    Raises:
        StoreError: the folder cannot be written.
    """
    record = seals.seal_json({"schema": SCHEMA, **dataclasses.asdict(ballot)})
    try:
        write_if_absent(folder / NAME, (json.dumps(record, indent=1) + "\n").encode())
    except OSError as error:
        raise StoreError(f"{folder / NAME} could not be written ({error.strerror or error})") from error
    return read(folder / NAME)
