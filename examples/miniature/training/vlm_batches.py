"""Pack questions behind the pictures they are about, so that each picture is looked at once.

A row is a prefix (`<s><|user|>`, one or two pictures) and several questions. Each question sees the prefix
and itself, at the positions that it would have alone; so the model learns what a single question looks like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from questions import Asked, one_of
from torch.nn import functional
from transformers import PreTrainedTokenizerFast
from vlm_model import ASSISTANT, END, IMAGE, PAD, PATCHES, START, USER
from wordings import AFTER, BEFORE, BEFORE_TWO, BETWEEN

IGNORED = -100


@dataclass(frozen=True)
class Row:
    """Pictures by their numbers in the batch, and what is asked about them."""

    images: tuple[int, ...]
    asked: list[Asked]


@dataclass(frozen=True)
class Packed:
    ids: torch.Tensor  # (rows, length)
    positions: torch.Tensor  # (rows, length)
    mask: torch.Tensor  # (rows, 1, length, length), added to the attention's logits
    targets: torch.Tensor  # (rows, length): the next token where it counts, else IGNORED
    answers: (
        torch.Tensor
    )  # (rows, length): where the target is the answer to a question, and no word of a caption
    wrong: (
        torch.Tensor
    )  # (rows, length): 1 at the words of a prompt that are wrong, 0 at right ones, else IGNORED
    hints: torch.Tensor  # (questions about two pictures with hints, hints)
    hinted: torch.Tensor  # (rows, length): where those questions are answered
    images: torch.Tensor  # numbers of the pictures in the order of their places
    names: list[str]  # of the questions that have an answer, in order


class Packer:
    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self.tokenizer = tokenizer
        self.known: dict[str, list[int]] = {}
        self.start, self.user, self.assistant, self.image, self.end, self.pad = (
            int(tokenizer.convert_tokens_to_ids(t)) for t in (START, USER, ASSISTANT, IMAGE, END, PAD)
        )

    def words(self, text: str) -> list[int]:
        """Return the ids of a text; texts repeat and tokenizing is slow, so they are kept."""
        if text not in self.known:
            self.known[text] = list(self.tokenizer(text, add_special_tokens=False).input_ids)
        return self.known[text]

    def prefix(self, count: int, rng: np.random.Generator) -> list[int]:
        picture = [self.image] * PATCHES
        if rng.random() < 0.4:
            around = [""] * (count + 1)
        elif count == 1:
            around = [one_of(rng, BEFORE), one_of(rng, AFTER)]
        else:
            around = [one_of(rng, BEFORE_TWO), one_of(rng, BETWEEN), one_of(rng, AFTER)]
        ids = [self.start, self.user, *self.words(around[0])]
        for after in around[1:]:
            ids += [*picture, *self.words(after)]
        return ids

    def packed(self, rows: Sequence[Row], rng: np.random.Generator) -> Packed:
        parts = [self._row(row, rng) for row in rows]
        length = max(len(part[0]) for part in parts)
        padded = [
            torch.stack(
                [functional.pad(torch.tensor(p[i]), (0, length - len(p[i])), value=fill) for p in parts]
            )
            for i, fill in enumerate((self.pad, 0, -1, IGNORED, 0, IGNORED, 0))
        ]
        ids, positions, segments, targets, answers, wrong, hinted = padded
        seen = (segments[:, None, :] == 0) | (segments[:, None, :] == segments[:, :, None])
        seen = (seen & torch.ones(length, length, dtype=torch.bool).tril()) | torch.eye(
            length, dtype=torch.bool
        )
        mask = torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)[:, None]
        images = torch.tensor([number for row in rows for number in row.images])
        names = [asked.name for row in rows for asked in row.asked if asked.name != "describe"]
        hints = torch.tensor([asked.hints for row in rows for asked in row.asked if asked.hints])
        return Packed(ids, positions, mask, targets, answers == 1, wrong, hints, hinted == 1, images, names)

    def _row(self, row: Row, rng: np.random.Generator) -> tuple[list[int], ...]:
        """Return ids, positions, number of the question, targets, where they are answers, wrong, hinted."""
        ids = self.prefix(len(row.images), rng)
        before = len(ids)
        positions, segments = list(range(before)), [0] * before
        targets, answers = [IGNORED] * before, [0] * before
        wrong, hinted = [IGNORED] * before, [0] * before
        for number, asked in enumerate(row.asked, 1):
            question, answer = [*self.words(asked.text), self.assistant], self.words(asked.answer)
            caption = asked.name == "describe"
            answer = [*answer, self.end] if caption else answer
            segment = question + answer[:-1]
            ids += segment
            positions += range(before, before + len(segment))
            segments += [number] * len(segment)
            told, marks = self._told(question, asked)
            targets += [*told, *answer]
            wrong += [*marks, *[IGNORED] * len(answer)]
            hinted += [0] * (len(segment) - 1) + [int(bool(asked.hints))]
            answers += [0] * (len(question) - 1) + [int(not caption)] * len(answer)
        return ids, positions, segments, targets, answers, wrong, hinted

    def _told(self, question: list[int], asked: Asked) -> tuple[list[int], list[int]]:
        """Return, for all tokens of a question but the last, targets and whether a prompt's words are wrong.

        Who can tell the next word of a true prompt and which word of a false one is wrong reads prompts soon;
        from yes and no alone it had not begun to after hundreds of steps.
        """
        targets, wrong = [IGNORED] * (len(question) - 1), [IGNORED] * (len(question) - 1)
        told, shown = self.words(asked.told), self.words(asked.shown)
        for start in range(1, len(question) - len(told)) if told and len(told) == len(shown) else ():
            if question[start : start + len(told)] == told:
                wrong[start : start + len(told)] = [int(a != b) for a, b in zip(told, shown, strict=True)]
                if told == shown:
                    targets[start - 1 : start - 1 + len(told)] = told
                break
        return targets, wrong
