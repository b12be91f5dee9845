"""Reports with pictures to vote on, and raters with known preferences."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from page_world import page_document
from report_world import whole

from lora_checks.record import document
from lora_checks.record.votes import book
from lora_checks.record.votes.ballot import Ballot
from lora_checks.record.votes.book import Vote

LORAS = ("good", "middling", "poor")
STRENGTHS = {"good": 1.5, "middling": 0.0, "poor": -1.5, "": 1.0}


def report(folder: Path, loras: tuple[str, ...] = LORAS, prompts: int = 10, **more: Any) -> Path:
    """A report folder of LoRAs with pictures on disk."""
    made = page_document(folder, loras, prompts=prompts, **more)
    made["run"] = whole(made["run"]) | {"trigger": "sks person", "class_words": "person"}
    directory = folder / "report"
    directory.mkdir(exist_ok=True)
    document.write(made, directory)
    return directory


def votes(
    ballot: Ballot,
    rater: str,
    rng: random.Random,
    strengths: Mapping[str, float] = STRENGTHS,
    ties: float = 0.1,
) -> list[Vote]:
    """Every question answered by the model of Bradley and Terry; a repeat as the first time."""
    answered: dict[str, str] = {}
    found = []
    pictures = {picture.token: picture for picture in ballot.pictures}
    for i, one in enumerate(sorted(ballot.showings, key=lambda one: one.again != "")):
        left, right = rng.sample(one.pictures, 2)
        odds = strengths[pictures[left].lora] - strengths[pictures[right].lora]
        wins = left if rng.random() < 1 / (1 + math.exp(-odds)) else right
        wins = "" if rng.random() < ties else wins
        wins = answered.setdefault(one.again or one.token, wins)
        choice = "tie" if not wins else "left" if wins == left else "right"
        entry = {"rater": rater, "showing": one.token, "choice": choice, "left": left, "right": right}
        entry |= {"seconds": 2.0, "at": f"2026-11-30T10:{i // 60:02}:{i % 60:02}Z"}
        found.append(book.checked(entry, ballot))
    return found
