"""Ask through ``/v1/decisions``, OpenAI's typed questions.

Sources, read in November 2026: ``openai/types/decision*.py`` of ``openai`` 3.57, OpenAI's reference,
``vllm/entrypoints/openai/decisions`` of vLLM, LiteLLM's page. OpenAI answers with ``gpt-6-luna`` only. vLLM
refuses pictures with HTTP 400 in some builds and reads them in others. SGLang's route of the same name has
another shape and no pictures; use systemone there. One POST does not need the ``openai`` package.
"""

from __future__ import annotations

from typing import Any

from lora_checks.networks.vlm.api import Request
from lora_checks.networks.vlm.endpoints.client import Client, Read
from lora_checks.networks.vlm.endpoints.pictures import data_url, names_of

QUESTION = "answer"
DETAIL = "high"  # a judge of hands has to see them; OpenAI's own choice may be to shrink the picture


class Decisions(Client):
    """OpenAI's Decisions API."""

    route, version = "decisions", "1"
    advice = "use api: systemone or api: chat"

    def body(self, request: Request) -> dict[str, Any]:
        return {"input": [{"role": "user", "content": _content(request)}], "questions": [question(request)]}

    def read(self, request: Request, content: bytes) -> Read:
        from lora_checks.networks.vlm.endpoints.shapes import DecisionsReply

        reply = DecisionsReply.model_validate_json(content)
        tokens = reply.usage.tokens if reply.usage else 0
        if len(reply.answers) != 1 or reply.answers[0].name not in (QUESTION, None):
            raise ValueError("it does not answer the question that was asked")
        answer = reply.answers[0]
        if answer.type == "refusal":
            return Read(None, "refused", "refusal", tokens)
        if answer.type != request.kind:
            raise ValueError(f"it answers a {request.kind} with a {answer.type}")
        if answer.probability is not None:
            return Read((answer.probability, 1 - answer.probability), tokens=tokens)
        found = {one.value: one.probability for one in answer.probabilities or []}
        # Scores come with the number of the level, which is no bool and no text.
        names: list[str | bool | int] = (
            [*range(len(request.options))] if request.kind == "score" else [*request.options]
        )
        if set(names) != set(found):
            raise ValueError(f"it has probabilities of {', '.join(map(str, found)) or 'nothing'}")
        return Read(tuple(found[name] for name in names), tokens=tokens)


def question(request: Request) -> dict[str, Any]:
    """Return the typed question: ``predicate``, ``choice`` or ``score``."""
    asked: dict[str, Any] = {"type": request.kind, "name": QUESTION, "instructions": request.text}
    if request.kind == "choice":
        asked["choices"] = [{"value": option} for option in request.options]
    if request.kind == "score":
        asked["levels"] = [{"label": level} for level in request.options]
    return asked


def _content(request: Request) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for name, image in zip(names_of(request), request.images, strict=True):
        parts += [{"type": "input_text", "text": name}] if name else []
        parts.append({"type": "input_image", "image_url": data_url(image), "detail": DETAIL})
    return parts
