"""Type the parts of report.json, so that mypy checks every key; a test compares the types with schema.json.

A pair is typed as a tuple, because its items differ in type; in JSON it is a list.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from lora_checks.judge.verdict import RunOutcome
from lora_checks.record.shapes.comparison import Baseline
from lora_checks.record.shapes.ranking import Ranking
from lora_checks.record.shapes.rows import Begun, Candidate, Lora, Row
from lora_checks.record.shapes.run import Run

__all__ = ["Baseline", "Begun", "Candidate", "Document", "Lora", "Question", "Ranking", "Row", "Run"]


class Document(TypedDict):
    """report.json."""

    schema: Literal[2]
    sha256: NotRequired[str]  # of the values of a report.json; a document in memory has none
    outcome: RunOutcome
    run: Run
    loras: list[Lora]
    ranking: NotRequired[Ranking | None]
    baseline: NotRequired[Baseline | None]


class Question(Run):
    """What is known when a run begins: its facts, its LoRAs, and the (LoRA, check) pairs that must pass."""

    loras: list[Begun]
    required: list[tuple[str, str]]
    baseline: NotRequired[Baseline | None]
