"""Let a vision model answer a ballot, as one more rater.

Each pair is shown in both orders, because such models like one place better than the other. Where the two
answers are for different pictures, the place decided, and the vote is a tie (as in GenArena, Li et al. 2026).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lora_checks.core.clock import now
from lora_checks.core.records import ImageFile
from lora_checks.core.records.questions import Question
from lora_checks.core.store import Progress, Store
from lora_checks.networks.vlm.api import Reply
from lora_checks.networks.vlm.model import Asked, VisionModel
from lora_checks.record.votes.ballot import Ballot, Showing
from lora_checks.record.votes.book import LONGEST_NAME, Choice, Vote, rater_of

FIRST, SECOND = OPTIONS = ("the first picture", "the second picture")
REAL = "Which of the two pictures is a real photo, and was not generated?"
Pair = tuple[ImageFile, ImageFile]


def name_of(model: VisionModel) -> str:
    """Return the rater's name of a vision model."""
    return rater_of(f"model {model.label}"[:LONGEST_NAME])


def votes(
    ballot: Ballot,
    files: Mapping[str, Path],
    model: VisionModel,
    store: Store,
    progress: Progress | None = None,
) -> list[Vote]:
    """Return the model's vote on each showing of a ballot.

    Args:
        ballot: What is asked.
        files: The file of each picture, by token.
        model: What is asked.
        store: Where its replies are kept; what it has is not asked again.
        progress: Called with the number of questions to ask, then with each that is answered.

    Raises:
        MeasureError: The budget is spent, or a fault that repeating did not help.
        PrerequisiteError: The model, a package, a key or the endpoint is missing.
    """
    images = {
        picture.token: ImageFile(files[picture.token], picture.sha256, picture.name)
        for picture in ballot.pictures
    }
    asked: list[Asked] = []
    for showing in ballot.showings:
        left, right = (images[token] for token in showing.pictures)
        asked += [_asked(ballot, showing, pair) for pair in ((left, right), (right, left))]
    replies = model.replies(asked, store, progress)
    both = zip(replies[::2], replies[1::2], strict=True)
    rater, at = name_of(model), now()
    return [
        Vote(rater, showing.token, choice(*two), *showing.pictures, 0.0, at)
        for showing, two in zip(ballot.showings, both, strict=True)
    ]


def choice(straight: Reply, turned: Reply) -> Choice:
    """Return the vote that follows from the replies to a pair and to the same pair turned round."""
    if straight.probabilities is None or turned.probabilities is None:
        return "skip"
    left = straight.probabilities[0] - straight.probabilities[1]
    left_again = turned.probabilities[1] - turned.probabilities[0]
    if left * left_again <= 0:
        return "tie"
    return "left" if left > 0 else "right"


def decided_by_place(given: Sequence[Vote]) -> float:
    """Return the share of the answers that are ties, where a model that sees a difference has few."""
    answered = [vote for vote in given if vote.choice != "skip"]
    return sum(vote.choice == "tie" for vote in answered) / max(len(answered), 1)


def _asked(ballot: Ballot, showing: Showing, pair: Pair) -> Asked:
    text = REAL if showing.kind == "real" else ballot.question
    if showing.kind == "better" and showing.text:
        text = f'{text} Both were made from the text: "{showing.text}"'
    question = Question("pair", "choice", text, OPTIONS, (FIRST,), controls=())
    return Asked(question, text, pair)
