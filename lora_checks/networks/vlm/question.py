"""Fill in a question, and turn a reply's probabilities into a value in [0, 1], where 1 is good."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from lora_checks.core.errors import MeasureError
from lora_checks.core.records.questions import YES_NO, Kind, Question

__all__ = ["YES_NO", "Kind", "Question", "filled", "value"]

ROUNDING = 1e-3  # by which probabilities may miss a sum of 1; servers print few digits


def filled(question: Question, words: Mapping[str, str]) -> str:
    """Return the question's text with ``{prompt}`` and ``{class_words}`` replaced; other braces stay."""
    text = question.text
    for name, word in words.items():
        text = text.replace(f"{{{name}}}", word)
    return text


def value(question: Question, probabilities: Sequence[float]) -> float:
    """Return how good the reply is, in [0, 1].

    Of a predicate or a choice it is the probability of the good options; of a score the expected level, 0 for
    the first (worst) and 1 for the last.

    Args:
        question: What was asked.
        probabilities: One for each of ``question.options``, in that order.

    Raises:
        MeasureError: They are not probabilities of these options.
    """
    if len(probabilities) != len(question.options) or not all(map(_is_probability, probabilities)):
        raise MeasureError(
            f"question '{question.name}': {list(probabilities)} are not probabilities of "
            f"{', '.join(question.options)}"
        )
    total = math.fsum(probabilities)
    if abs(total - 1) > ROUNDING:
        raise MeasureError(f"question '{question.name}': the probabilities add up to {total:.4g}, not 1")
    if question.kind == "score":
        expected = math.fsum(level * p for level, p in enumerate(probabilities))
        return expected / total / (len(probabilities) - 1)
    good = (p for option, p in zip(question.options, probabilities, strict=True) if option in question.good)
    return math.fsum(good) / total


def _is_probability(number: float) -> bool:
    return math.isfinite(number) and 0 <= number <= 1
