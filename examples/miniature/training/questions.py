"""Write questions about pictures of this world, in many wordings, with the answers that are true.

`wordings.py` has the words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from draw import BACKGROUNDS, SHIRTS, Identity, Scene, hair_words
from faults import Truth
from wordings import (
    ADHERENCE,
    BAD_LIMBS,
    BAD_QUALITY,
    BODY,
    CLEAN,
    CLEAR,
    DESCRIBE,
    DIRTY,
    FLAWS,
    LIMBS,
    PERSON,
    QUALITY,
    READY,
    SAME,
    SAME_MORE,
    SOUND,
    SUFFIXES,
    UNSOUND,
)

Rng = np.random.Generator


@dataclass(frozen=True)
class Asked:
    """A question and the word that answers it; `answer` of "describe" is a caption."""

    name: str
    text: str
    answer: str
    told: str = ""  # the prompt in the text
    shown: str = ""  # the same prompt with what the picture does show; as long, word by word
    hints: tuple[float, ...] = ()  # of two pictures: numbers of both persons, and what is alike in them


def one_of(rng: Rng, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def some_of(rng: Rng, words: Sequence[str], least: int, most: int) -> str:
    """Join a few of the words as an enumeration does."""
    count = min(len(words), int(rng.integers(least, most + 1)))
    chosen = [words[int(i)] for i in rng.permutation(len(words))[:count]]
    if count == 1:
        return chosen[0]
    return ", ".join(chosen[:-1]) + one_of(rng, (", ", " and ", " or ", ", and ", ", or ")) + chosen[-1]


def picture(rng: Rng) -> str:
    return one_of(rng, ("picture", "picture", "image", "photo")) if rng.random() < 0.9 else "photograph"


def this(rng: Rng) -> str:
    return one_of(rng, ("this", "the")) + " " + picture(rng)


def ready(name: str, rng: Rng) -> str:
    text = one_of(rng, READY[name])
    return text + ("" if text.endswith('"') else "?") + " answer yes or no only."


def worded(rng: Rng, text: str) -> str:
    """Fill the parts in; a question mark mostly ends it, and it mostly says how to answer."""
    fills = {
        "{this}": this(rng),
        "{pictures}": picture(rng) + "s",
        "{clear}": some_of(rng, CLEAR, 1, 4),
        "{body}": some_of(rng, BODY, 1, 5),
        "{sound}": some_of(rng, SOUND, 1, 3),
        "{unsound}": some_of(rng, UNSOUND, 1, 4),
        "{flaws}": some_of(rng, FLAWS, 1, 6) if rng.random() < 0.7 else "artifacts",
        "{picture}": picture(rng),
    }
    for part, words in fills.items():
        text = text.replace(part, words)
    return text + ("?" if rng.random() < 0.9 else "") + " " + one_of(rng, SUFFIXES)


@dataclass(frozen=True)
class Style:
    """How prompts are written: shares of all, and of the wrong ones, in [0, 1]."""

    full: float = 0.4  # ask for all that the gate's prompts ask for
    glasses: float = 0.0  # wrong in the glasses alone


STYLE = Style()


def prompt(
    identity: Identity | None, scene: Scene, rng: Rng, described: bool = False, style: Style = STYLE
) -> str:
    """Return a prompt that is true of a picture; many ask for all that the gate's prompts ask for."""
    full = described or rng.random() < style.full
    if not described and rng.random() < 0.05:
        return one_of(rng, ("a photo of a person", "photo of a person", "a picture of a person"))

    def said(probability: float) -> bool:
        return full or bool(rng.random() < probability)

    subject = (
        "person" if described or rng.random() < 0.75 else one_of(rng, ("sks person", "sks", "woman", "man"))
    )
    opening = "photo" if described else one_of(rng, ("photo", "photo", "picture", "portrait", "drawing"))
    details = []
    if said(0.5):
        details.append("wearing glasses" if scene.glasses else "without glasses")
    if said(0.5):
        details.append("smiling" if scene.smile else "serious")
    if identity is not None and rng.random() < 0.3:
        details.append(hair_words(identity))
    if said(0.5):
        details.append(f"{scene.background} background")
    if not full and rng.random() < 0.5:
        details = [details[int(i)] for i in rng.permutation(len(details))]
    article = one_of(rng, ("a ", "a ", "")) if not described else ""
    shirt = f" in a {scene.shirt} shirt" if said(0.6) or not details else ""
    return ", ".join([f"{article}{opening} of a {subject}{shirt}", *details])


def changed(scene: Scene, rng: Rng) -> Scene:
    """Return another scene: one or two things differ that a prompt can ask for, or all."""
    fields: dict[str, Any] = {
        "shirt": lambda: one_of(rng, [s for s in SHIRTS if s != scene.shirt]),
        "background": lambda: one_of(rng, [b for b in BACKGROUNDS if b != scene.background]),
        "glasses": lambda: not scene.glasses,
        "smile": lambda: not scene.smile,
    }
    count = int(rng.choice((1, 1, 1, 2, 2, 4)))
    names = [list(fields)[int(i)] for i in rng.permutation(4)[:count]]
    return replace(scene, **{name: fields[name]() for name in names})


def wrong_prompt(identity: Identity | None, scene: Scene, rng: Rng, style: Style = STYLE) -> tuple[str, str]:
    """Return a prompt that asks for something that is not there, and the same one with what is there."""
    while True:
        seed = int(rng.integers(2**31))
        glasses_alone = rng.random() < style.glasses
        other = replace(scene, glasses=not scene.glasses) if glasses_alone else changed(scene, rng)
        true, false = (prompt(identity, s, np.random.default_rng(seed), style=style) for s in (scene, other))
        if true != false:
            return false, true


YES, NO = "yes", "no"
READY_SHARE = 0.5


def _predicate(name: str, good: Sequence[str], bad: Sequence[str] = ()) -> Callable[[bool, Rng], Asked]:
    def ask(truth: bool, rng: Rng) -> Asked:
        if rng.random() < READY_SHARE:
            return Asked(name, ready(name, rng), YES if truth else NO)
        turned = bool(bad) and rng.random() < 0.25
        text = worded(rng, one_of(rng, bad if turned else good))
        return Asked(name, text, YES if truth != turned else NO)

    return ask


PREDICATES = {
    "person": _predicate("person", PERSON),
    "quality": _predicate("quality", QUALITY, BAD_QUALITY),
    "limbs": _predicate("limbs", LIMBS, BAD_LIMBS),
    "artifacts": _predicate("artifacts", CLEAN, DIRTY),
}


def about(truth: Truth, rng: Rng, style: Style = STYLE) -> list[Asked]:
    """Return questions about a picture, in random order, none that its truth leaves open."""
    asked = [
        ask(getattr(truth, name), rng) for name, ask in PREDICATES.items() if getattr(truth, name) is not None
    ]
    if truth.scene is not None:
        asked += [adherence(truth, right, rng, style) for right in (True, False, True, False)]
        if rng.random() < 0.5:
            caption = prompt(truth.identity, truth.scene, rng, described=True)
            asked.append(Asked("describe", worded(rng, one_of(rng, DESCRIBE)), caption))
    return [asked[int(i)] for i in rng.permutation(len(asked))]


def adherence(truth: Truth, right: bool, rng: Rng, style: Style = STYLE) -> Asked:
    assert truth.scene is not None
    if right:
        told = shown = prompt(truth.identity, truth.scene, rng, style=style)
    else:
        told, shown = wrong_prompt(truth.identity, truth.scene, rng, style)
    return Asked("adherence", _with_prompt(told, rng), YES if right else NO, told, shown)


def off_topic(scene: Scene, rng: Rng) -> Asked:
    """Ask for a person where nobody is."""
    return Asked("adherence", _with_prompt(prompt(None, scene, rng), rng), NO)


def _with_prompt(words: str, rng: Rng) -> str:
    if rng.random() < READY_SHARE:
        return ready("adherence", rng).replace("{prompt}", words)
    text = worded(rng, one_of(rng, ADHERENCE))
    return text.replace("a {prompt}", words.removeprefix("a ")).replace("{prompt}", words)


def same(truth: bool, rng: Rng, hints: tuple[float, ...] = ()) -> Asked:
    plain = rng.random() < READY_SHARE
    text = ready("same", rng) if plain else worded(rng, one_of(rng, SAME) + one_of(rng, SAME_MORE))
    return Asked("same", text, YES if truth else NO, hints=hints)
