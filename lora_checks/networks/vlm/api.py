"""Ask a vision model typed questions: what goes in, what comes out, and what can answer.

An API gives a probability for each option. It never reads a number out of prose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from lora_checks.core.errors import ConfigError
from lora_checks.core.records.questions import Kind

APIS = {  # `api:` of a policy -> class, called with (settings, device)
    "transformers": "lora_checks.networks.vlm.in_process:InProcess",
    "systemone": "lora_checks.networks.vlm.endpoints.systemone:SystemOne",
    "decisions": "lora_checks.networks.vlm.endpoints.decisions:Decisions",
    "chat": "lora_checks.networks.vlm.endpoints.chat:Chat",
}


@dataclass(frozen=True, slots=True)
class Request:
    """One question about one picture, or about two."""

    kind: Kind
    text: str  #: filled in; two pictures are called "the first picture" and "the second picture"
    options: tuple[str, ...]  #: ("yes", "no") of a predicate; of a score its levels, worst first
    images: tuple[bytes, ...]  #: PNG or JPEG files, shown in this order before the text


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one `Request`. One without probabilities is final and stored, unless it says `again`."""

    probabilities: tuple[float, ...] | None  #: one for each option, adding up to 1
    missing: str = ""  #: why there are none, such as "refused"; "" if there are
    calls: int = 1  #: requests that were sent, repeated ones included
    tokens: int = 0  #: that they took, in and out
    again: bool = False  #: whether a later run has to ask again: after a fault, or when the budget was spent


class Api(Protocol):
    """A vision model, wherever it runs."""

    id: str  #: API, model and revision: everything that decides the answers; no key and no address
    label: str  #: for people: "Qwen3-VL-8B-Instruct (in this process)"
    deterministic: bool  #: whether the same request always has the same reply

    def ask(self, requests: Sequence[Request], done: Callable[[int, Reply], None]) -> list[Reply]:
        """Return the reply to each request.

        Args:
            requests: What to ask.
            done: Called with the index and the reply as soon as there is one, in any order, from the thread
                that called ``ask``; what it has got survives a later error.

        Raises:
            PrerequisiteError: A package, a model, a key or the endpoint is missing.
            MeasureError: A fault that repeating did not help; a later run may ask again.
        """


def open_api(slot: str, settings: Mapping[str, Any], device: str) -> Api:
    """Return the API that a policy's network names; nothing is loaded or sent yet.

    Raises:
        ConfigError: ``api`` or another setting is unknown.
        PrerequisiteError: A package or a model is missing on this machine.
    """
    name = settings.get("api", "transformers")
    if name not in APIS:
        raise ConfigError(f"networks: {slot}: unknown api '{name}'; known: {', '.join(APIS)}")
    module, _, cls = APIS[name].partition(":")
    api: Api = getattr(import_module(module), cls)(settings, device)
    return api
