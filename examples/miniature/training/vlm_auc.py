"""Ask the miniature's judge about pictures whose truth is known, and count how often it ranks them right.

python vlm_auc.py                # AUC of each question on drawings and on pictures of the held-out seeds
"""

# mypy: disable-error-code="no-untyped-call"
# (transformers types few of its methods)

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from augment import Image, degrade, drawing
from common import HELD_OUT
from draw import Identity, Scene, sample_identity, sample_scene
from faults import Truth, faulty, plain
from questions import YES, about, changed, prompt, same
from transformers import AutoModelForImageTextToText, AutoProcessor
from vlm_model import VLM_DIR
from wordings import SUFFIXES

from lora_checks.policy.questions import standard

Rng = np.random.Generator
BATCH = 32

WORDINGS = {name: question.text.replace("{class_words}", "person") for name, question in standard().items()}
"""The gate's ready questions, in their words."""


@dataclass(frozen=True)
class Case:
    """A question about one picture or two, and whether yes is true."""

    name: str
    text: str
    images: tuple[Image, ...]
    truth: bool


class Judge:
    """The stored model, loaded by transformers' own classes."""

    def __init__(self, directory: Path = VLM_DIR) -> None:
        self.processor = AutoProcessor.from_pretrained(directory)
        self.model = AutoModelForImageTextToText.from_pretrained(directory, dtype=torch.float32).eval()
        self.tokens = self.processor.tokenizer(["Yes", "No"], add_special_tokens=False).input_ids

    @torch.inference_mode()
    def answers(self, cases: Sequence[Case]) -> np.ndarray:
        """Return the probability of yes against no, (N,)."""
        parts = [self._answers(cases[start : start + BATCH]) for start in range(0, len(cases), BATCH)]
        return np.concatenate(parts)

    def _answers(self, cases: Sequence[Case]) -> np.ndarray:
        texts = [self._prompt(case) for case in cases]
        images = [np.array(image) for case in cases for image in case.images]  # their strides are made plain
        inputs = self.processor(
            images=images, text=texts, return_tensors="pt", padding=True, padding_side="left"
        )
        logits = self.model(**inputs, logits_to_keep=1).logits[:, -1]
        yes, no = (logits[:, ids[0]] for ids in self.tokens)
        return np.asarray(torch.sigmoid(yes - no).double().numpy())

    def _prompt(self, case: Case) -> str:
        shown = [[{"type": "image"}]] if len(case.images) == 1 else _TWO
        parts = [part for some in shown for part in some]
        parts.append({"type": "text", "text": f"\n\n{case.text}\nAnswer Yes or No only."})
        return str(
            self.processor.apply_chat_template(
                [{"role": "user", "content": parts}], add_generation_prompt=True
            )
        )


_TWO = [
    [{"type": "text", "text": "First picture: "}, {"type": "image"}],
    [{"type": "text", "text": "\nSecond picture: "}, {"type": "image"}],
]


def auc(probabilities: np.ndarray, truths: np.ndarray) -> float:
    """Return the share of pairs of a true and a false case that are in order; ties count half."""
    true, false = probabilities[truths], probabilities[~truths]
    above = (true[:, None] > false[None]).mean() + 0.5 * (true[:, None] == false[None]).mean()
    return float(above)


def by_question(judge: Judge, cases: Sequence[Case]) -> dict[str, float]:
    probabilities, truths = judge.answers(cases), np.array([case.truth for case in cases])
    names = np.array([case.name for case in cases])
    return {
        name: auc(probabilities[names == name], truths[names == name]) for name in WORDINGS if name in names
    }


def drawn(rng: Rng) -> tuple[Image, Truth, tuple[Identity, Scene]]:
    pair = sample_identity(rng), sample_scene(rng)
    if rng.random() < 0.5:
        image, truth = faulty(*pair, rng)
        return image, truth, pair
    image = drawing(*pair)
    return (degrade(image, rng, 0.5) if rng.random() < 0.5 else image), plain(*pair), pair


def about_one(image: Image, truth: Truth, rng: Rng) -> list[Case]:
    """Return every question about one picture that its truth answers, in the gate's words."""
    cases = [
        Case(name, WORDINGS[name], (image,), bool(getattr(truth, name)))
        for name in ("person", "quality", "limbs", "artifacts")
        if getattr(truth, name) is not None
    ]
    for name in ("adherence", "adherence-simple"):
        if truth.scene is not None:
            right = rng.random() < 0.5
            words = (gate_prompt if right else wrong_gate_prompt)(truth.scene, rng)
            cases.append(Case(name, WORDINGS[name].replace("{prompt}", words), (image,), right))
    return cases


def gate_prompt(scene: Scene, rng: Rng) -> str:
    return prompt(None, scene, rng, described=True)


def wrong_gate_prompt(scene: Scene, rng: Rng) -> str:
    return gate_prompt(changed(scene, rng), rng)


def pairs(rng: Rng, count: int) -> list[Case]:
    """Return pairs of drawings; half show one person in two scenes."""
    cases = []
    for number in range(count):
        first, scenes = sample_identity(rng), (sample_scene(rng), sample_scene(rng))
        second = first if number % 2 else sample_identity(rng)
        images = drawing(first, scenes[0]), drawing(second, scenes[1])
        cases.append(Case("same-person", WORDINGS["same-person"], images, bool(number % 2)))
    return cases


def held_out_drawings(count: int = 300, seed: int = 44) -> list[Case]:
    rng = np.random.default_rng([HELD_OUT, seed])
    cases = pairs(rng, count // 3)
    for _ in range(count):
        image, truth, _ = drawn(rng)
        cases += about_one(image, truth, rng)
    return cases


def reworded_drawings(count: int = 100, seed: int = 47) -> list[Case]:
    """Return questions about held-out drawings in the training's many wordings; some ask for faults."""
    rng = np.random.default_rng([HELD_OUT, seed])
    cases = [replace(case, text=_same_text(case.truth, rng)) for case in pairs(rng, count)]
    for _ in range(count):
        image, truth, _ = drawn(rng)
        asked = [one for one in about(truth, rng) if one.name != "describe"]
        cases += [Case(one.name, _without_suffix(one.text), (image,), one.answer == YES) for one in asked]
    return cases


def _same_text(truth: bool, rng: Rng) -> str:
    return _without_suffix(same(truth, rng).text)


def _without_suffix(text: str) -> str:
    """Drop how to answer: the judge's prompt says it."""
    for suffix in SUFFIXES:
        text = text.removesuffix(suffix) if suffix else text
    return text.strip()


def held_out_pictures(count: int = 300, seed: int = 45) -> list[Case]:
    """Return the same of pictures that a VAE decoded or a base made; needs `vlm_pictures.py`."""
    from vlm_samples import people, sample

    rng = np.random.default_rng([HELD_OUT, seed])
    cases = []
    for _ in range(count):
        cases += about_one(*sample(rng, HELD_OUT), rng)
    for _ in range(4):
        shown, owners = people(rng, 25, HELD_OUT)
        for number in range(50):
            other = number ^ 1 if rng.random() < 0.5 else int(rng.integers(50))
            images = shown[number][0], shown[other][0]
            cases.append(
                Case("same-person", WORDINGS["same-person"], images, owners[number] == owners[other])
            )
    return cases


def main() -> None:
    torch.set_num_threads(1)
    judge = Judge()
    made: dict[str, Callable[[], list[Case]]] = {"drawings": held_out_drawings, "pictures": held_out_pictures}
    for name, cases in made.items():
        print(name, {question: round(value, 4) for question, value in by_question(judge, cases()).items()})


if __name__ == "__main__":
    main()
