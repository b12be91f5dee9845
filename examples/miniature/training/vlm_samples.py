"""Draw what the miniature's judge is asked about: pictures with their truth, and pairs of pictures."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from augment import Image, degrade, drawing
from common import TRAINING
from draw import Identity, Scene, sample_identity, sample_scene
from faults import SMALL, Truth, faulty, plain
from vlm_pictures import SCENES, Pixels, chosen, faulty_pair, persons, pictures

Sample = tuple[Image, Truth]
Rng = np.random.Generator

SPOILED = Truth(person=None, quality=False, limbs=None, artifacts=False)


@cache
def _people(split: int) -> list[tuple[Identity, Scene]]:
    return persons(split)


@cache
def _pictures(kind: str, split: int) -> tuple[Pixels, dict[int, int]]:
    """Return the pictures of a kind and where each of `persons` is among them."""
    return pictures(kind, split), {number: place for place, number in enumerate(chosen(kind, split))}


def _kept(kind: str, number: int, split: int) -> Image:
    images, places = _pictures(kind, split)
    return np.asarray(images[places[number]])


def _any(kind: str, rng: Rng, split: int) -> int:
    return int(rng.choice(chosen(kind, split)))


def of_person(number: int, rng: Rng, split: int) -> Sample:
    """Return a picture of one of `persons`: a drawing, decoded by the VAE, or painted over by the UNet."""
    pair = _people(split)[number]
    kind = rng.random()
    if kind < 0.3:
        return degrade(drawing(*pair), rng, rng.uniform(0, 0.8)), plain(*pair)
    if kind < 0.6 or number not in _pictures("repainted", split)[1]:
        return _kept("round-trip", number, split), plain(*pair)
    return _kept("repainted", number, split), replace(plain(*pair), identity=None)


def good(rng: Rng, split: int) -> Sample:
    kind = rng.random()
    if kind < 0.45:
        pair = sample_identity(rng), sample_scene(rng)
        image = drawing(*pair)
        return (degrade(image, rng, rng.uniform(0, 0.8)) if kind < 0.3 else image), plain(*pair)
    if kind < 0.85:
        return of_person(int(rng.integers(len(_people(split)))), rng, split)
    number = _any("generated", rng, split)
    return _kept("generated", number, split), Truth(scene=_people(split)[number][1])


def bad(rng: Rng, split: int, small: float = 0.0) -> Sample:
    """Return a faulty picture; `small` is the share of new drawings whose fault is one of `SMALL`."""
    kind = rng.random()
    if kind < 0.2:
        return _kept("spoiled", _any("spoiled", rng, split), split), SPOILED
    if kind < 0.45:
        place = int(rng.integers(len(chosen("faulty", split))))
        return np.asarray(_pictures("faulty", split)[0][place]), faulty_pair(split, place)[1]
    names = SMALL if rng.random() < small else ()
    image, truth = faulty(sample_identity(rng), sample_scene(rng), rng, names)
    return (degrade(image, rng, rng.uniform(0, 0.8)) if kind < 0.75 else image), truth


def sample(rng: Rng, split: int = TRAINING, small: float = 0.0) -> Sample:
    return good(rng, split) if rng.random() < 0.5 else bad(rng, split, small)


def people(rng: Rng, count: int, split: int = TRAINING) -> tuple[list[Sample], list[Identity]]:
    """Return pictures of `count` persons, two of each in a row, and each one's person.

    Half of the persons are drawn for this alone: of those who are kept there are too few to learn faces from.
    """
    samples: list[Sample] = []
    owners: list[Identity] = []
    for kept in rng.permutation(len(_people(split)) // SCENES)[:count]:
        first = int(kept) * SCENES
        person = _people(split)[first][0] if rng.random() < 0.5 else sample_identity(rng)
        for scene in rng.permutation(SCENES)[:2]:
            known = person is _people(split)[first][0]
            samples.append(of_person(first + int(scene), rng, split) if known else _drawn(person, rng))
            owners.append(person)
    return samples, owners


def _drawn(person: Identity, rng: Rng) -> Sample:
    pair = person, sample_scene(rng)
    image = drawing(*pair)
    return (degrade(image, rng, rng.uniform(0, 0.8)) if rng.random() < 0.5 else image), plain(*pair)
