"""Read an answer from the probabilities of a model's first token: yes and no, or the letters of options."""

from __future__ import annotations

import io
import string
from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image

from lora_checks.core.errors import MeasureError
from lora_checks.networks.vlm.api import Reply, Request

LEAST_MASS = 0.05  # of the first token on the options; below it the model says something else
LETTERS = string.ascii_uppercase


def labels(request: Request) -> tuple[str, ...]:
    """Return the word that stands for each option. Raises `MeasureError` for more than 26."""
    if request.kind == "predicate":
        return ("Yes", "No")
    if len(request.options) > len(LETTERS):
        raise MeasureError(f"{len(request.options)} options are more than there are letters")
    return tuple(LETTERS[: len(request.options)])


def instruction(request: Request) -> str:
    """Return the text with its options, and how to answer."""
    if request.kind == "predicate":
        return f"{request.text}\nAnswer Yes or No only."
    listed = "\n".join(
        f"{label}. {option}" for label, option in zip(labels(request), request.options, strict=True)
    )
    return f"{request.text}\n{listed}\nAnswer with the letter that fits best only."


def shared(probabilities: Sequence[float], tokens: int) -> Reply:
    """Return a reply from the options' parts of the first token's probability."""
    mass = sum(probabilities)
    if not mass >= LEAST_MASS:
        why = f"the model begins with another word: {mass:.1%} of its first token is on the options"
        return Reply(None, why, tokens=tokens)
    return Reply(tuple(p / mass for p in probabilities), tokens=tokens)


def answerer(model: Any, processor: Any) -> Callable[[Request], Reply]:
    """Return a function that answers requests by this model and processor of transformers."""

    def answer(request: Request) -> Reply:
        import torch

        inputs = _inputs(processor, request).to(model.device, model.dtype)
        with torch.inference_mode():
            logits = model(**inputs).logits[0, -1].float()
        chances = logits.softmax(-1)
        parts = [float(chances[_spellings(processor.tokenizer, label)].sum()) for label in labels(request)]
        return shared(parts, int(inputs["input_ids"].shape[-1]))

    return answer


def _inputs(processor: Any, request: Request) -> Any:
    pictures = [Image.open(io.BytesIO(image)).convert("RGB") for image in request.images]
    text = instruction(request)
    if getattr(processor, "chat_template", None):
        parts = [*({"type": "image"} for _ in pictures), {"type": "text", "text": text}]
        prompt = processor.apply_chat_template(
            [{"role": "user", "content": parts}], add_generation_prompt=True
        )
    else:
        place = getattr(processor, "image_token", None) or ""
        prompt = f"{place * len(pictures)}\n{text}\n"
    inputs = processor(images=pictures, text=prompt, return_tensors="pt")
    if "pixel_values" not in inputs:
        raise MeasureError("the model's processor took no picture")
    return inputs


def _spellings(tokenizer: Any, label: str) -> list[int]:
    """Return the tokens that begin with the label as a word of its own: "Yes", "yes", " Yes", ..."""
    found = set()
    for spelt in {label, label.lower(), label.upper(), f" {label}", f" {label.lower()}"}:
        ids = tokenizer(spelt, add_special_tokens=False)["input_ids"]
        if len(ids) == 1 and ids[0] != tokenizer.unk_token_id:
            found.add(ids[0])
    if not found:
        raise MeasureError(f"'{label}' is not one token of this model, so its probability cannot be read")
    return sorted(found)
