"""How much of a text a pipeline's own tokenization reads, with the template and system text around it."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Reading:
    """One call of a tokenizer."""

    tokenizer: Any
    text: str  # as the pipeline hands it over: with its template
    limit: int | None  # tokens that are read; None: all

    def tokens(self) -> tuple[int, ...]:
        """Return all tokens of the text, those beyond the limit too."""
        return tuple(self.tokenizer(self.text, truncation=False, verbose=False).input_ids)


@contextmanager
def observed(readings: list[Reading]) -> Iterator[None]:
    """Enter every text that is tokenized within the block into ``readings``."""
    import transformers

    every: Any = transformers.PreTrainedTokenizerBase
    call = every.__call__

    @functools.wraps(call)
    def tokenize(tokenizer: Any, *inputs: Any, **named: Any) -> Any:
        given = inputs[0] if inputs else named.get("text")
        limit = (named.get("max_length") or tokenizer.model_max_length) if named.get("truncation") else None
        texts = [given] if isinstance(given, str) else [text for text in given or () if isinstance(text, str)]
        readings.extend(Reading(tokenizer, text, limit) for text in texts)
        return call(tokenizer, *inputs, **named)

    every.__call__ = tokenize
    try:
        yield
    finally:
        every.__call__ = call


def lost(readings: Sequence[Reading], text: str) -> tuple[int, int] | None:
    """Return the tokens and the limit of the tokenizer that reads furthest, if each cuts the text off.

    Args:
        readings: What was tokenized for one image.
        text: The prompt, which the pipeline may have put into a template.

    Returns:
        None if some tokenizer reads the text to its end, or none of them has a limit.
    """
    cut: list[tuple[int, int]] = []
    for reading in readings:
        if reading.limit is None or text.strip() not in reading.text:
            continue  # a pipeline may count all tokens only to warn
        count = len(reading.tokens())
        if count <= reading.limit:
            return None
        cut.append((count, reading.limit))
    return max(cut, key=lambda pair: pair[1], default=None)


def same(before: Sequence[Reading], after: Sequence[Reading]) -> bool:
    """Return whether no tokenizer tells two texts apart: they are the same words to the base."""
    return bool(before) and [reading.tokens() for reading in before] == [
        reading.tokens() for reading in after
    ]
