"""Compare reports with the first one, and show the comparison in the terminal, Markdown and HTML.

::

    {"comparison": 1,
     "reports": [{"path": "...", "sha256": "...", "lora": "good", "lora_sha256": "...", "scale": 1.0,
                  "outcome": "PASS", "finished": "..."}],      # as they were named
     "values": [{"check": "identity", "of": [{"value": 0.6, ...}, null]}],  # a row in each report
     "comparisons": [{"before": 0, "now": 1,                   # numbers of reports
                      "policy_differences": [...], "notes": [...], "rows": [...]}]}

Notes and rows are those of ``document["baseline"]``; nothing is limited here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lora_checks.core.words import number, printable
from lora_checks.record.files import write_text
from lora_checks.record.regression.approved import Judged
from lora_checks.record.regression.comparison import compare
from lora_checks.record.shapes.comparison import Change, Compared, Comparison, Pair, SideBySide
from lora_checks.report import regression_words
from lora_checks.report import side_by_side as side_by_side_table
from lora_checks.report.markdown import escape

HEADINGS = tuple(heading for heading in regression_words.HEADINGS if heading != "allowed")


def side_by_side(reports: Sequence[Judged]) -> SideBySide:
    """Compare each of two or more judged LoRAs with the first."""
    first, *others = reports
    return {
        "comparison": 1,
        "reports": [{**judged.about, "outcome": judged.lora["outcome"]} for judged in reports],
        "values": side_by_side_table.values(reports),
        "comparisons": [
            {"before": 0, "now": i, **compare(first, judged, strengths_differ=True, prompts_differ=True)}
            for i, judged in enumerate(others, start=1)
        ],
    }


def whole(document: SideBySide) -> bool:
    """Return whether every row of every report could be compared."""
    rows = [row for comparison in document["comparisons"] for row in comparison["rows"]]
    return bool(rows) and not any(row["not_compared"] for row in rows)


def name(report: Compared) -> str:
    """Return "good 0518e9, PASS (out/report.json)"."""
    label = " ".join(part for part in (report["lora"], report["lora_sha256"][:6]) if part)
    return f"{label}, {report['outcome']} ({report['path']})"


def sentences(comparison: Comparison) -> list[str]:
    """Return sentences: what differs besides the LoRA, and what was not compared, each reason once."""
    texts = []
    if comparison["policy_differences"]:
        texts.append(f"the policies differ: {'; '.join(comparison['policy_differences'])}")
    texts += [f"not the same: {note}" for note in comparison["notes"]]
    return texts + regression_words.obstacles(comparison["rows"])


def table(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return the rows that could be compared, as cells under `HEADINGS`."""
    place = regression_words.HEADINGS.index("allowed")
    rows = [regression_words.columns(row) for row in comparison["rows"] if not row["not_compared"]]
    return [row[:place] + row[place + 1 :] for row in rows]


def text(document: SideBySide) -> str:
    """Render the comparison for the terminal."""
    lines = [*_aligned(side_by_side_table.table(document)), ""] if len(document["reports"]) > 2 else []
    for comparison in document["comparisons"]:
        before, now = _names(document, comparison)
        lines += [f"before  {printable(before)}", f"now     {printable(now)}"]
        lines += [f"  {line}" for line in _changes(table(comparison))]
        lines += [f"  {printable(sentence)}" for sentence in sentences(comparison)] + [""]
    return "\n".join(lines).rstrip("\n")


def _names(document: SideBySide, pair: Pair) -> tuple[str, str]:
    return name(document["reports"][pair["before"]]), name(document["reports"][pair["now"]])


def _changes(rows: Sequence[tuple[str, ...]]) -> list[str]:
    return _aligned([HEADINGS, *rows], right=range(1, 4)) if rows else []


def _aligned(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Align the cells of lines, the first of which are headings; those in ``right`` to the right."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    aligned = [
        "  ".join(f"{cell:{'>' if i in right else '<'}{widths[i]}}" for i, cell in enumerate(row))
        for row in cells
    ]
    return [line.rstrip() for line in aligned]


def markdown(document: SideBySide) -> str:
    head, *body = [[escape(cell) for cell in row] for row in side_by_side_table.table(document)]
    parts = [f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *body)] + [""]
    for comparison in document["comparisons"]:
        before, now = _names(document, comparison)
        parts += [f"## {escape(now)}\n", f"Against {escape(before)}\n"]
        parts += [f"- {escape(sentence)}" for sentence in sentences(comparison)]
        if rows := table(comparison):
            lines = [HEADINGS, ["---"] * len(HEADINGS), *([escape(cell) for cell in row] for row in rows)]
            parts += ["", *(f"| {' | '.join(line)} |" for line in lines)]
        parts.append("")
    return "\n".join(parts)


def html(document: SideBySide) -> str:
    """Render a separate page in the report's style, without scripts or network access."""
    from markupsafe import Markup

    from lora_checks.report.html.escape import policy
    from lora_checks.report.html.page import SYMBOLS
    from lora_checks.report.html.template import environment, static

    blocks = [
        {
            "before": printable(before),
            "now": printable(now),
            "sentences": [printable(sentence) for sentence in sentences(comparison)],
            "rows": [_shown(row) for row in comparison["rows"] if not row["not_compared"]],
        }
        for comparison in document["comparisons"]
        for before, now in [_names(document, comparison)]
    ]
    page = environment().get_template("compare.html.j2")
    styles = Markup("\n".join(static(style) for style in ("page.css", "rows.css")))
    rendered = page.render(
        csp=policy([]), styles=styles, headings=HEADINGS, blocks=blocks, symbols=SYMBOLS,
        **side_by_side_table.page(document),
    )  # fmt: skip
    return rendered.encode("utf-8", "replace").decode()


def _shown(row: Change) -> dict[str, Any]:
    check, before, now, difference, interval, _, note = map(printable, regression_words.columns(row))
    prompts = [(printable(prompt), *map(number, values)) for prompt, *values in row["prompts"]]
    cells = {"before": before, "now": now, "difference": difference, "interval": interval, "note": note}
    return {"check": check, "label": printable(row["label"]), "prompts": prompts, **cells}


def write(document: SideBySide, directory: Path) -> list[Path]:
    """Write compare.json, .csv, .md and .html; return their paths. Raises `StoreError`."""
    contents = {
        "compare.json": json.dumps(document, indent=1, allow_nan=False) + "\n",
        "compare.csv": side_by_side_table.csv(document),
        "compare.md": markdown(document),
        "compare.html": html(document),
    }
    return [write_text(directory / file, content) for file, content in contents.items()]
