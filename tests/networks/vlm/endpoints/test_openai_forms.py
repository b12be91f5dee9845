"""Requests and answers are those that OpenAI's own package declares, key by key."""

from __future__ import annotations

from typing import Any

import pytest
from judge_world import ask, chat_answer, client, png, said, serving, yes_no
from pydantic import TypeAdapter

from lora_checks.networks.vlm.api import Request

decision_params = pytest.importorskip(
    "openai.types.decision_create_params", reason="openai is missing, or has no typed decisions"
)
RED, BLUE = png((250, 10, 10)), png((10, 10, 250))
REQUESTS = [
    yes_no(RED, BLUE),
    Request("choice", "Which shirt?", ("red", "blue"), (RED,)),
    Request("score", "How good is it?", ("bad", "good"), (RED,)),
]


def whole(value: Any) -> Any:
    """Read to the end what pydantic validates while it is read."""
    if isinstance(value, dict):
        return {key: whole(inner) for key, inner in value.items()}
    if value is None or isinstance(value, str | int | float):
        return value
    return [whole(inner) for inner in value]


@pytest.mark.parametrize("api", ["decisions", "chat"])
def test_a_request_has_the_keys_that_openai_declares_and_no_others(api: str):
    from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming

    declared = {
        "decisions": decision_params.DecisionCreateParams,
        "chat": CompletionCreateParamsNonStreaming,
    }[api]
    with serving(lambda asked: said(asked, *((0.9,) if len(asked.images) > 1 else (0.4, 0.6)))) as server:
        ask(client(server, api), REQUESTS)
    adapter: Any = TypeAdapter(declared)
    for asked in server.asked:
        body = dict(asked.body)
        assert whole(adapter.validate_python(body)) == body  # an unknown key would be left out


def test_each_answer_that_openai_declares_is_read():
    from openai.types.decision import Decision

    usage = {
        "input_tokens": 812,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 815,
    }
    chances = {
        "predicate": {"probability": 0.97},
        "choice": {
            "choice": "red",
            "confidence": 0.6,
            "probabilities": [{"value": "blue", "probability": 0.2}, {"value": "red", "probability": 0.8}],
        },
        "score": {
            "score": 0.7,
            "confidence": 0.4,
            "probabilities": [
                {"value": 1, "label": "good", "probability": 0.7},
                {"value": 0, "label": "bad", "probability": 0.3},
            ],
        },
    }

    def answer(asked):
        kind = asked.body["questions"][0]["type"]
        given = {"model": "gpt-6-luna", "usage": usage}
        given["answers"] = [{"type": kind, "name": "answer", **chances[kind]}]
        Decision.model_validate(given, strict=True)
        return 200, given

    with serving(answer) as server:
        replies = ask(client(server, "decisions"), REQUESTS)
    assert [reply.probabilities for reply in replies] == [
        pytest.approx((0.97, 0.03)),
        pytest.approx((0.8, 0.2)),  # by value, in the order of the options
        pytest.approx((0.3, 0.7)),
    ]
    assert [reply.tokens for reply in replies] == [815] * 3


def test_a_chat_completion_of_openai_is_read():
    from openai.types.chat import ChatCompletion

    given = chat_answer({"Yes": 0.7, "No": 0.2, " yes": 0.1}) | {"created": 1, "model": "small"}
    ChatCompletion.model_validate(given)
    with serving(lambda _: (200, given)) as server:
        [reply] = ask(client(server, "chat"), REQUESTS[:1])
    assert reply.probabilities == pytest.approx((0.8, 0.2))
