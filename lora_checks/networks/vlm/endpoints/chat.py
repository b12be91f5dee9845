"""Ask through ``/v1/chat/completions``: the probabilities of the first token that the model would write.

One token is asked for, with the 20 likeliest in its place (OpenAI, and vLLM by default, refuse to give more).
"Yes", " yes" and "YES" are different tokens of one answer, so they are added up. If all options together have
less than half of the probability, the model wanted to write something else, and the reply is missing.

Some servers take ``logprobs`` and leave them out of their answer, with HTTP 200: ``transformers serve``
5.24 (``UNUSED_CHAT_COMPLETION_FIELDS``), Ollama's for a time (https://github.com/ollama/ollama/issues/16117),
and models that think first. The words of the answer are never read instead.
"""

from __future__ import annotations

import math
import string
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lora_checks.core.errors import ConfigError
from lora_checks.networks.vlm.api import Request
from lora_checks.networks.vlm.endpoints.client import Client, Read, astray
from lora_checks.networks.vlm.endpoints.pictures import data_url, names_of
from lora_checks.networks.vlm.first_token import instruction, labels

if TYPE_CHECKING:
    from lora_checks.networks.vlm.endpoints.shapes import ChatChoice, TokenLogprob

TOP = 20
# Of the first token on the options. With half of it, an option that is not among the likeliest has too little
# to matter.
MINIMUM_MASS = 0.5
NO_LOGPROBS = "the answer has no logprobs"
# Around a word: spaces, also as tokenizers write them, quotes and punctuation.
_AROUND = string.whitespace + string.punctuation + "\u2581\u0120\u010a\u201c\u201d\u2018\u2019"


class Chat(Client):
    """Chat completions with ``top_logprobs``."""

    route, version = "chat/completions", "1"
    advice = (
        "use a server and a model that give top_logprobs and answer without thinking first, or "
        "api: systemone (transformers serve, llama.cpp, SGLang), or api: decisions (OpenAI, vLLM)"
    )

    def body(self, request: Request) -> dict[str, Any]:
        if len(request.options) > TOP:
            raise ConfigError(
                f"api: chat shows the {TOP} likeliest tokens, too few for {len(request.options)} options; "
                "use api: systemone or api: decisions"
            )
        return {
            "messages": [{"role": "user", "content": _content(request)}],
            "max_tokens": 1,
            "temperature": 1,  # some servers divide the logprobs by it
            "logprobs": True,
            "top_logprobs": TOP,
        }

    def read(self, request: Request, content: bytes) -> Read:
        from lora_checks.networks.vlm.endpoints.shapes import ChatReply

        reply = ChatReply.model_validate_json(content)
        tokens = reply.usage.tokens if reply.usage else 0
        if not reply.choices:
            raise ValueError("it has no choices")
        choice = reply.choices[0]
        if choice.message.refusal or choice.finish_reason == "content_filter":
            return Read(None, "refused", "refusal", tokens)
        likely = list(_first_token(choice))
        if not likely:
            return Read(None, NO_LOGPROBS, "astray", tokens)
        values = added_up(request, likely)
        mass = math.fsum(values)
        if mass < MINIMUM_MASS:
            instead = max(likely, key=lambda one: one.logprob).token
            return astray(mass, instead, tokens)
        return Read(tuple(value / mass for value in values), tokens=tokens)


def _content(request: Request) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for name, image in zip(names_of(request), request.images, strict=True):
        parts += [{"type": "text", "text": name}] if name else []
        parts.append({"type": "image_url", "image_url": {"url": data_url(image)}})
    return [*parts, {"type": "text", "text": instruction(request)}]


def added_up(request: Request, likely: Iterable[TokenLogprob]) -> list[float]:
    """Return the probability that falls on each option, of all tokens that spell it."""
    words = labels(request)
    values = [0.0] * len(words)
    for token, logprob in {one.token: one.logprob for one in likely}.items():
        word = token.strip(_AROUND)
        if request.kind == "predicate":  # a small "a" is a word, not the letter of an option
            word = word.capitalize()
        if word in words:
            values[words.index(word)] += math.exp(logprob)
    return values


def _first_token(choice: ChatChoice) -> Iterable[TokenLogprob]:
    """Yield the likeliest tokens in the first place, with the one that was drawn."""
    content = choice.logprobs.content if choice.logprobs else None
    if content and content[0].top_logprobs:
        yield from content[0].top_logprobs
        yield content[0]
