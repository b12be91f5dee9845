"""Keep votes, one file per rater, to which each vote is appended and on disk before it is confirmed."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from filelock import FileLock

from lora_checks.core import seals
from lora_checks.core.errors import ConfigError, ReleaseError, ReportError, StoreError
from lora_checks.core.strict_json import strict_json
from lora_checks.core.words import printable
from lora_checks.record.votes.ballot import Ballot

Choice = Literal["left", "right", "tie", "skip"]
CHOICES: tuple[Choice, ...] = get_args(Choice)
LONGEST_NAME = 60
LONGEST_WAIT = 86_400.0  # seconds; more is a tab that was left open
EXPORTED = "lora_checks_votes"  # key of a file that an offline page gives back
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Vote:
    """One answer, with the pictures' tokens on the sides where they were shown."""

    rater: str
    showing: str
    choice: Choice
    left: str
    right: str
    seconds: float
    at: str  # ISO 8601, by the rater's clock

    @property
    def preferred(self) -> str:
        """Return the token of the picture that was chosen; "" for a tie or a skip."""
        return {"left": self.left, "right": self.right}.get(self.choice, "")


def rater_of(name: object) -> str:
    """Return a rater's name as it is kept. Raises `ConfigError` for an empty or too long one."""
    kept = " ".join(printable(name).split()) if isinstance(name, str) else ""
    if not 1 <= len(kept) <= LONGEST_NAME:
        raise ConfigError(f"a rater's name has 1 to {LONGEST_NAME} characters")
    return kept


def checked(entry: object, ballot: Ballot) -> Vote:
    """Return the vote that ``entry`` states. Raises `ConfigError` for one that this ballot does not allow."""
    fields: Mapping[str, Any] = entry if isinstance(entry, Mapping) else {}
    showing = next((one for one in ballot.showings if one.token == fields.get("showing")), None)
    if showing is None:
        raise ConfigError(f"{_shown(fields.get('showing'))} is no question of this ballot")
    seconds = fields.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ConfigError(f"seconds must be a number, not {_shown(seconds)}")
    choice = next((one for one in CHOICES if one == fields.get("choice")), None)
    if choice is None:
        raise ConfigError(f"{_shown(fields.get('choice'))} is no answer; answers are {', '.join(CHOICES)}")
    sides = (fields.get("left"), fields.get("right"))
    if sides not in (showing.pictures, showing.pictures[::-1]):
        raise ConfigError("left and right must be the two pictures of the question")
    at = printable(str(fields.get("at", "")))[:40]
    return Vote(
        rater_of(fields.get("rater")), showing.token, choice, str(sides[0]), str(sides[1]),
        min(max(0.0, float(seconds)), LONGEST_WAIT), at,
    )  # fmt: skip


def _shown(value: object) -> str:
    return repr(value)[:60]


def append(vote: Vote, folder: Path) -> None:
    """Append a vote to its rater's file, on disk before this returns; writers wait for each other.

    Raises:
        StoreError: the file cannot be written.
    """
    path = folder / _file(vote.rater)
    line = json.dumps(seals.seal_json(asdict(vote)), separators=(",", ":")).encode() + b"\n"
    try:
        (folder / ".lock").mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock" / path.name), path.open("ab+") as file:
            _cut_torn_line(file.fileno())
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StoreError(f"{path} could not be written ({error.strerror or error})") from error


def _cut_torn_line(descriptor: int) -> None:
    """Remove what a writer that was killed left behind the last whole line."""
    size = os.fstat(descriptor).st_size
    content = os.pread(descriptor, size, 0)
    whole = content.rfind(b"\n") + 1
    if whole < size:
        os.ftruncate(descriptor, whole)


def _file(rater: str) -> str:
    """Return a name that no other rater's file has, also where case does not count."""
    plain = re.sub(r"[^a-z0-9]+", "-", rater.lower()).strip("-")[:30]
    return f"votes-{plain}-{hashlib.sha256(rater.encode()).hexdigest()[:8]}.jsonl"


def of_rater(rater: str, folder: Path, ballot: Ballot) -> list[Vote]:
    """Return a rater's answers; of several to one question the last counts."""
    path = folder / _file(rater)
    return latest(_lines(path, ballot)) if path.is_file() else []


def of_folder(folder: Path, ballot: Ballot) -> list[Vote]:
    """Return the answers of all raters of a folder."""
    return [vote for path in sorted(folder.glob("votes-*.jsonl")) for vote in latest(_lines(path, ballot))]


def latest(votes: Iterable[Vote]) -> list[Vote]:
    """Return the last answer of each rater to each question, in the order of the answers."""
    last: dict[tuple[str, str], Vote] = {}
    for vote in votes:
        last.pop((vote.rater, vote.showing), None)
        last[vote.rater, vote.showing] = vote
    return list(last.values())


def _lines(path: Path, ballot: Ballot) -> list[Vote]:
    """Return every whole line. Raises `ReportError` with the number of a damaged one."""
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except OSError as error:
        raise ReportError(f"{path}: cannot be read ({error.strerror or error})") from error
    found = []
    for i, line in enumerate(lines, start=1):
        try:
            entry = seals.unseal_json(strict_json(line, "it"))
            if entry is None:
                raise ConfigError("its digest does not match")
            found.append(checked(entry, ballot))
        except (ReleaseError, ConfigError) as error:
            raise ReportError(f"{path}:{i}: is damaged: {error}; restore it or delete the line") from error
    return found


def exported_ballot(path: Path) -> str:
    """Return the id of the ballot that an exported file answers. Raises `ReportError`."""
    return str(_exported(path)["ballot"])


def of_export(path: Path, ballot: Ballot) -> list[Vote]:
    """Return the answers in a file that an offline page gave back. Raises `ReportError`."""
    entries = _exported(path)["votes"]
    try:
        return latest([checked(entry, ballot) for entry in entries])
    except ConfigError as error:
        raise ReportError(f"{path}: {error}; let the rater save the file again") from error


def _exported(path: Path) -> dict[str, Any]:
    try:
        content = strict_json(path.read_bytes(), str(path))
    except OSError as error:
        raise ReportError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ReleaseError as error:
        raise ReportError(f"{error}; name the file that the page of `lora-checks vote` saved") from error
    if content.get(EXPORTED) != SCHEMA or not isinstance(content.get("votes"), list):
        raise ReportError(f"{path} has no votes; name the file that the page of `lora-checks vote` saved")
    return content
