"""Choose what people are shown: pairs of the same prompt and seed, some of them twice, and real pictures."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from lora_checks.core.clock import now
from lora_checks.core.errors import ConfigError
from lora_checks.core.words import count
from lora_checks.record.shapes import Document, Lora, Run
from lora_checks.record.shapes.rows import NamedFile, Picture
from lora_checks.record.votes.ballot import Ballot, Contestant, Kind, Showing, Shown

QUESTION = "Which picture is better?"
PAIRS = 100
REPEATED = 0.1  # share of the showings that is shown again
REFERENCES = "references"  # folder of the policy with real pictures
Key = tuple[str, int]  # prompt and seed; for pictures without seeds the number in their prompt, negative
Two = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the ballot is to have."""

    pairs: int = PAIRS
    real: int = 0  # questions which of two pictures is real
    question: str = QUESTION


def draw(
    documents: Sequence[tuple[Path, Document]], asked: Asked, rng: random.Random | None = None
) -> Ballot:
    """Return a new ballot over all LoRAs of the reports.

    Args:
        documents: the reports with their folders.
        asked: how many questions of which kind.
        rng: for tests; by default the system's random numbers, so that no token can be guessed.

    Raises:
        ConfigError: there are not two LoRAs with pictures of the same prompts and seeds, or no real pictures.
    """
    rng = rng or random.SystemRandom()
    drawing = _Drawing(rng)
    loras = contestants(documents)
    pictures = {lora.label: _by_key(own) for lora, own in loras}
    texts = _texts(documents)
    for two, key in _chosen(pictures, texts, asked.pairs, rng):
        shown = [drawing.picture(pictures[label][key], label, key[0]) for label in two]
        drawing.ask("better", shown, key[0], texts[key[0]])
    if asked.real:
        _real(drawing, documents, pictures, texts, asked.real)
    drawing.repeat()
    return Ballot(
        id=_token(rng),
        made=now(),
        question=asked.question,
        pairs=asked.pairs,
        real=asked.real,
        loras=tuple(lora for lora, _ in loras),
        pictures=drawing.shuffled_pictures(),
        showings=tuple(rng.sample(drawing.showings, len(drawing.showings))),
    )


class _Drawing:
    """Pictures and showings so far; each picture has one token."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.pictures: dict[tuple[str, str, str], Shown] = {}
        self.showings: list[Showing] = []

    def picture(self, picture: NamedFile, lora: str, prompt: str) -> Shown:
        key = (lora, picture["name"], picture["sha256"])
        if key not in self.pictures:
            self.pictures[key] = Shown(
                _token(self.rng), lora, picture["name"], prompt, picture["sha256"], picture["file"]
            )
        return self.pictures[key]

    def ask(self, kind: Kind, shown: Sequence[Shown], prompt: str, text: str) -> None:
        first, second = self.rng.sample([one.token for one in shown], 2)
        self.showings.append(Showing(_token(self.rng), kind, (first, second), prompt, text, ""))

    def repeat(self) -> None:
        """Ask a share of the questions again."""
        n = round(REPEATED * len(self.showings)) or int(len(self.showings) > 1)
        for one in self.rng.sample(self.showings, n):
            turned = (one.pictures[1], one.pictures[0])
            self.showings.append(Showing(_token(self.rng), one.kind, turned, one.prompt, one.text, one.token))

    def shuffled_pictures(self) -> tuple[Shown, ...]:
        return tuple(self.rng.sample(list(self.pictures.values()), len(self.pictures)))


def _token(rng: random.Random) -> str:
    return f"{rng.getrandbits(80):020x}"


def contestants(documents: Sequence[tuple[Path, Document]]) -> list[tuple[Contestant, list[Picture]]]:
    """Return every LoRA that has pictures, with a label that no other has. Raises `ConfigError` below two."""
    found = [(folder, lora) for folder, document in documents for lora in document["loras"]]
    found = [(folder, lora) for folder, lora in found if lora.get("pictures")]
    names = Counter(lora["name"] for _, lora in found)
    listed = [(_contestant(folder, lora, names), lora.get("pictures") or []) for folder, lora in found]
    labels = Counter(lora.label for lora, _ in listed)
    if twice := [label for label, times in labels.items() if times > 1]:
        raise ConfigError(f"{twice[0]} is named twice; name each report once")
    if len(listed) < 2:
        raise ConfigError(
            f"{count(len(listed), 'LoRA')} with pictures in "
            f"{', '.join(str(folder) for folder, _ in documents)}: people compare two or more; gate several "
            "LoRAs in one run, or name several reports"
        )
    return listed


def _contestant(folder: Path, lora: Lora, names: Mapping[str, int]) -> Contestant:
    name = lora["name"]
    label = name if names[name] == 1 else f"{name} ({folder})"
    return Contestant(label, name, lora["sha256"], lora["path"], str(folder))


def _by_key(pictures: Sequence[Picture]) -> dict[Key, Picture]:
    """Return the pictures by prompt and seed; those without a seed are numbered by prompt."""
    found: dict[Key, Picture] = {}
    seedless: Counter[str] = Counter()
    for picture in pictures:
        seed = picture["seed"]
        if seed is None:
            seedless[picture["prompt"]] += 1
            seed = -seedless[picture["prompt"]]  # no seed is negative
        found[picture["prompt"], seed] = picture
    return found


def _texts(documents: Sequence[tuple[Path, Document]]) -> dict[str, str]:
    """Return the text of each prompt that all reports have alike."""
    own = [_of_run(document["run"]) for _, document in documents]
    return {prompt: text for prompt, text in own[0].items() if all(one.get(prompt) == text for one in own)}


def _of_run(run: Run) -> dict[str, str]:
    return {prompt["id"]: _blind(prompt["text"], run) for prompt in run["prompts"]}


def _blind(text: str, run: Run) -> str:
    """Return a prompt without what may name the LoRA: the trigger, and A1111's ``<lora:name:1>``."""
    trigger, words = run.get("trigger"), run.get("class_words") or "..."
    plain = re.sub(r"<[^<>]*>", "", text)
    return " ".join((plain.replace(trigger, words) if trigger else plain).split())


def _chosen(
    pictures: Mapping[str, Mapping[Key, Picture]], texts: Mapping[str, str], most: int, rng: random.Random
) -> list[tuple[Two, Key]]:
    """Return at most ``most`` questions: every two LoRAs and every prompt about equally often.

    The first questions link all LoRAs in a ring, so that an order of all of them can be estimated.
    """
    left = {two: _common(pictures, texts, two, rng) for two in _twos(list(pictures), rng)}
    left = {two: keys for two, keys in left.items() if keys}
    linked = {label for two in left for label in two}
    if apart := [label for label in pictures if label not in linked]:
        raise ConfigError(
            f"{apart[0]} has no picture of the same prompt, text and seed as another LoRA; name reports of "
            "the same prompts and seeds"
        )
    least = len(pictures) if len(pictures) > 2 else 1
    if most < least:
        raise ConfigError(f"--pairs {most} cannot order {len(pictures)} LoRAs; ask for {least} or more")
    asked: list[tuple[Two, Key]] = []
    used: Counter[str] = Counter()
    while left and len(asked) < most:
        for two in list(left)[: most - len(asked)]:
            key = min(left[two], key=lambda key: used[key[0]])
            left[two].remove(key)
            used[key[0]] += 1
            asked.append((two, key))
        left = {two: keys for two, keys in left.items() if keys}
    return asked


def _twos(labels: Sequence[str], rng: random.Random) -> Iterator[Two]:
    """Yield every two LoRAs, neighbours in a random ring first."""
    ring = rng.sample(list(labels), len(labels))
    n = len(ring)
    both = list(combinations(range(n), 2))
    apart = {two: min(two[1] - two[0], n - two[1] + two[0]) for two in both}
    for i, j in sorted(rng.sample(both, len(both)), key=lambda two: apart[two]):
        yield ring[i], ring[j]


def _common(
    pictures: Mapping[str, Mapping[Key, Picture]], texts: Mapping[str, str], two: Two, rng: random.Random
) -> list[Key]:
    """Return prompts and seeds of which both have a picture, in random order; equal pictures tell nothing."""
    a, b = (pictures[label] for label in two)
    keys = [key for key in a if key in b and key[0] in texts and a[key]["sha256"] != b[key]["sha256"]]
    return rng.sample(keys, len(keys))


def _real(
    drawing: _Drawing,
    documents: Sequence[tuple[Path, Document]],
    pictures: Mapping[str, Mapping[Key, Picture]],
    texts: Mapping[str, str],
    most: int,
) -> None:
    """Ask which of a LoRA's and a real picture is real, each LoRA about equally often."""
    folders = [document["run"]["folders"].get(REFERENCES) for _, document in documents]
    real = [image for folder in folders if folder for image in folder["images"] if image["file"]]
    if not real:
        raise ConfigError(
            f"--real needs files of real pictures, and no report has a folder '{REFERENCES}' of files"
        )
    rng = drawing.rng
    queues = {
        label: rng.sample(keys, len(keys))
        for label, own in pictures.items()
        if (keys := [key for key in own if key[0] in texts])
    }
    for i in range(most):
        queue = queues[list(queues)[i % len(queues)]]
        if queue:
            label, key = list(queues)[i % len(queues)], queue.pop()
            made = drawing.picture(pictures[label][key], label, key[0])
            drawing.ask("real", [made, drawing.picture(rng.choice(real), "", "")], key[0], "")
