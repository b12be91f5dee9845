"""Ask a vision model about pictures whose answers are known, before what it says of a LoRA is believed.

A model that says yes to everything, or never looks at the picture, passes every row with `min`. So each
question is asked about good pictures (the references) and about bad ones, and must tell them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.errors import ConfigError, MeasureError, SelfTestError
from lora_checks.core.quantity import BASELINE
from lora_checks.core.records import ImageFile, ImageSet, Policy
from lora_checks.core.records.questions import Control, Question
from lora_checks.core.store import Store
from lora_checks.core.words import number
from lora_checks.images.decoding import pixels_of
from lora_checks.judge.answers import evenly
from lora_checks.networks.vlm import blanks
from lora_checks.networks.vlm.model import Asked, VisionModel
from lora_checks.networks.vlm.question import filled

MOST = 8  # pictures on each side of a control
LEAST_AUC = 0.8  # of good pictures' answers over those of bad ones
UNSURE = 0.5  # where there are no good pictures, a bad one must be below
BAD = "bad"  # the folder of pictures that are bad for the questions of its control
COLOUR = Question("colour", "predicate", "Is the picture red?")
Floats = NDArray[np.float64]


def auc(good: Floats, bad: Floats) -> float:
    """Return the chance that a good picture's value is above a bad one's, in [0, 1]; 0.5 for a constant."""
    higher = good[:, None] - bad[None, :]
    return float(((higher > 0) + 0.5 * (higher == 0)).mean())


@dataclass
class Controls:
    """The controls of a policy's questions."""

    policy: Policy
    store: Store
    pictures: Callable[[str], ImageSet]  # a folder of the policy
    counterparts: Callable[[ImageSet], ImageSet]
    _notes: dict[tuple[str, Question, str], str] = field(default_factory=dict)

    def before_images(self, model: VisionModel, question: Question) -> None:
        """Raise `SelfTestError` if the model fails a control that needs no image of the run."""
        refuse_blind(model, self.store)
        if "blank" in question.controls:
            self._blank(model, question)
        if "bad" in question.controls and BAD in self.policy.folders:
            bad = self._of_subject(question, self.pictures(BAD).images)
            good = self._of_subject(question, self._references)
            self._tell_apart(model, question, "bad", good, bad, "the references", f"the folder '{BAD}'")

    def of_images(self, model: VisionModel, question: Question, images: ImageSet) -> str:
        """Return what the controls leave open about these images' answers; "" if nothing.

        Raises:
            SelfTestError: The model fails a control on the base's images.
        """
        if images.name == BASELINE:
            return ""
        notes = []
        if "bad" in question.controls and BAD not in self.policy.folders:
            notes.append(f"never seen to say no: the policy has no folder '{BAD}'")
        if not question.controls:
            notes.append("tried on no picture whose answer is known")
        elif not self._references:
            notes.append("the controls had no references")
        if {"other_prompt", "base"} & set(question.controls):
            notes.append(self._with_base(model, question, images))
        return "; ".join(note for note in notes if note)

    # --- without an image of the run -----------------------------------------------------------------

    @property
    def _references(self) -> tuple[ImageFile, ...]:
        name = "references"
        return self.pictures(name).images if name in self.policy.folders else ()

    def _blank(self, model: VisionModel, question: Question) -> None:
        references = self._references
        height, width = pixels_of(references[0]).shape[:2] if references else (blanks.SIDE, blanks.SIDE)
        empty = blanks.blanks(self.store, width, height)
        good = self._of_subject(question, references)
        bad = self._of_subject(question, empty)
        self._tell_apart(
            model, question, "blank", good, bad, "the references", "grey, noise, black and white"
        )

    def _of_subject(self, question: Question, pictures: Sequence[ImageFile]) -> list[Asked]:
        """Ask about pictures as if their prompt were the class alone; beside a reference if two are shown."""
        chosen = some(pictures)
        if question.reference == "none":
            return [self._asked(question, "", picture) for picture in chosen]
        references = some(self._references)
        if not references:
            return []
        others = [
            next((r for r in references[i:] + references[:i] if r != p), p) for i, p in enumerate(chosen)
        ]
        return [self._asked(question, "", *pair) for pair in zip(chosen, others, strict=True)]

    def _asked(self, question: Question, prompt: str, *images: ImageFile) -> Asked:
        trigger, subject = self.policy.prompts.trigger, self.policy.prompts.class_words or "subject"
        text = prompt.replace(trigger, subject) if trigger else prompt
        words = {"class_words": subject, "prompt": text or f"a photo of a {subject}"}
        return Asked(question, filled(question, words), images)

    # --- with images ---------------------------------------------------------------------------------

    def _with_base(self, model: VisionModel, question: Question, images: ImageSet) -> str:
        base, why = self._base(images)
        key = (model.id, question, "" if base else images.images[0].sha256)
        if key not in self._notes:
            self._notes[key] = self._asked_of_base(model, question, base, images) or why
        return self._notes[key]

    def _base(self, images: ImageSet) -> tuple[tuple[ImageFile, ...], str]:
        """Return some images of the base, or why there are none."""
        chosen = replace(images, images=tuple(some(images.images)))
        try:
            return self.counterparts(chosen).images, ""
        except (ConfigError, MeasureError):
            return (), "not tried on the base's images: there are none"

    def _asked_of_base(
        self, model: VisionModel, question: Question, base: Sequence[ImageFile], images: ImageSet
    ) -> str:
        if not base:
            return ""
        if "base" in question.controls:
            good = self._of_subject(question, self._references)
            bad = self._of_subject(question, base)
            self._tell_apart(model, question, "base", good, bad, "the references", "the base's images")
        if "other_prompt" in question.controls:
            return self._other_prompts(model, question, images, base)
        return ""

    def _other_prompts(
        self, model: VisionModel, question: Question, images: ImageSet, base: Sequence[ImageFile]
    ) -> str:
        texts = [image.prompt.text if image.prompt else "" for image in some(images.images)]
        pairs = [(i, (i + len(texts) // 2) % len(texts)) for i in range(len(texts))]
        if not all(texts) or any(texts[i] == texts[j] for i, j in pairs):
            return "not asked with another prompt: there are too few"
        good = [self._asked(question, texts[i], base[i]) for i, _ in pairs]
        bad = [self._asked(question, texts[j], base[i]) for i, j in pairs]
        about = "the base's images with their own prompts", "the same with other prompts"
        self._tell_apart(model, question, "other_prompt", good, bad, *about)
        return ""

    # --- the comparison ------------------------------------------------------------------------------

    def _tell_apart(
        self,
        model: VisionModel,
        question: Question,
        control: Control,
        good: Sequence[Asked],
        bad: Sequence[Asked],
        about_good: str,
        about_bad: str,
    ) -> None:
        """Raise `SelfTestError` unless the good pictures' answers are above those of the bad ones."""
        if not bad:
            return
        of_bad = _there(model, question, control, bad, self.store)
        if not good:
            if of_bad.mean() >= UNSURE:
                raise _fails(model, question, control, f"{_mean(of_bad)} for {about_bad}")
            return
        of_good = _there(model, question, control, good, self.store)
        found = auc(of_good, of_bad)
        if not found >= LEAST_AUC:
            values = f"{_mean(of_good)} for {about_good} and {_mean(of_bad)} for {about_bad}"
            raise _fails(model, question, control, f"{values} (AUC {number(found)}, {LEAST_AUC} is needed)")


def refuse_blind(model: VisionModel, store: Store) -> None:
    """Raise `SelfTestError` if a red and a blue picture have one answer: no picture reaches the model."""
    asked = [Asked(COLOUR, COLOUR.text, (picture,)) for picture in blanks.coloured(store)]
    red, blue = model.replies(asked, store)
    if red.probabilities is not None and red.probabilities == blue.probabilities:
        raise SelfTestError(
            f"{model.label} does not look at pictures: a red and a blue one have the same answer to "
            f"'{COLOUR.text}' ({number(red.probabilities[0])}); nothing that it says can be believed"
        )


def some(pictures: Sequence[ImageFile]) -> list[ImageFile]:
    """Return at most `MOST` of the pictures, evenly apart."""
    return [pictures[i] for i in evenly(len(pictures), MOST)] if pictures else []


def _there(
    model: VisionModel, question: Question, control: Control, asked: Sequence[Asked], store: Store
) -> Floats:
    values: NDArray[Any] = model.values(asked, store)
    there: Floats = values[~np.isnan(values)]
    if not len(there):
        raise _fails(model, question, control, "no answer to any picture")
    return there


def _mean(values: Floats) -> str:
    return number(float(values.mean()))


def _fails(model: VisionModel, question: Question, control: Control, gives: str) -> SelfTestError:
    return SelfTestError(
        f"question '{question.name}': {model.label} fails the control '{control}': it gives {gives}; "
        "word the question otherwise or use another model"
    )
