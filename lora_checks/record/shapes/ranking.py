"""Type the ranking in report.json; `lora_checks.record.ranking` explains its parts."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from lora_checks.judge.verdict import RunOutcome
from lora_checks.record.shapes.rows import Direction
from lora_checks.record.shapes.run import Weight

Numbered = Literal["step", "epoch", "scale", "rank"]
Role = Literal["likeness", "freedom", ""]


class Split(TypedDict):
    """The ids of the prompts that choose the best, and of those that judge it."""

    choose: list[str]
    judge: list[str]


class Place(TypedDict):
    """One LoRA of the leaderboard."""

    place: int
    lora: str
    series: str
    step: int | None
    epoch: int | None
    scale: float | None
    rank: int | None
    keys: NotRequired[dict[str, str]]  # of what names, the policy or the metadata say; "" if nothing
    outcome: RunOutcome
    stopped_by: list[str]
    utility: float | None
    judged: float | None
    values: dict[str, float | None]


class Point(TypedDict):
    lora: str
    x: float
    value: float
    low: float | None
    high: float | None
    outcome: str


class Series(TypedDict):
    name: str
    points: list[Point]


class About(TypedDict):
    """What is the same for every LoRA of a row."""

    label: str
    better: Direction
    required: bool
    min: float | None
    max: float | None
    role: Role


class Curve(About):
    check: str
    series: list[Series]


class Half(TypedDict):
    value: float
    low: float | None
    high: float | None
    prompts: int


class BestRow(TypedDict):
    check: str
    label: str
    better: Direction
    weight: float
    choose: Half | None
    judge: Half | None


class Best(TypedDict):
    lora: str
    step: int | None
    utility: float
    judged: float | None
    rows: list[BestRow]


class Ranking(TypedDict):
    by: Literal["policy", "margins"]
    rule: str
    weights: list[Weight]
    gate_only: list[str]
    split: Split | None
    axis: str | None
    categories: NotRequired[list[str]]
    leaderboard: list[Place]
    curves: list[Curve]
    best: Best | None
    sentence: str
    notes: list[str]
