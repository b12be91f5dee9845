"""Foresee what a policy's vision models will be asked, and count what they were."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lora_checks.core.records import PromptSet, Threshold
from lora_checks.core.records.questions import Question
from lora_checks.core.store import Store
from lora_checks.core.words import count
from lora_checks.judge.controls import MOST
from lora_checks.networks.vlm.model import VisionModel
from lora_checks.policy import arms

PATCH = 28  # pixels of a token's side, as in Qwen-VL
WORDS = 120  # tokens of a question and of the template around it
SIDE = 1024  # pixels of a picture whose size is not known
BLANKS = 5


@dataclass(frozen=True, slots=True)
class Expected:
    """What a model will be asked at most, were nothing kept from an earlier run."""

    questions: int = 0
    tokens: int = 0

    def __add__(self, other: Expected) -> Expected:
        return Expected(self.questions + other.questions, self.tokens + other.tokens)


def expected(
    rows: Iterable[Threshold],
    model: VisionModel,
    prompts: PromptSet,
    references: int,
    loras: int,
    store: Store,
) -> Expected:
    """Add up the questions of rows about the images of so many LoRAs, with controls and repeats.

    Tokens are those that a reply of this model took before; else an estimate from the pictures' size.
    """
    before = model.account(store).tokens_each
    total = Expected(2, round(2 * (before or WORDS)))  # the coloured pictures
    for row in rows:
        if row.question is None:
            continue
        pairs = _each(row.question, references)
        asked = arms.number_of(prompts, row.on) * pairs
        questions = (
            asked * (loras + row.gain)
            + _of_controls(row.question, references)
            + loras * min(model.repeat, asked)
        )
        pictures = 1 if row.question.reference == "none" else 2
        each = before or _tokens(prompts, model.size) * pictures + WORDS
        total += Expected(questions, round(questions * each))
    return total


def _each(question: Question, references: int) -> int:
    if question.reference != "each":
        return 1
    return min(references, question.most or references)


def _of_controls(question: Question, references: int) -> int:
    """Return at most how many questions the controls ask: about references, and about bad pictures."""
    of = {"blank": BLANKS, "bad": MOST, "base": MOST, "other_prompt": 2 * MOST}
    return min(MOST, references) + sum(of[control] for control in question.controls)


def _tokens(prompts: PromptSet, size: int | None) -> int:
    width, height = (side or SIDE for side in (prompts.sampler.width, prompts.sampler.height))
    scale = min(1.0, size / max(width, height)) if size else 1.0
    return math.ceil(width * scale / PATCH) * math.ceil(height * scale / PATCH)


def sentence(model: VisionModel, foreseen: Expected, store: Store) -> str:
    """Say what a model will be asked."""
    money = model.account(store).money(foreseen.tokens)
    price = f" ({money:.2f} in money)" if money else ""
    return (
        f"{count(foreseen.questions, 'question')} at most to {model.label}, about {foreseen.tokens:,} "
        f"tokens{price}; what was answered before is not asked again"
    )


def facts(model: VisionModel, foreseen: Expected) -> dict[str, Any]:
    """Return what the record says of a model before it is asked."""
    return {
        "label": model.label,
        "expected_questions": foreseen.questions,
        "expected_tokens": foreseen.tokens,
    }


def counted(model: VisionModel, store: Store) -> dict[str, Any]:
    """Return what the model was asked in this run, in all of its processes."""
    account = model.account(store)
    spent = account.spent()
    money = account.money(spent.tokens)
    found = {"replies": spent.replies, "calls": spent.calls, "tokens": spent.tokens}
    return found | ({"money": money} if money else {})
