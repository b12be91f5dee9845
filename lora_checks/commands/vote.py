"""``vote``: show people blind pairs of pictures in the browser, and keep what they prefer."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lora_checks.commands import shared
from lora_checks.commands.serving import until_stopped
from lora_checks.core.errors import ConfigError

if TYPE_CHECKING:
    from lora_checks.record.shapes import Document
    from lora_checks.record.votes.ballot import Ballot

HELP = "let people compare the pictures of several LoRAs, blind, in the browser"
FOLDER = "votes"


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Shows pairs of pictures of the same prompt and seed from different LoRAs, in random order and on "
        "random sides; `lora-checks votes` says what follows. The same command goes on where it stopped."
    )
    add = parser.add_argument
    add("reports", metavar="REPORT", nargs="+", type=Path, help="report folders of runs with these LoRAs")
    add("--out", metavar="DIR", type=Path, help="where ballot and votes are kept (default: REPORT/votes)")
    add("--pairs", metavar="N", type=int, help="pairs to ask about (default: 100, if there are as many)")
    add("--real", metavar="N", type=int, help="also ask N times which of a LoRA's and a reference is real")
    add("--question", metavar="TEXT", help="question above each pair (default: 'Which picture is better?')")
    add("--offline", metavar="FILE", type=Path, help="write the page to a file that works alone, and end")
    add("--judge", metavar="NAME", help="let this vision model of the policy's networks: vote, and end")
    shared.add_policy(parser)
    shared.add_device(parser)
    add("--port", type=int, default=8766, help="port on 127.0.0.1; 0 picks a free one (default: 8766)")


def run(options: argparse.Namespace) -> int:
    from lora_checks.record.files import write_text
    from lora_checks.report.html import voting

    folder = (options.out or options.reports[0] / FOLDER).resolve()
    ballot = _ballot(options, folder)
    files = voting.sources(ballot, [path.resolve() for path in options.reports])
    if options.offline is not None:
        written = write_text(options.offline, voting.offline(ballot, files))
        print(f"{written}: {written.stat().st_size / 1e6:.1f} MB; read its votes with")
        print(f"lora-checks votes {options.reports[0]} {folder} votes-NAME.json")
        return 0
    if options.judge is not None:
        return _ask_model(options, ballot, folder, files)
    return _serve(options, ballot, folder, files)


def _ballot(options: argparse.Namespace, folder: Path) -> Ballot:
    """Return the folder's ballot, or a new one."""
    from lora_checks.core.words import count
    from lora_checks.record.document import read
    from lora_checks.record.votes import ballot, pairs

    reports = [(path.resolve(), read(path)) for path in options.reports]
    asked = pairs.Asked(
        pairs.PAIRS if options.pairs is None else options.pairs,
        options.real or 0,
        options.question or pairs.QUESTION,
    )
    if asked.pairs < 1 or asked.real < 0:
        raise ConfigError("--pairs must be 1 or more, and --real 0 or more")
    if (folder / ballot.NAME).exists():
        found = ballot.read(folder / ballot.NAME)
        _same(found, options, reports, folder)
    else:
        found = ballot.put(pairs.draw(reports, asked), folder)
    print(f"{folder}: {count(len(found.showings), 'question')} about {count(len(found.loras), 'LoRA')}")
    return found


def _same(
    found: Ballot, options: argparse.Namespace, reports: Sequence[tuple[Path, Document]], folder: Path
) -> None:
    """Refuse to go on with a ballot that asks something else than the command does."""
    named = {(lora["name"], lora["sha256"]) for _, document in reports for lora in document["loras"]}
    if missing := [lora.label for lora in found.loras if (lora.name, lora.sha256) not in named]:
        raise ConfigError(
            f"{folder} has a ballot about {missing[0]}, which is in no report that you name; begin another "
            "with --out DIR"
        )
    had: dict[str, tuple[object, object]] = {
        "--pairs": (options.pairs, found.pairs),
        "--real": (options.real, found.real),
        "--question": (options.question, found.question),
    }
    for option, (wanted, there) in had.items():
        if wanted is not None and wanted != there:
            raise ConfigError(
                f"{folder} has a ballot with another {option} ({there}); leave the option out to go "
                "on with it, or begin another with --out DIR"
            )


def _ask_model(options: argparse.Namespace, ballot: Ballot, folder: Path, files: Mapping[str, Path]) -> int:
    """Append the votes of a vision model, each pair asked about in both orders."""
    from lora_checks.core.device import choose_device
    from lora_checks.core.progress import on_stderr
    from lora_checks.core.store import Store
    from lora_checks.core.words import count
    from lora_checks.judge.controls import refuse_blind
    from lora_checks.networks import build
    from lora_checks.networks.vlm.model import VisionModel
    from lora_checks.policy.reading import load_policy
    from lora_checks.record.votes import book, by_model

    networks = load_policy(options.policy).networks
    if options.judge not in networks:
        known = ", ".join(sorted(networks)) or "none"
        raise ConfigError(f"--judge: the policy has no network '{options.judge}' (it has {known})")
    model = build(options.judge, networks[options.judge], choose_device(options.device))
    if not isinstance(model, VisionModel):
        raise ConfigError(f"--judge: '{options.judge}' is not a vision model; name one of kind: judge")
    store = Store(folder / "answers")
    refuse_blind(model, store)
    given = by_model.votes(ballot, files, model, store, on_stderr("asking", "questions"))
    for vote in given:
        book.append(vote, folder)
    ties = by_model.decided_by_place(given)
    print(f"{by_model.name_of(model)}: {count(len(given), 'vote')}, {ties:.0%} of them ties")
    print(f"lora-checks votes {options.reports[0]} {folder}")
    return 0


def _serve(options: argparse.Namespace, ballot: Ballot, folder: Path, files: Mapping[str, Path]) -> int:
    from lora_checks.report.html import voting_server

    until_stopped(
        lambda port: voting_server.serve(ballot, folder, files, port),
        options.port,
        "stop with Ctrl-C; every vote is saved at once",
    )
    print(f"lora-checks votes {options.reports[0]} {folder}")
    return 0
