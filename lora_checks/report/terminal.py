"""Print the verdict table at the end of a run."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence

from lora_checks.core.words import printable
from lora_checks.record.rows import (
    caveat,
    columns,
    errors,
    headline,
    not_run,
    power_sentences,
    setting,
    started,
    tally,
    title,
    words,
)
from lora_checks.record.shapes import Document, Lora, Row
from lora_checks.report import leaderboard
from lora_checks.report import regression_words as regression

Markup = Callable[..., str]  # TerminalWriter.markup: (text, red=True, bold=True) -> text

COLOURS = {
    "PASS": "green",
    "FAIL": "red",
    "ERROR": "red",
    "INCONCLUSIVE": "yellow",
    "INCOMPLETE": "yellow",
    "NOT RUN": "yellow",
}
MANY = 4  # LoRAs above which each gets one line and only those that did not pass are shown in full
NAMED = 3  # LoRAs that were not started
NARROWEST_NOTE = 24
GLUE = "\u00a0"  # printable() removes it from all other text
# "in 0", "at most 0.700", "14 of 32": a short word and the number after it, not a prompt and its value.
NUMBER = re.compile(r"(?<!\S)([^\s,;:|]{1,12}) (?=-?\d|of \d)")


def lines(document: Document, width: int, markup: Markup | None = None) -> list[str]:
    """Return the table, worst rows first, then each failure in words and the folders of the images.

    ``markup`` colours the verdicts as `TerminalWriter.markup` does.
    """
    paint = markup or _bare
    about = setting(document["run"])
    loras, waiting = _begun(document)
    if len(document["loras"]) <= MANY:
        blocks = [_block(lora, lora["rows"], about, width, paint) for lora in loras]
        shown = [line for i, block in enumerate(blocks) for line in ([""] if i else []) + block]
        shown += _unstarted(waiting, width) + ([""] if len(document["loras"]) > 1 else [])
        alone = len(document["loras"]) == 1
        end = _wrapped(caveat(document["run"]), width) if alone else [_last(document, paint)]
        return [*shown, *_best(document, width), *_compared(document, width), *end]
    detailed = [lora for lora in loras if lora["outcome"] != "PASS"]
    details: list[str] = []
    for lora in detailed:
        failing = [row for row in lora["rows"] if row["outcome"] != "PASS"]
        details += ["", *_block(lora, failing, "", width, paint)]
    compared = _compared(document, width)
    return [
        printable(about),
        *(_board(document, loras, width, paint) if loras else []),
        *_unstarted(waiting, width),
        *details,
        *([""] if details else []),
        *_best(document, width),
        *compared,
        _last(document, paint),
    ]


def _begun(document: Document) -> tuple[list[Lora], list[Lora]]:
    """Return the LoRAs to show, and those to name in one line because the run did not get to them.

    A few LoRAs of which none was begun are shown with the rows that did not run.
    """
    loras = document["loras"]
    begun = [lora for lora in loras if started(lora)]
    if not begun and len(loras) <= MANY:
        return loras, []
    return begun, [lora for lora in loras if not started(lora)]


def _unstarted(loras: Sequence[Lora], width: int) -> list[str]:
    if not loras:
        return []
    more = f" and {len(loras) - NAMED} more" if len(loras) > NAMED else ""
    return _wrapped(f"not started: {', '.join(title(lora) for lora in loras[:NAMED])}{more}", width)


def _board(document: Document, loras: Sequence[Lora], width: int, paint: Markup) -> list[str]:
    """Return a line for each LoRA, the best first; unranked LoRAs keep the document's order."""
    ranking = document.get("ranking")
    if not ranking:
        name_width = max(len(printable(title(lora))) for lora in loras)
        return [
            line
            for lora in loras
            for line in _ended(f"  {printable(title(lora)):{name_width}}", lora, width, paint)
        ]
    places = zip(
        leaderboard.cells(ranking, document["loras"]),
        leaderboard.in_order(ranking, document["loras"]),
        strict=True,
    )
    shown = [(cells, lora) for cells, lora in places if lora in loras]
    rows = [leaderboard.headings(ranking)[:-1], *(cells for cells, _ in shown)]
    clean = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*clean, strict=True)]
    starts = [f"  {row[0]:{widths[0]}}  " + "  ".join(map(str.rjust, row[1:], widths[1:])) for row in clean]
    ranked = zip(starts[1:], (lora for _, lora in shown), strict=True)
    lines = [line for start, lora in ranked for line in _ended(start, lora, width, paint)]
    return [f"{starts[0]}  verdict", *lines]


def _ended(start: str, lora: Lora, width: int, paint: Markup) -> list[str]:
    """Complete a line with its verdict and what stopped the LoRA, which wraps if there is no room."""
    line, stopped = f"{start}  {_painted(lora, paint)}  {tally(lora)}", _stoppers(lora)
    used = len(start) + len(lora["outcome"]) + len(tally(lora)) + 4
    if used + len(stopped) <= width:
        return [line + stopped]
    return [line, *_folded(stopped.removeprefix(": "), width, 6)]


def _best(document: Document, width: int) -> list[str]:
    """Say which of several LoRAs is best, and the effect of training."""
    ranking = document.get("ranking")
    sentences = leaderboard.sentences(ranking) if ranking else []
    return [line for text in sentences for line in _wrapped(text, width)]


def _compared(document: Document, width: int) -> list[str]:
    """Return the sentences about the comparison with the last approved release."""
    return [line for text in regression.lines(document.get("baseline")) for line in _wrapped(text, width)]


def _block(lora: Lora, rows: Sequence[Row], about: str, width: int, paint: Markup) -> list[str]:
    head = _head(lora, paint)
    if about:
        gap = width - len(_head(lora, _bare)) - len(printable(about))
        head += f"{' ' * gap}{printable(about)}" if gap >= 2 else f"\n  {printable(about)}"
    whole = rows is lora["rows"]
    measured = [row for row in rows if row["outcome"] != "ERROR"]
    failed = [row for row in measured if row["outcome"] != "PASS"]
    unrun = [not_run(check) for check in lora["missing"]]
    return [
        *head.split("\n"),
        *(line for error in errors(list(rows)) for line in _refused(*error, width, paint)),
        *_table([columns(row) for row in measured] + unrun, width, paint),
        *(line for row in failed for line in _wrapped(words(row), width)),
        *(
            line
            for text in (power_sentences(lora) if whole and lora["outcome"] != "FAIL" else ())
            for line in _wrapped(text, width)
        ),
        *(f"  images: {printable(folder)}" for folder in lora["images"]),
    ]


def _head(lora: Lora, paint: Markup) -> str:
    return f"{printable(title(lora))}  {_painted(lora, paint)}  {tally(lora)}"


def _painted(lora: Lora, paint: Markup) -> str:
    return paint(lora["outcome"], bold=True, **{COLOURS[lora["outcome"]]: True})


def _stoppers(lora: Lora) -> str:
    """Name the checks that did not pass; "" for a file that was refused as a whole."""
    stopped = [row["check"] for row in lora["rows"] if row["required"] and row["outcome"] != "PASS"]
    as_a_whole = any(len(checks) > 1 for _, checks in errors(lora["rows"]))
    return f": {printable(', '.join(stopped))}" if stopped and not as_a_whole else ""


def _table(rows: Sequence[tuple[str, ...]], width: int, paint: Markup) -> list[str]:
    clean = [tuple(printable(cell) for cell in row) for row in rows]
    widths = _widths(clean)
    if sum(widths) + 2 * len(widths) > width:  # drop the metric column: the row's name implies it
        clean = [(*row[:2], "", *row[3:6], ", ".join(filter(None, (row[2], row[6])))) for row in clean]
        widths = _widths(clean)
    return [line for row in clean for line in _row(row, widths, width, paint)]


def _widths(rows: Sequence[tuple[str, ...]]) -> list[int]:
    return [max((len(row[i]) for row in rows), default=0) for i in range(6)]


def _row(row: tuple[str, ...], widths: list[int], width: int, paint: Markup) -> list[str]:
    verdict, *cells = (f"{cell:{'>' if i == 3 else '<'}{widths[i]}}" for i, cell in enumerate(row[:6]))
    shown = [cell for cell, column in zip(cells, widths[1:], strict=True) if column]
    body = "  ".join(shown if any(row[2:6]) else shown[:1])  # nothing measured: the note follows the name
    used = 4 + len(verdict) + len(body) + 2
    line = f"  {paint(verdict, **{COLOURS[row[0]]: True})}  {body}"
    note = row[6]
    if not note:
        return [line.rstrip()]
    if width - used < min(len(note), NARROWEST_NOTE):  # no room beside the numbers
        return [line.rstrip(), *_noted(note, width, 6 + widths[0])]
    first, *rest = _noted(note, width, used)
    return [f"{line}  {first.lstrip()}", *rest]


def _refused(reason: str, checks: list[str], width: int, paint: Markup) -> list[str]:
    names = ", ".join(checks) if len(checks) <= 3 else f"{len(checks)} rows"
    first, *rest = _wrapped(f"ERROR  {names}: {reason}", width)
    return [first.replace("ERROR", paint("ERROR", red=True), 1), *rest]


def _wrapped(text: str, width: int) -> list[str]:
    return _folded(printable(text), width, 2, 6)


def _noted(note: str, width: int, indent: int) -> list[str]:
    """Wrap a note, breaking between its parts if possible."""
    room = max(width - indent, NARROWEST_NOTE)
    parts = [part.replace(" ", GLUE) if len(part) < room else part for part in printable(note).split(", ")]
    return _folded(", ".join(parts), width, indent)


def _folded(text: str, width: int, first: int, rest: int | None = None) -> list[str]:
    """Wrap printable ``text``, indented under its first word.

    Paths are never broken, so that they can be copied, and a number stays on the line of its word.
    """
    lines = textwrap.wrap(
        NUMBER.sub(rf"\1{GLUE}", text),
        max(width, first + NARROWEST_NOTE),
        initial_indent=" " * first,
        subsequent_indent=" " * (first if rest is None else rest),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(GLUE, " ") for line in lines]


def _last(document: Document, paint: Markup) -> str:
    text, outcome = printable(headline(document)), document["outcome"]
    return paint(outcome, bold=True, **{COLOURS[outcome]: True}) + text.removeprefix(outcome)


def _bare(text: str, **_: bool) -> str:
    return text
