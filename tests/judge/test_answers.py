"""Measurements by a vision model that answers from the pixels, so that each has a closed form."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import Any, ClassVar

import numpy as np
import pytest
import vlm_world
from measure_world import PROMPTS, a_set
from PIL import Image
from vlm_world import Table, redness

from lora_checks.core.errors import ConfigError, MeasureError
from lora_checks.core.records import ImageFile, ImageSet, Prompt
from lora_checks.core.records.questions import Question
from lora_checks.core.store import Store
from lora_checks.images.decoding import image_file
from lora_checks.judge import answers
from lora_checks.judge.measure import measure
from lora_checks.judge.task import Task
from lora_checks.metrics import asking, get
from lora_checks.networks import build, slot_of
from lora_checks.networks.vlm.api import Reply, Request

Draw = Callable[..., ImageFile]
RED = Question("red", "predicate", "Is it red?")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def draw(tmp_path: Path) -> Draw:
    def drawn(red: int, prompt: str = "", text: str = "photo of sks person, smiling") -> ImageFile:
        path = tmp_path / f"{red}.png"
        Image.new("RGB", (8, 8), (red, 0, 0)).save(path)
        asked = Prompt(prompt, text) if prompt else None
        return image_file(path, f"{prompt}/1" if prompt else None, asked)

    return drawn


@pytest.fixture
def images(draw: Draw) -> ImageSet:
    return a_set("candidate", [draw(51, "a"), draw(153, "b"), draw(255, "c", "sks person in space")])


def measured(store: Store, images: ImageSet, question: Question, **more: Any) -> Any:
    network = build("vlm", {"kind": "judge", "api": "table"}, "cpu")
    task = Task(asking(get("judge"), question), images, question=question, **more)
    return measure(task, network, PROMPTS, store)


def test_the_value_is_the_mean_of_the_images_answers(
    table: type[Table], store: Store, images: ImageSet
) -> None:
    found = measured(store, images, RED)
    assert found.value == pytest.approx(0.6)
    assert dict(found.per_image) == pytest.approx({"a/1": 0.2, "b/1": 0.6, "c/1": 1.0})
    assert (found.label, found.worst[0]) == ("a table", "a")
    assert re.fullmatch(r"judge/1\+[0-9a-f]{12} judge/1 table table decoder=1", found.network)
    assert len(table.asked) == 3


def test_a_share_counts_images_by_their_answer(table: type[Table], store: Store, images: ImageSet) -> None:
    del table
    assert measured(store, images, RED, stat="share_at_least", at=0.6).value == pytest.approx(2 / 3)


def test_the_words_of_each_image_are_filled_in(table: type[Table], store: Store, images: ImageSet) -> None:
    measured(store, images, Question("q", "predicate", "Is it a {class_words}, as in {prompt}?"))
    assert [request.text for request in table.asked] == [
        "Is it a person, as in photo of person, smiling?",
        "Is it a person, as in photo of person, smiling?",
        "Is it a person, as in person in space?",
    ]


def test_a_picture_without_a_prompt_can_only_be_asked_about_itself(
    table: type[Table], store: Store, draw: Draw
) -> None:
    del table
    alone = a_set("candidate", [draw(51)])
    assert measured(store, alone, RED).value == pytest.approx(0.2)
    with pytest.raises(ConfigError, match=r"judge needs the prompt of 51\.png"):
        measured(store, alone, Question("q", "predicate", "Is it {prompt}?"))


def alike(_: Request, pictures: list[Any]) -> float:
    first, second = (picture[..., 0].mean() for picture in pictures)
    return float(1 - abs(first - second) / 255)


SAME = Question("same", "predicate", "The same?", reference="each")


@pytest.mark.parametrize(("pairing", "value"), [("nearest", (1 + 0.8 + 0.8) / 3), ("mean", 1.9 / 3)])
def test_each_reference_is_shown_beside_each_image(
    table: type[Table], store: Store, images: ImageSet, draw: Draw, pairing: Any, value: float
) -> None:
    table.answer = staticmethod(alike)
    references = a_set("references", [draw(51), draw(204)])
    found = measured(store, images, SAME, other=references, pairing=pairing)
    assert found.value == pytest.approx(value)
    assert len(table.asked) == 6
    assert all(len(request.images) == 2 for request in table.asked)


def test_at_most_so_many_references_are_shown(
    table: type[Table], store: Store, images: ImageSet, draw: Draw
) -> None:
    table.answer = staticmethod(alike)
    references = a_set("references", [draw(0), draw(100), draw(200), draw(250)])
    found = measured(store, images, replace(SAME, most=2), other=references)
    assert len(table.asked) == 6
    assert dict(found.matches)["a/1"] == "references/0.png"
    assert dict(found.matches)["c/1"] == "references/250.png"


def test_the_nearest_reference_is_found_by_another_network(
    table: type[Table], store: Store, images: ImageSet, draw: Draw
) -> None:
    from measure_world import Table as Features

    table.answer = staticmethod(alike)

    class ByRed(Features):
        def images(self, pixels: Any) -> Any:
            angles = [float(image[0, 0, 0]) / 255 for image in pixels]
            return np.array([[np.cos(a), np.sin(a)] for a in angles], np.float32)

    references = a_set("references", [draw(0), draw(140), draw(250)])
    question = replace(SAME, reference="nearest", by="table")
    found = measured(store, images, question, other=references, finder=ByRed({}))
    assert dict(found.matches) == {
        "a/1": "references/0.png",
        "b/1": "references/140.png",
        "c/1": "references/250.png",
    }
    assert len(table.asked) == 3


def test_a_gain_is_over_the_bases_answer(
    table: type[Table], store: Store, images: ImageSet, draw: Draw
) -> None:
    del table
    base = a_set("baseline", [draw(0, "a"), draw(0, "b"), draw(102, "c", "sks person in space")])
    assert measured(store, images, RED, baseline=base).value == pytest.approx((0.2 + 0.6 + 0.6) / 3)


def test_refused_images_are_missing_and_a_row_of_them_has_no_value(
    table: type[Table], store: Store, images: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(self: Table, request: Request, chance: float) -> Reply:
        return Reply(None, "refused") if chance < 0.5 else Table.reply(self, request, chance)

    monkeypatch.setattr(table, "reply", half)
    found = measured(store, images, RED)
    assert (found.value, found.n, found.missing) == (pytest.approx(0.8), 2, 1)
    assert found.note == "no answer: refused (1)"
    monkeypatch.setattr(table, "reply", lambda *_: Reply(None, "refused"))
    with pytest.raises(MeasureError, match=r"none of the 3 images has a value \(no answer: refused \(3\)\)"):
        measured(store, images, replace(RED, text="Is it blue?"))


def test_references_are_chosen_evenly() -> None:
    assert answers.evenly(10, 3) == [0, 4, 9]
    assert answers.evenly(3, 5) == [0, 1, 2]
    assert answers.evenly(3, None) == [0, 1, 2]
    assert answers.evenly(9, 1) == [0]


class Drifting(Table):
    """Answers by the pixels, and a little else the second time."""

    deterministic = False
    drift = 0.0

    def reply(self, request: Request, chance: float) -> Reply:
        before = sum(request == one for one in type(self).asked[:-1])
        return Table.reply(self, request, chance + type(self).drift * (-1) ** len(type(self).asked) * before)


@pytest.fixture
def drifting(monkeypatch: pytest.MonkeyPatch, table: type[Table]) -> type[Drifting]:
    class Fresh(Drifting):
        answer = staticmethod(redness)
        asked: ClassVar[list[Request]] = []

    del table
    monkeypatch.setattr(vlm_world, "CURRENT", Fresh)
    return Fresh


def of_prompts(draw: Draw) -> ImageSet:
    return a_set("candidate", [draw(100 + 10 * i, f"p{i}") for i in range(8)])


def test_a_model_that_drifts_is_asked_twice_and_its_interval_is_wider(
    drifting: type[Drifting], store: Store, draw: Draw
) -> None:
    drifting.drift = 0.05
    found = measured(store, of_prompts(draw), RED)
    assert len(drifting.asked) == 16
    assert found.noise == pytest.approx(0.05 / 2**0.5)
    drifting.asked.clear()
    drifting.deterministic = True
    quiet = measured(Store(store.root / "other"), of_prompts(draw), RED)
    assert quiet.noise is None
    error = NormalDist().inv_cdf(0.975) * found.noise / 8**0.5
    assert quiet.value - quiet.low < found.value - found.low
    assert found.value - found.low == pytest.approx(np.hypot(quiet.value - quiet.low, error))
    assert found.high - found.value == pytest.approx(np.hypot(quiet.high - quiet.value, error))


def test_a_model_that_always_answers_alike_is_asked_once(
    drifting: type[Drifting], store: Store, draw: Draw
) -> None:
    assert measured(store, of_prompts(draw), RED).noise == 0.0
    drifting.deterministic = True
    assert len(drifting.asked) == 16
    measured(Store(store.root / "other"), of_prompts(draw), RED)
    assert len(drifting.asked) == 24


def test_a_metric_of_features_cannot_be_measured_by_answers() -> None:
    with pytest.raises(ConfigError, match="similarity compares features, and 'vlm' answers questions"):
        slot_of(get("similarity"), "vlm", {"vlm": {"kind": "judge"}})


def test_the_policys_only_vision_model_need_not_be_named() -> None:
    networks: dict[str, dict[str, str]] = {"clip": {}, "vlm": {"kind": "judge"}}
    assert slot_of(get("judge"), "", networks) == "vlm"
    with pytest.raises(ConfigError, match="could be measured through vlm and other"):
        slot_of(get("judge"), "", networks | {"other": {"kind": "judge"}})
    with pytest.raises(ConfigError, match="judge needs a network of kind judge, and 'clip' is of kind clip"):
        slot_of(get("judge"), "clip", networks)


def test_another_wording_is_another_measurement_and_another_control_is_not() -> None:
    def version(**changes: Any) -> str:
        return asking(get("judge"), replace(RED, **changes)).version

    assert version() == version(name="other", controls=("bad",), tagged="a")
    others = {version(text="Is it very red?"), version(good=("no",)), version(reference="each")}
    assert len(others | {version()}) == 4
