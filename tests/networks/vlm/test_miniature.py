"""The miniature's vision model: right on drawings that it never saw, and its policy stops the bad LoRAs."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from judged_world import MINIATURE, MODEL, PICTURES, POLICY, failed, measured, opened

from lora_checks.core.records import Measurement, Policy
from lora_checks.networks.vlm.api import Request
from lora_checks.networks.vlm.in_process import InProcess
from lora_checks.policy.reading import load_policy

LEAST = {"artifacts": 0.9}
STOPPED_BY = {
    "overcooked": {"quality", "artifacts"},
    "overfit": {"adherence", "adherence-simple"},
    "wrong-identity": {"same-person"},
}


@pytest.fixture(scope="module")
def asking() -> Iterator[Any]:
    """The training's own module of held-out questions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(MINIATURE / "training"))
        yield import_module("vlm_auc")


def test_it_ranks_held_out_drawings_by_each_question(asking: Any) -> None:
    found = asking.by_question(asking.Judge(MODEL), asking.held_out_drawings(150))
    assert set(found) == set(asking.WORDINGS)
    assert all(value >= LEAST.get(name, 0.95) for name, value in found.items()), found


def test_other_words_for_a_question_have_the_same_answer(asking: Any) -> None:
    judge_, cases = asking.Judge(MODEL), asking.reworded_drawings(60)
    found = asking.by_question(judge_, cases)
    assert all(value >= 0.9 for value in found.values()), found


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy(POLICY)


@pytest.fixture(scope="module")
def ladder(policy: Policy, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Measurement]]:
    measurer = opened(policy, tmp_path_factory.mktemp("store"))
    return {name: measured(measurer, policy, name) for name in ("good", *STOPPED_BY)}


def test_good_passes(policy: Policy, ladder: dict[str, dict[str, Measurement]]) -> None:
    assert failed(policy, ladder["good"]) == set()


@pytest.mark.parametrize("name", STOPPED_BY)
def test_a_bad_lora_is_stopped_by_the_question_that_concerns_it(
    policy: Policy, ladder: dict[str, dict[str, Measurement]], name: str
) -> None:
    assert STOPPED_BY[name] <= failed(policy, ladder[name])


def test_the_wrong_person_does_as_it_is_told(
    policy: Policy, ladder: dict[str, dict[str, Measurement]]
) -> None:
    assert not {"person", "adherence", "adherence-simple"} & failed(policy, ladder["wrong-identity"])


def test_its_answers_are_those_of_the_decision_pipeline() -> None:
    pytest.importorskip("transformers.pipelines.decision", reason="transformers has no decision pipeline")
    from PIL import Image
    from transformers import pipeline

    file, text = (
        PICTURES / "good" / "red-pink-glasses-smile.png",
        "Does the picture show a person in a red shirt?",
    )
    (reply,) = InProcess({"path": str(MODEL)}, "cpu").ask(
        [Request("predicate", text, ("yes", "no"), (file.read_bytes(),))], lambda *_: None
    )
    asked = {"it": {"type": "noul", "instructions": text}}
    answers = pipeline("decision", model=str(MODEL))(
        {"state": "here", "questions": asked, "assets": {"here": Image.open(file)}}
    )
    assert reply.probabilities is not None
    assert reply.probabilities[0] == pytest.approx(answers["it"]["noul"], abs=1e-6)


def test_it_is_small() -> None:
    assert sum(file.stat().st_size for file in MODEL.iterdir()) < 4_000_000
