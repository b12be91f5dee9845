"""Put what a vision model was asked, and what its answer's number means, into words."""

from __future__ import annotations

from lora_checks.core.quantity import label
from lora_checks.record.shapes import Row
from lora_checks.record.shapes.rows import Measurement, Question

SUBJECT = "subject"  # where a run's own class words are not known


def question_of(row: Row) -> Question | None:
    """Return the question of a row of a vision model, as the document holds it; None for other rows."""
    threshold = row["threshold"]
    return None if threshold is None else threshold.get("question")


def asked(row: Row, class_words: str = "") -> str:
    """Return the question in words: "Is there a dog in the picture?"; "" for other rows."""
    question = question_of(row)
    if question is None:
        return ""
    words = question["text"].replace("{class_words}", class_words or SUBJECT)
    return words.replace("{prompt}", "(its prompt)")


def answer(row: Row) -> str:
    """Return what the number is: "probability of yes", or "level, 0 for poor to 1 for good"; else ""."""
    question = question_of(row)
    if question is None:
        return ""
    if question["kind"] == "score":
        return f"level, 0 for {question['options'][0]} to 1 for {question['options'][-1]}"
    return f"probability of {' or '.join(question['good'])}"


def name(row: Row, class_words: str = "") -> str:
    """Return "the probability of yes to “Is there a dog in the picture?”"; "" for other rows."""
    question = question_of(row)
    if question is None:
        return ""
    said = "level that answers" if question["kind"] == "score" else f"{answer(row)} to"
    return f"the {said} “{asked(row, class_words)}”"


def quantity(row: Row, m: Measurement) -> str:
    """Return what each image's value is: "clip_score gain", "probability of yes"."""
    plain = label(m["metric"], "mean", None, m["gain"], m["on"])
    said = answer(row)
    return plain.replace(m["metric"], said, 1) if said else plain
