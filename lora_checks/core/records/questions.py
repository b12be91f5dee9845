"""A question that a policy asks a vision model about a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["predicate", "choice", "score"]
Reference = Literal["none", "nearest", "each"]
Control = Literal["blank", "other_prompt", "base", "bad"]

YES_NO = ("yes", "no")  # the options of every predicate, in this order
WORDS = ("prompt", "class_words")  # in braces in a question's text


@dataclass(frozen=True, slots=True)
class Question:
    """One entry of ``questions:`` in ``thresholds.yaml``."""

    name: str
    kind: Kind
    text: str  #: with {prompt} and {class_words}, which are filled in for each image
    options: tuple[str, ...] = YES_NO  #: of a score: the levels, from worst to best
    good: tuple[str, ...] = ("yes",)  #: the options that count as good; empty for a score
    reference: Reference = "none"  #: which reference is shown as the second picture
    by: str = ""  #: slot of `networks:` that finds the nearest reference
    most: int | None = None  #: of ``each``: how many references are asked about; None: all
    controls: tuple[Control, ...] = ("blank",)  #: on which pictures the answer must be bad
    tagged: str = ""  #: asked only of the images of prompts with this tag

    @property
    def of_prompt(self) -> bool:
        """Whether the text has the image's prompt in it."""
        return "{prompt}" in self.text
