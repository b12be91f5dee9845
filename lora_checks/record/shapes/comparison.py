"""Type the comparison of report.json with an earlier run; `lora_checks.record.regression` explains it."""

from __future__ import annotations

from typing import Literal, TypedDict

from lora_checks.judge.verdict import RunOutcome
from lora_checks.record.shapes.rows import Direction, Picture, PromptChange, RowOutcome


class Numbers(TypedDict):
    """The change of one row; its numbers are null if it could not be compared."""

    label: str
    better: Direction
    kind: Literal["images", "set", "value", ""]
    before: float | None
    value: float | None
    difference: float | None
    low: float | None
    high: float | None
    confidence: float | None
    sides: Literal[1, 2] | None
    pairs: int
    lost: int
    found: int
    absent: int
    prompts: list[PromptChange]


class Change(Numbers):
    lora: str
    check: str
    metric: str
    allowed: float | None
    outcome: RowOutcome | Literal[""]
    reason: str
    not_compared: str


class Comparison(TypedDict):
    """Every row's difference between two judged LoRAs."""

    policy_differences: list[str]
    notes: list[str]
    rows: list[Change]


class Approved(TypedDict):
    """The approved LoRA, its report and its run."""

    path: str
    sha256: str
    lora: str
    lora_sha256: str
    scale: float | None
    finished: str


class Baseline(Approved, Comparison):
    policy: str
    note: str
    pictures: list[Picture]


class Compared(Approved):
    """A LoRA of ``lora-checks compare``, its report and its verdict."""

    outcome: RunOutcome


class Pair(Comparison):
    """The comparison of two LoRAs, which are numbers in the list of reports."""

    before: int
    now: int


class Value(TypedDict):
    """What one report says about a row, on all of its own prompts."""

    value: float | None
    low: float | None
    high: float | None
    images: int | None
    outcome: RowOutcome


class Values(TypedDict):
    """A row in each report, in their order; null where a report has no such row."""

    check: str
    of: list[Value | None]


class SideBySide(TypedDict):
    """compare.json."""

    comparison: Literal[1]
    reports: list[Compared]
    values: list[Values]
    comparisons: list[Pair]
