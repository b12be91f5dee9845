"""Write a request as typed decision models take it (System One), and read their answer."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from lora_checks.core.errors import MeasureError
from lora_checks.networks.vlm.api import Request

NAME = "asked"  # of the only question in a body
ONE = "[[picture-1]]"
TWO = "First picture: [[picture-1]]\nSecond picture: [[picture-2]]"


def body(request: Request) -> dict[str, Any]:
    """Return ``state``, ``questions`` and ``assets``; each picture's placeholder stands in the state.

    A picture whose placeholder is nowhere in the text is never looked at, and nothing says so.
    """
    assets = {f"[[picture-{i}]]": _asset(image) for i, image in enumerate(request.images, start=1)}
    state = ONE if len(assets) == 1 else TWO
    return {"state": state, "questions": {NAME: question(request)}, "assets": assets}


def _asset(image: bytes) -> dict[str, str]:
    kind = "png" if image.startswith(b"\x89PNG") else "jpeg"
    return {"type": "image", "format": kind, "data_base64": base64.b64encode(image).decode()}


def question(request: Request) -> dict[str, Any]:
    """Return the typed question: ``noul`` (yes or no), ``choice`` or ``score``."""
    if request.kind == "predicate":
        return {"type": "noul", "instructions": request.text}
    if request.kind == "choice":
        criteria: Any = dict.fromkeys(request.options)
        return {"type": "choice", "instructions": request.text, "criteria": criteria}
    return {"type": "score", "instructions": request.text, "criteria": list(request.options)}


def probabilities(request: Request, answers: object) -> tuple[float, ...]:
    """Return the probability of each option from ``answers`` of a reply.

    Raises:
        MeasureError: The answer has another shape.
    """
    answer = answers.get(NAME) if isinstance(answers, Mapping) else None
    try:
        if request.kind == "predicate":
            yes = float(answer["noul"])  # type: ignore[index]
            return yes, 1 - yes
        by_option = answer["probabilities"]  # type: ignore[index]
        names = request.options if request.kind == "choice" else map(str, range(len(request.options)))
        return tuple(float(by_option[name]) for name in names)
    except (TypeError, KeyError, ValueError) as error:
        raise MeasureError(
            f"the answer to a {request.kind} has no probabilities: {str(answer)[:120]}"
        ) from error
