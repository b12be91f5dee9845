"""Show a report in a GitLab merge request: a code quality report with an issue for each row not passed.

https://docs.gitlab.com/ci/testing/code_quality/: description, check_name, fingerprint, severity and location.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from lora_checks.core.words import printable
from lora_checks.record.files import write_text
from lora_checks.record.rows import errors, reason, title
from lora_checks.record.shapes import Document, Lora, Row
from lora_checks.report.places import place, relative

FILE = "gl-code-quality.json"
SEVERITY = {"ERROR": "blocker", "FAIL": "critical", "INCONCLUSIVE": "major", "NOT RUN": "blocker"}


def write(document: Document, directory: Path) -> Path | None:
    """Write the code quality report in a GitLab CI job (GITLAB_CI is true). Raises `StoreError`."""
    if os.environ.get("GITLAB_CI") != "true":
        return None
    root = os.environ.get("CI_PROJECT_DIR")
    entries = issues(document, Path(root) if root else None)
    return write_text(directory / FILE, json.dumps(entries, indent=1) + "\n")


def issues(document: Document, root: Path | None = None) -> list[dict[str, Any]]:
    """Return an issue for each row that did not pass; rows stopped for the same reason share an issue.

    GitLab matches issues of two branches by their fingerprints.
    """
    entries = []
    for lora in document["loras"]:
        first = {reason(row): row for row in reversed(lora["rows"])}
        for text, checks in errors(lora["rows"]):
            entries.append(_issue(lora, first[text], root, f"{len(checks)} rows" if len(checks) > 1 else ""))
        for row in lora["rows"]:
            if row["outcome"] not in ("ERROR", "PASS"):
                entries.append(_issue(lora, row, root))
        for check in lora["missing"]:
            entries.append(_unrun(lora, check, root))
    return entries


def _issue(lora: Lora, row: Row, root: Path | None, rows: str = "") -> dict[str, Any]:
    words = f"{row['outcome']} {rows or row['check']}: {reason(row)}"
    severity = SEVERITY[row["outcome"]] if row["required"] else "minor"
    return _described(lora, row["check"], words, severity, place(row["threshold"], root), root)


def _unrun(lora: Lora, check: str, root: Path | None) -> dict[str, Any]:
    words = f"NOT RUN {check}: the row has no verdict"
    return _described(lora, check, words, SEVERITY["NOT RUN"], ("", 1), root)


def _described(
    lora: Lora, check: str, words: str, severity: str, at: tuple[str, int], root: Path | None
) -> dict[str, Any]:
    path, line = at
    identity = json.dumps([lora["name"], check])
    return {
        "description": printable(f"{title(lora)} {words}"),
        "check_name": printable(f"lora_checks.{check}"),
        "fingerprint": hashlib.sha256(identity.encode()).hexdigest(),
        "severity": severity,
        "location": {
            "path": printable(path or relative(lora["path"], root) or title(lora)),
            "lines": {"begin": line},
        },
    }
