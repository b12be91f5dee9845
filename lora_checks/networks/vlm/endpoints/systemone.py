"""Ask through ``/v1/systemone``, the typed questions of TypeSafe's System One API.

Sources, read in November 2026: the schema in ``typesafe-sdk`` 0.7.5, transformers 5.24
(``cli/serving/systemone.py``), SGLang (``entrypoints/systemone/protocol.py``), llama.cpp
(``tools/server/server-decision.cpp``), vLLM (``entrypoints/generate/structured_decisions``), and OpenRouter's
guide.

Servers differ in where a picture goes, and ignore what they do not know, with HTTP 200:

- ``assets``: named files, each shown where its name stands in the state (transformers serve, TypeSafe);
- ``list``: data URLs in the key ``images`` (SGLang, llama.cpp);
- ``parts``: data URLs as parts of the state (OpenRouter).

vLLM's route reads none of them; its pictures go through ``decisions`` or ``chat``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lora_checks.core.errors import ConfigError
from lora_checks.networks.vlm import systemone as wire
from lora_checks.networks.vlm.api import Request
from lora_checks.networks.vlm.endpoints.client import Client, Read, astray
from lora_checks.networks.vlm.endpoints.pictures import data_url, names_of
from lora_checks.networks.vlm.first_token import LEAST_MASS

if TYPE_CHECKING:
    from lora_checks.networks.vlm.endpoints.shapes import SystemOneAnswer

WAYS = ("assets", "list", "parts")


class SystemOne(Client):
    """System One. Its own setting is ``images``: how the server takes pictures."""

    route, version, known = "systemone", "1", ("images",)
    advice = "check the setting images: of the policy, or use api: chat"

    def choices(self, settings: Mapping[str, Any]) -> dict[str, str]:
        self._way = settings.get("images", WAYS[0])
        if self._way not in WAYS:
            raise ConfigError(f"networks: judge: images: {self._way!r} is not one of {', '.join(WAYS)}")
        return {"images": self._way}

    def body(self, request: Request) -> dict[str, Any]:
        whole = wire.body(request)
        if self._way == "assets":
            return whole
        urls, names = list(map(data_url, request.images)), names_of(request)
        if self._way == "list":
            shown = " ".join(filter(None, names)) or "The picture:"
            return {"state": f"{shown} attached", "questions": whole["questions"], "images": urls}
        parts: list[Any] = []
        for name, url in zip(names, urls, strict=True):
            parts += [name] if name else []
            parts.append({"type": "image_url", "image_url": {"url": url}})
        return {"state": parts, "questions": whole["questions"]}

    def read(self, request: Request, content: bytes) -> Read:
        from lora_checks.networks.vlm.endpoints.shapes import SystemOneReply

        reply = SystemOneReply.model_validate_json(content)
        tokens = reply.usage.tokens if reply.usage else 0
        answer = reply.answers.get(wire.NAME)
        if answer is None or answer.type != wire.question(request)["type"]:
            raise ValueError("it does not answer the question that was asked")
        mass = answer.x_label_mass
        if mass is None and reply.diagnostics and wire.NAME in reply.diagnostics:
            mass = reply.diagnostics[wire.NAME].label_mass
        if mass is not None and mass < LEAST_MASS:
            return astray(mass, "", tokens)
        return Read(_values(request, answer), tokens=tokens)


def _values(request: Request, answer: SystemOneAnswer) -> tuple[float, ...]:
    """Return the probabilities in the order of the options; a score's are named by their number."""
    if request.kind == "predicate":
        if answer.noul is None:
            raise ValueError("it has no probability of yes")
        return answer.noul, 1 - answer.noul
    names = request.options
    if request.kind == "score":
        names = tuple(map(str, range(len(request.options))))
    found = answer.probabilities or {}
    if set(names) != set(found):
        raise ValueError(f"it has probabilities of {', '.join(found) or 'nothing'}")
    return tuple(found[name] for name in names)
