"""A real `transformers serve`: the same probabilities over HTTP as in this process, and its traps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from judge_world import CLIENTS, ask, png
from served_vlm import served
from vlm_world import tiny_llava

from lora_checks.core.errors import PrerequisiteError
from lora_checks.networks.vlm import systemone as wire
from lora_checks.networks.vlm.api import Reply, Request
from lora_checks.networks.vlm.endpoints.client import Client
from lora_checks.networks.vlm.in_process import InProcess

pytestmark = pytest.mark.torch
pytest.importorskip("transformers.decision", reason="transformers has no typed decisions")
for package in ("fastapi", "uvicorn", "openai"):
    pytest.importorskip(package, reason=f"transformers serve needs {package}")

RED, BLUE, GREY = png((250, 10, 10)), png((10, 10, 250)), png((128, 128, 128))
WORDS = "Is the picture red?"
REQUESTS = [
    Request("predicate", WORDS, ("yes", "no"), (RED,)),
    Request("predicate", WORDS, ("yes", "no"), (BLUE,)),
    Request("predicate", WORDS, ("yes", "no"), (RED, BLUE)),
    Request("predicate", WORDS, ("yes", "no"), (BLUE, RED)),
    Request("choice", WORDS, ("red", "blue", "no"), (GREY,)),
    Request("score", WORDS, ("no", "or", "red"), (GREY,)),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llava(tmp_path_factory.mktemp("vlm") / "tiny")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with served(folder) as address:
        yield address


def judge(api: str, address: str, folder: Path) -> Client:
    return CLIENTS[api]({"api": api, "model": str(folder), "endpoint": address}, "cpu")


@pytest.fixture(scope="module")
def replies(address: str, folder: Path) -> list[Reply]:
    return ask(judge("systemone", address, folder), REQUESTS)


def test_the_probabilities_over_http_are_those_of_this_process(replies: list[Reply], folder: Path):
    here = InProcess({"path": str(folder), "dtype": "float32"}, "cpu").ask(REQUESTS, lambda *_: None)
    for one, other, request in zip(replies, here, REQUESTS, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-6), request.kind
        assert one.tokens == other.tokens


def test_the_server_looks_at_each_picture_and_at_their_order(replies: list[Reply]):
    values = [reply.probabilities[0] for reply in replies[:4]]
    assert all(abs(one - other) > 1e-4 for i, one in enumerate(values) for other in values[:i])


def test_a_picture_whose_place_is_missing_is_never_looked_at(address: str, folder: Path, monkeypatch):
    """What the red and the blue picture of the controls are there to find."""
    monkeypatch.setattr(wire, "ONE", "a picture")
    red, blue = ask(judge("systemone", address, folder), REQUESTS[:2])
    assert red.probabilities == blue.probabilities


def test_its_chat_gives_no_logprobs_and_the_error_says_what_to_use(address: str, folder: Path):
    with pytest.raises(PrerequisiteError, match=r"no logprobs; use .* api: systemone \(transformers serve"):
        ask(judge("chat", address, folder), REQUESTS[:1])


def test_pictures_in_a_key_that_it_does_not_know_are_an_error(address: str, folder: Path):
    settings = {"api": "systemone", "model": str(folder), "endpoint": address, "images": "list"}
    with pytest.raises(PrerequisiteError, match=r"HTTP 422: Extra inputs are not permitted"):
        ask(CLIENTS["systemone"](settings, "cpu"), REQUESTS[:1])


def test_it_has_no_decisions_route_and_another_model_is_an_error(address: str, folder: Path):
    with pytest.raises(PrerequisiteError, match=r"/v1/decisions is not there \(HTTP 404"):
        ask(judge("decisions", address, folder), REQUESTS[:1])
    with pytest.raises(PrerequisiteError, match=r"does not take the question \(HTTP 400"):
        ask(judge("systemone", address, folder.parent / "other"), REQUESTS[:1])
