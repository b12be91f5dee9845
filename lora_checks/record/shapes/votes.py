"""Type ``votes.json``, which stands next to report.json: what people preferred, and what follows from it."""

from __future__ import annotations

from typing import Literal, TypedDict

from lora_checks.record.shapes.run import Weight


class Estimate(TypedDict):
    """A value with its interval; null where there are too few prompts for one."""

    value: float
    low: float | None
    high: float | None


class CountedShare(TypedDict):
    hits: int
    of: int
    low: float
    high: float


class Rater(TypedDict):
    """One rater: answers, and how far they agree with themselves; ``left`` shows a habit of one side."""

    name: str
    answers: int
    ties: int
    skipped: int
    seconds: float
    left: CountedShare | None
    same_again: CountedShare | None


class VotedLora(TypedDict):
    """A LoRA's place; ``share`` is the probability of being preferred to another LoRA."""

    lora: str
    name: str
    sha256: str
    path: str
    here: bool
    strength: Estimate
    share: Estimate
    compared: int
    surely_above: list[str]


class Agreement(TypedDict):
    """Krippendorff's alpha over the pairs that two raters or more have answered."""

    alpha: Estimate
    raters: int
    pairs: int


class VotedRow(TypedDict):
    """How far a row's values of single images agree with people."""

    check: str
    label: str
    pairs: int
    spearman: Estimate | None
    auc: Estimate | None
    why: str


class TakenForReal(TypedDict):
    """How often a LoRA's picture was taken for the real one of two; 0.5 is when nobody can tell."""

    lora: str
    share: Estimate
    answers: int


class Weighting(TypedDict):
    """Weights for ``ranking:``, and how often they predict answers about prompts they were not made from."""

    weights: list[Weight]
    right: Estimate
    best_row: str
    best_row_right: Estimate
    pairs: int


class Votes(TypedDict):
    """votes.json."""

    schema: Literal[1]
    report: str
    ballot: str
    made: str
    question: str
    pairs: int
    prompts: int
    answers: int
    raters: list[Rater]
    loras: list[VotedLora]
    no_order: str
    agreement: Agreement | None
    rows: list[VotedRow]
    weighting: Weighting | None
    good: list[str]
    bad: list[str]
    real: list[TakenForReal]
    notes: list[str]
