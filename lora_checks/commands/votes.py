"""``votes``: say which LoRA people prefer, how far they agree, and which rows see what they see."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lora_checks.record.shapes import Document
    from lora_checks.record.shapes.votes import Votes
    from lora_checks.record.votes.ballot import Ballot
    from lora_checks.record.votes.book import Vote

HELP = "say which LoRA people prefer, and which rows see what they see"


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Reads what `lora-checks vote` gathered, writes votes.json next to report.json, and shows it on the "
        "page, in report.md and on the model card."
    )
    add = parser.add_argument
    add("report", metavar="REPORT", type=Path, help="report folder of the run")
    add(
        "votes",
        metavar="VOTES",
        nargs="*",
        type=Path,
        help="folders of `vote`, and files saved by its offline page (default: REPORT/votes)",
    )


def run(options: argparse.Namespace) -> int:
    from lora_checks.core.files import file_sha256
    from lora_checks.record.document import read_file
    from lora_checks.record.files import write_text
    from lora_checks.record.votes import beside, result
    from lora_checks.report import markdown
    from lora_checks.report.html import stamp

    directory = options.report.resolve()
    path = directory / "report.json"
    document = read_file(path)  # votes are about a run that has ended
    ballot, votes = gathered(directory, options.votes)
    reports = _reports(directory, document, ballot)
    _seen(reports, ballot, directory)
    known_as = next(folder for folder, one in reports.items() if one is document)
    found = result.result(ballot, votes, reports, known_as, file_sha256(path))
    written = [beside.write(found, directory)]
    written.append(write_text(directory / "report.md", markdown.render(document, found)))
    page = stamp.stamp(directory)
    print("\n".join(_lines(found, document, written[0])))
    print("\n".join(map(str, [*written, *filter(None, [page])])))
    if page is None:
        print(f"{directory}: no page of this run to show it on; `lora-checks report` makes one")
    return 0


def gathered(directory: Path, places: Sequence[Path]) -> tuple[Ballot, list[Vote]]:
    """Return the ballot and every answer to it, of several to one question of one rater the last.

    Raises:
        ReportError: there is no ballot or no vote, or a file answers another ballot.
    """
    from lora_checks.commands.vote import FOLDER
    from lora_checks.core.errors import ReportError
    from lora_checks.record.votes import ballot, book

    folders = [place for place in places if place.is_dir()]
    files = [place for place in places if not place.is_dir()]
    homes = folders or [directory / FOLDER]
    own = [ballot.read(home / ballot.NAME) for home in homes]
    for home, one in zip(homes, own, strict=True):
        if one.id != own[0].id:
            raise ReportError(
                f"{home} has another ballot than {homes[0]}; read each with a command of its own"
            )
    for file in files:
        if book.exported_ballot(file) != own[0].id:
            raise ReportError(
                f"{file} answers another ballot than {homes[0]}; name the folder of its ballot, which "
                "`lora-checks vote --offline` printed"
            )
    votes = [vote for home in homes for vote in book.of_folder(home, own[0])]
    votes += [vote for file in files for vote in book.of_export(file, own[0])]
    if not votes:
        raise ReportError(f"{homes[0]} has no votes yet; `lora-checks vote` asks for them")
    return own[0], book.latest(sorted(votes, key=lambda vote: vote.at))


def _reports(directory: Path, document: Document, ballot: Ballot) -> dict[str, Document]:
    """Return the reports of the ballot that are on this machine. Raises `ReportError` for another report."""
    from lora_checks.core.errors import ReportError
    from lora_checks.record.document import read_file

    folders = {lora.report for lora in ballot.loras}
    if str(directory) not in folders:
        # A report that was moved is known by its LoRAs.
        own = {(lora["name"], lora["sha256"]) for lora in document["loras"]}
        moved = [
            folder
            for folder in folders
            if {(lora.name, lora.sha256) for lora in ballot.loras if lora.report == folder} <= own
        ]
        if not moved:
            raise ReportError(f"the votes are not about {directory}, but about {', '.join(sorted(folders))}")
        return {moved[0]: document}
    others = [folder for folder in folders if folder != str(directory)]
    there = {folder: Path(folder) / "report.json" for folder in others}
    return {str(directory): document} | {
        folder: read_file(path) for folder, path in there.items() if path.is_file()
    }


def _seen(reports: dict[str, Document], ballot: Ballot, directory: Path) -> None:
    """Refuse a report that was made again with other pictures than those that people saw."""
    from lora_checks.core.errors import ReportError
    from lora_checks.record.votes.row_values import gated

    if not any(lora.tokens for lora in gated(reports, ballot).values()):
        raise ReportError(
            f"{directory} has none of the pictures that people saw: it was made again with others; begin "
            "another ballot with `lora-checks vote --out DIR`"
        )


def _lines(votes: Votes, document: Document, path: Path) -> list[str]:
    from lora_checks.report import votes_words as words

    first, *others = words.sentences(votes)
    lines = [first, ""]
    for table in (words.loras(votes), words.rows(votes), words.raters(votes)):
        lines += [*(f"  {line}" for line in words.aligned(table)), ""] if table[1] else []
    lines += others
    weighting = votes["weighting"]
    if weighting and weighting["weights"]:
        lines += ["", "for thresholds.yaml, under which `utility` is what these people preferred:"]
        lines += words.ranking(weighting)
    if votes["good"]:
        policy = document["run"]["policy"]["directory"] or "DIR"
        lines += ["", "limits between what they called good and bad:"]
        lines += [f"lora-checks calibrate --policy {policy} --votes {path}"]
    return [*lines, ""]
