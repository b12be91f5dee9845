"""Keep a vision model's replies, ask only for those that are missing, and stay within a budget."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_checks.core import seals
from lora_checks.core.errors import MeasureError
from lora_checks.core.filling import Filling, silent
from lora_checks.core.records import ImageFile
from lora_checks.core.records.questions import Question
from lora_checks.core.store import Progress, Store, array_path, read_record
from lora_checks.core.words import count
from lora_checks.images.decoding import DECODER
from lora_checks.networks import device_of, refuse_changed
from lora_checks.networks.vlm import question as questions
from lora_checks.networks.vlm.api import Reply, Request, open_api
from lora_checks.networks.vlm.budget import Account, budget_of
from lora_checks.networks.vlm.picture import encoded
from lora_checks.networks.weights import number

OWN = ("budget", "size", "repeat", "name")  # settings that the API does not get
BATCH = 64  # requests that the API gets at a time
REPEAT = 8  # questions that are asked twice of a model that may answer differently


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with its words filled in, about one picture or two."""

    question: Question
    text: str
    images: tuple[ImageFile, ...]
    repeat: int = 0  # asked again to see whether the answer is the same


class VisionModel:
    """A vision model that answers the policy's questions.

    Settings: ``api``, ``model`` and others of the API; ``budget``; ``size``, the longest side in pixels of
    the pictures that it is shown; ``repeat``, how many questions are asked twice; ``name`` for people.
    """

    def __init__(self, settings: Mapping[str, Any], device: str, cache: Path | None = None) -> None:  # noqa: ARG002
        self.size = int(number("judge", settings, "size", 0, 0, 8192)) or None
        self.budget = budget_of(settings.get("budget"))
        self.api = open_api("judge", {k: v for k, v in settings.items() if k not in OWN}, device)
        repeat = 0 if self.api.deterministic else REPEAT
        self.repeat = int(number("judge", settings, "repeat", repeat, 0, 1000))
        size = f" size={self.size}" if self.size else ""
        self.id = f"judge/1 {self.api.id}{size} decoder={DECODER}"
        self.label = str(settings.get("name", self.api.label))
        self._account: Account | None = None

    def account(self, store: Store) -> Account:
        """Return what this run spends; it begins with the first call."""
        if self._account is None:
            self._account = Account(store, self.id, self.budget)
        return self._account

    def values(
        self, asked: Sequence[Asked], store: Store, progress: Progress | None = None
    ) -> NDArray[np.float64]:
        """Return what each reply is worth, (N,) in [0, 1]; NaN where there is none. Raises as `replies`."""
        return worth(asked, self.replies(asked, store, progress))

    def replies(self, asked: Sequence[Asked], store: Store, progress: Progress | None = None) -> list[Reply]:
        """Return the reply to each, from the store where it has one; equal ones are asked once.

        Raises:
            MeasureError: The budget is spent, or a fault that repeating did not help.
            PrerequisiteError: The model, a package, a key or the endpoint is missing.
        """
        places = [self.path(store, one) for one in asked]
        unique = dict(zip(places, asked, strict=True))
        paths, questions_asked = list(unique), list(unique.values())
        account = self.account(store)
        store.bring(paths)
        account.refuse_beyond(sum(not path.exists() for path in paths))

        def make(indices: Sequence[int]) -> Iterator[bytes]:
            some = [questions_asked[i] for i in indices]
            yield from self._make(some, [paths[i] for i in indices], store, account)

        filling = Filling(store, paths, lambda i: _reply(paths[i]))
        found = dict(zip(paths, filling.run(make, BATCH, progress or silent), strict=True))
        return [found[place] for place in places]

    def path(self, store: Store, asked: Asked) -> Path:
        """Return where a reply is kept: with the other outputs of networks for the first picture."""
        first, *others = asked.images
        what = (asked.question.kind, asked.text, asked.question.options, [one.sha256 for one in others])
        device = device_of(self) if hasattr(self.api, "device") else "cpu"  # a server's is not known
        on = [] if device == "cpu" else [f"on {device}"]
        again = [asked.repeat] if asked.repeat else []
        return array_path(store.root, self.id, first.sha256, what, *on, *again).with_suffix(".json")

    def _make(
        self, asked: Sequence[Asked], paths: Sequence[Path], store: Store, account: Account
    ) -> list[bytes]:
        """Ask, and store each reply as it comes, so that a killed run asks nothing twice.

        Raises:
            MeasureError: A reply is not the last word: a later run has to ask again.
        """
        account.refuse_beyond(len(asked))
        contents: dict[int, bytes] = {}
        failed: dict[int, str] = {}

        def done(index: int, reply: Reply) -> None:
            refuse_changed(self.api)
            account.add(reply)
            if reply.again:
                failed[index] = reply.missing
                return
            contents[index] = self._content(asked[index], reply, paths[index])
            store.put(paths[index], contents[index])

        replies = self.api.ask([self._request(one) for one in asked], done)
        for index, reply in enumerate(replies):
            if index not in contents and index not in failed:
                done(index, reply)
        if failed:
            raise MeasureError(
                f"{self.label} gave no answer to {len(failed)} of {count(len(asked), 'question')} "
                f"({next(iter(failed.values()))}); run again: what was answered is kept"
            )
        return [contents[index] for index in range(len(asked))]

    def _request(self, asked: Asked) -> Request:
        pictures = tuple(encoded(image, self.size) for image in asked.images)
        return Request(asked.question.kind, asked.text, asked.question.options, pictures)

    def _content(self, asked: Asked, reply: Reply, path: Path) -> bytes:
        if reply.probabilities is not None:
            questions.value(asked.question, reply.probabilities)  # refuse what could not be read back
        record = {
            "network": self.id,
            "text": asked.text,
            "options": asked.question.options,
            "probabilities": reply.probabilities,
            "missing": reply.missing,
            "calls": reply.calls,
            "tokens": reply.tokens,
        }
        return json.dumps(seals.seal_json(record, path.name), allow_nan=False, sort_keys=True).encode()


def _reply(path: Path) -> Reply:
    record = read_record(path)
    probabilities = record["probabilities"]
    there = None if probabilities is None else tuple(probabilities)
    return Reply(there, record["missing"], record["calls"], record["tokens"])


def worth(asked: Sequence[Asked], replies: Sequence[Reply]) -> NDArray[np.float64]:
    """Return what each reply is worth, (N,) in [0, 1]; NaN for one without an answer."""
    return np.array([_value(one, reply) for one, reply in zip(asked, replies, strict=True)], np.float64)


def unanswered(replies: Sequence[Reply]) -> str:
    """Say why replies have no answer, the most frequent reason first: "no answer: refused (3)"."""
    reasons = Counter(reply.missing for reply in replies if reply.probabilities is None)
    listed = "; ".join(f"{why} ({number})" for why, number in reasons.most_common(3))
    return f"no answer: {listed}" if listed else ""


def _value(asked: Asked, reply: Reply) -> float:
    if reply.probabilities is None:
        return float("nan")
    return questions.value(asked.question, reply.probabilities)
