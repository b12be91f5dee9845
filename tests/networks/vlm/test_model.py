"""A vision model's replies are kept, asked for once, and stay within the budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from vlm_world import Table

from lora_checks.core.errors import ConfigError, MeasureError
from lora_checks.core.records import ImageFile
from lora_checks.core.records.questions import Question
from lora_checks.core.store import Store, read_lines
from lora_checks.images.decoding import image_file
from lora_checks.networks import build
from lora_checks.networks.vlm.api import Reply, Request
from lora_checks.networks.vlm.budget import FILE
from lora_checks.networks.vlm.model import Asked, VisionModel

RED = Question("red", "predicate", "Is it red?")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def pictures(tmp_path: Path) -> list[ImageFile]:
    files = []
    for level in (0, 51, 102, 153, 204, 255):
        path = tmp_path / f"{level}.png"
        Image.new("RGB", (8, 8), (level, 0, 0)).save(path)
        files.append(image_file(path))
    return files


def model(**settings: Any) -> VisionModel:
    built = build("vlm", {"kind": "judge", "api": "table", **settings}, "cpu")
    assert isinstance(built, VisionModel)
    return built


def about(pictures: Sequence[ImageFile], text: str = "Is it red?") -> list[Asked]:
    return [Asked(RED, text, (picture,)) for picture in pictures]


def test_values_are_those_of_the_replies(table: type[Table], store: Store, pictures: list[ImageFile]) -> None:
    values = model().values(about(pictures), store)
    assert values == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert len(table.asked) == 6


def test_what_was_answered_is_not_asked_again(
    table: type[Table], store: Store, pictures: list[ImageFile]
) -> None:
    first = model().values(about(pictures), store)
    again = model().values(about(pictures[::-1]), store)
    assert again.tolist() == first.tolist()[::-1]
    assert len(table.asked) == 6


def test_equal_bytes_are_asked_about_once(
    table: type[Table], store: Store, pictures: list[ImageFile]
) -> None:
    copy = pictures[1].path.with_name("copy.png")
    copy.write_bytes(pictures[1].path.read_bytes())
    values = model().values(about([pictures[1], image_file(copy), pictures[2]]), store)
    assert values == pytest.approx([0.2, 0.2, 0.4])
    assert len(table.asked) == 2


@pytest.mark.parametrize("change", ["text", "model", "size", "options", "second picture"])
def test_whatever_decides_an_answer_is_asked_anew(
    table: type[Table], store: Store, pictures: list[ImageFile], change: str
) -> None:
    asked = about(pictures[:1])
    model().values(asked, store)
    if change == "text":
        asked = about(pictures[:1], "Is it blue?")
    if change == "options":
        asked = [
            Asked(Question("red", "score", "Is it red?", ("no", "yes"), ()), "Is it red?", asked[0].images)
        ]
    if change == "second picture":
        asked = [Asked(RED, "Is it red?", (pictures[0], pictures[1]))]
    other = {"model": {"model": "other"}, "size": {"size": 4}}.get(change, {})
    model(**other).values(asked, store)
    assert len(table.asked) == 2


def test_a_killed_run_asks_nothing_twice(
    table: type[Table], store: Store, pictures: list[ImageFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(self: Table, request: Request, chance: float) -> Reply:
        if chance == 0.6:
            raise KeyboardInterrupt
        return Table.reply(self, request, chance)

    with monkeypatch.context() as patch:
        patch.setattr(table, "reply", dies)
        with pytest.raises(KeyboardInterrupt):
            model().values(about(pictures), store)
    assert len(table.asked) == 4  # the last without a reply
    assert model().values(about(pictures), store) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert len(table.asked) == 7


def some(missing: str, *, again: bool) -> Callable[[Table, Request, float], Reply]:
    def reply(self: Table, request: Request, chance: float) -> Reply:
        there = Table.reply(self, request, chance)
        return there if chance > 0.5 else Reply(None, missing, tokens=10, again=again)

    return reply


def test_a_refusal_is_missing_and_final(
    table: type[Table], store: Store, pictures: list[ImageFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "reply", some("refused", again=False))
    for _ in range(2):
        values = model().values(about(pictures), store)
        assert np.isnan(values).tolist() == [True, True, True, False, False, False]
    assert len(table.asked) == 6


def test_a_fault_is_an_error_that_keeps_the_other_answers(
    table: type[Table], store: Store, pictures: list[ImageFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(table, "reply", some("the server is gone", again=True))
        with pytest.raises(MeasureError, match=r"no answer to 3 of 6 questions \(the server is gone\)"):
            model().values(about(pictures), store)
    assert model().values(about(pictures), store) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert len(table.asked) == 9


def test_a_budget_of_calls_ends_a_row_before_it_costs_anything(
    table: type[Table], store: Store, pictures: list[ImageFile]
) -> None:
    asked = model(budget={"calls": 5})
    asked.values(about(pictures[:3]), store)
    with pytest.raises(MeasureError, match="the budget of 5 calls does not cover 3 more questions: 3 calls"):
        asked.values(about(pictures), store)
    assert len(table.asked) == 3


@pytest.mark.parametrize(
    ("budget", "what"), [({"tokens": 450}, "450 tokens"), ({"money": 0.45, "price": 1000}, "0.45 money")]
)
def test_tokens_and_money_are_foreseen_from_the_replies_so_far(
    table: type[Table], store: Store, pictures: list[ImageFile], budget: dict[str, float], what: str
) -> None:
    asked = model(budget=budget)
    asked.values(about(pictures[:2]), store)  # 100 tokens each
    asked.values(about(pictures[:4]), store)
    with pytest.raises(MeasureError, match=f"the budget of {what} does not cover 1 more question"):
        asked.values(about(pictures[:5]), store)
    assert len(table.asked) == 4


def test_a_budget_is_that_of_one_run(table: type[Table], store: Store, pictures: list[ImageFile]) -> None:
    model(budget={"calls": 3}).values(about(pictures[:3]), store)
    model(budget={"calls": 3}).values(about(pictures), store)
    assert len(table.asked) == 6
    assert [(line["calls"], line["tokens"]) for line in read_lines(store.root / FILE)] == [(1, 100)] * 6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"budget": {"money": 5}}, "money needs 'price'"),
        ({"budget": {"call": 5}}, "did you mean 'calls'"),
        ({"budget": 5}, "must be a mapping"),
        ({"api": "tabel"}, "unknown api 'tabel'"),
        ({"size": "large"}, "size: must be a number"),
    ],
)
def test_wrong_settings_are_refused(table: type[Table], settings: dict[str, Any], message: str) -> None:
    del table
    with pytest.raises(ConfigError, match=message):
        model(**settings)


def test_metadata_of_a_picture_is_not_shown(table: type[Table], store: Store, tmp_path: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    about_it = PngInfo()
    about_it.add_text("parameters", "secret words")
    path = tmp_path / "told.png"
    Image.new("RGB", (8, 8)).save(path, pnginfo=about_it)
    model().values(about([image_file(path)]), store)
    assert b"secret words" in path.read_bytes()
    assert b"secret" not in table.asked[0].images[0]
