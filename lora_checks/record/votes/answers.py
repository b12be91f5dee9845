"""Turn votes into answers about pictures: which LoRA's picture was preferred, whichever side it was on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lora_checks.record.votes.ballot import Ballot, Showing, Shown
from lora_checks.record.votes.book import Vote


@dataclass(frozen=True, slots=True)
class Answer:
    """A rater's answer about two pictures, which stand in the ballot's order and not by side."""

    rater: str
    showing: str  # that was asked first, also if this is the answer to its repeat
    again: bool
    real: bool  # the question is which of the two is real
    first: Shown
    second: Shown
    prompt: str
    score: float  # 1: the first is preferred, 0: the second, 0.5: a tie


def answers(ballot: Ballot, votes: Sequence[Vote]) -> list[Answer]:
    """Return every answer that is not a skip, in the order of the votes."""
    showings = {showing.token: showing for showing in ballot.showings}
    pictures = {picture.token: picture for picture in ballot.pictures}
    return [
        _answer(vote, showings[vote.showing], showings, pictures) for vote in votes if vote.choice != "skip"
    ]


def _answer(vote: Vote, showing: Showing, showings: dict[str, Showing], pictures: dict[str, Shown]) -> Answer:
    original = showings[showing.again] if showing.again else showing
    first, second = original.pictures
    score = {first: 1.0, second: 0.0}.get(vote.preferred, 0.5)
    return Answer(
        vote.rater, original.token, bool(showing.again), showing.kind == "real", pictures[first],
        pictures[second], showing.prompt, score,
    )  # fmt: skip


def about_loras(answered: Sequence[Answer]) -> list[Answer]:
    """Return the answers that order the LoRAs: to the first showing of a pair of theirs."""
    return [one for one in answered if not one.again and not one.real]
