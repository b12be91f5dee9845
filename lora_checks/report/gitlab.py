"""What GitLab shows of a report in a merge request: a code quality report, an issue for each row not passed.

https://docs.gitlab.com/ci/testing/code_quality/: description, check_name, fingerprint, severity and location.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lora_checks.core.words import printable
from lora_checks.record.files import write_text
from lora_checks.record.rows import Row, errors, reason, title
from lora_checks.report.places import place, relative

FILE = "gl-code-quality.json"
SEVERITY = {"ERROR": "blocker", "FAIL": "critical", "INCONCLUSIVE": "major", "NOT RUN": "blocker"}


def write(document: Mapping[str, Any], directory: Path) -> Path | None:
    """In a job of GitLab CI, where GITLAB_CI is true; else None. Raises `StoreError`."""
    if os.environ.get("GITLAB_CI") != "true":
        return None
    root = os.environ.get("CI_PROJECT_DIR")
    found = issues(document, Path(root) if root else None)
    return write_text(directory / FILE, json.dumps(found, indent=1) + "\n")


def issues(document: Mapping[str, Any], root: Path | None = None) -> list[dict[str, Any]]:
    """An issue for each row that did not pass, and one for a reason that stopped several, as a refused file.

    GitLab matches fingerprints between two branches.
    """
    found = []
    for lora in document["loras"]:
        first = {reason(row): row for row in reversed(lora["rows"])}
        for text, checks in errors(lora["rows"]):
            found.append(_issue(lora, first[text], root, f"{len(checks)} rows" if len(checks) > 1 else ""))
        for row in lora["rows"]:
            if row["outcome"] not in ("ERROR", "PASS"):
                found.append(_issue(lora, row, root))
        for check in lora["missing"]:
            unrun = {"outcome": "NOT RUN", "check": check, "required": True, "threshold": None, "images": ""}
            found.append(_issue(lora, {**unrun, "reason": "the row has no verdict"}, root))
    return found


def _issue(lora: Row, row: Row, root: Path | None, rows: str = "") -> dict[str, Any]:
    path, line = place(row["threshold"], root)
    identity = json.dumps([lora["name"], row["check"]])
    return {
        "description": printable(f"{title(lora)} {row['outcome']} {rows or row['check']}: {reason(row)}"),
        "check_name": printable(f"lora_checks.{row['check']}"),
        "fingerprint": hashlib.sha256(identity.encode()).hexdigest(),
        "severity": SEVERITY[row["outcome"]] if row["required"] else "minor",
        "location": {
            "path": printable(path or relative(lora["path"], root) or title(lora)),
            "lines": {"begin": line},
        },
    }
