"""Compare reports with the first one, and show the comparison in the terminal, Markdown and HTML.

::

    {"comparison": 1,
     "reports": [{"path": "...", "sha256": "...", "lora": "good", "lora_sha256": "...", "scale": 1.0,
                  "outcome": "PASS", "finished": "..."}],      # as they were named
     "comparisons": [{"before": 0, "now": 1,                   # numbers of reports
                      "policy_differences": [...], "notes": [...], "rows": [...]}]}

Notes and rows are those of ``document["baseline"]``; nothing is limited here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lora_checks.core.words import number, printable
from lora_checks.record.files import write_text
from lora_checks.record.regression.approved import Judged
from lora_checks.record.regression.comparison import compare
from lora_checks.report import regression_words
from lora_checks.report.markdown import escape

Found = Mapping[str, Any]
HEADINGS = tuple(heading for heading in regression_words.HEADINGS if heading != "allowed")


def side_by_side(reports: Sequence[Judged]) -> dict[str, Any]:
    """Compare each of two or more judged LoRAs with the first."""
    first, *others = reports
    return {
        "comparison": 1,
        "reports": [one.about | {"outcome": one.lora["outcome"]} for one in reports],
        "comparisons": [
            {"before": 0, "now": i, **compare(first, one, strengths_differ=True)}
            for i, one in enumerate(others, start=1)
        ],
    }


def whole(found: Found) -> bool:
    """Return whether every row of every report could be compared."""
    rows = [row for one in found["comparisons"] for row in one["rows"]]
    return bool(rows) and not any(row["not_compared"] for row in rows)


def name(report: Found) -> str:
    """Return "good 0518e9, PASS (out/report.json)"."""
    label = " ".join(part for part in (report["lora"], report["lora_sha256"][:6]) if part)
    return f"{label}, {report['outcome']} ({report['path']})"


def said(one: Found) -> list[str]:
    """Return sentences: what differs besides the LoRA, and what was not compared, each reason once."""
    found = []
    if one["policy_differences"]:
        found.append(f"the policies differ: {'; '.join(one['policy_differences'])}")
    found += [f"not the same: {note}" for note in one["notes"]]
    return found + regression_words.obstacles(one["rows"])


def table(one: Found) -> list[tuple[str, ...]]:
    """Return the rows that could be compared, as cells under `HEADINGS`."""
    place = regression_words.HEADINGS.index("allowed")
    found = [regression_words.columns(row) for row in one["rows"] if not row["not_compared"]]
    return [row[:place] + row[place + 1 :] for row in found]


def text(found: Found) -> str:
    """Render the comparison for the terminal."""
    lines = []
    for one in found["comparisons"]:
        before, now = found["reports"][one["before"]], found["reports"][one["now"]]
        lines += [f"before  {printable(name(before))}", f"now     {printable(name(now))}"]
        lines += [f"  {line}" for line in _aligned(table(one))]
        lines += [f"  {printable(sentence)}" for sentence in said(one)] + [""]
    return "\n".join(lines).rstrip("\n")


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    if not rows:
        return []
    cells = [HEADINGS, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(HEADINGS))]
    aligned = [
        "  ".join(f"{cell:{'>' if 0 < i < 4 else '<'}{widths[i]}}" for i, cell in enumerate(row))
        for row in cells
    ]
    return [line.rstrip() for line in aligned]


def markdown(found: Found) -> str:
    parts = []
    for one in found["comparisons"]:
        before, now = found["reports"][one["before"]], found["reports"][one["now"]]
        parts += [f"## {escape(name(now))}\n", f"Against {escape(name(before))}\n"]
        parts += [f"- {escape(sentence)}" for sentence in said(one)]
        if rows := table(one):
            lines = [HEADINGS, ["---"] * len(HEADINGS), *([escape(cell) for cell in row] for row in rows)]
            parts += ["", *(f"| {' | '.join(line)} |" for line in lines)]
        parts.append("")
    return "\n".join(parts)


def html(found: Found) -> str:
    """Render a separate page in the report's style, without scripts or network access."""
    from markupsafe import Markup

    from lora_checks.report.html.escape import policy
    from lora_checks.report.html.template import environment, static

    blocks = [
        {
            "before": printable(name(found["reports"][one["before"]])),
            "now": printable(name(found["reports"][one["now"]])),
            "said": [printable(sentence) for sentence in said(one)],
            "rows": [_shown(row) for row in one["rows"] if not row["not_compared"]],
        }
        for one in found["comparisons"]
    ]
    page = environment().get_template("compare.html.j2")
    styles = Markup("\n".join(static(style) for style in ("page.css", "rows.css")))
    made = page.render(csp=policy([]), styles=styles, headings=HEADINGS, blocks=blocks)
    return made.encode("utf-8", "replace").decode()


def _shown(row: Found) -> dict[str, Any]:
    check, before, now, difference, interval, _, note = map(printable, regression_words.columns(row))
    prompts = [(printable(prompt), *map(number, values)) for prompt, *values in row["prompts"]]
    cells = {"before": before, "now": now, "difference": difference, "interval": interval, "note": note}
    return {"check": check, "label": printable(row["label"]), "prompts": prompts, **cells}


def write(found: Found, directory: Path) -> list[Path]:
    """Write compare.json, compare.md and compare.html; return their paths. Raises `StoreError`."""
    contents = {
        "compare.json": json.dumps(found, indent=1, allow_nan=False) + "\n",
        "compare.md": markdown(found),
        "compare.html": html(found),
    }
    return [write_text(directory / file, content) for file, content in contents.items()]
