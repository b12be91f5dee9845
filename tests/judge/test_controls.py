"""A vision model is tried on pictures whose answers are known, before what it says is believed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vlm_world import BASE, MELTED, SUBJECT, Table, drawn, person, sees

from lora_checks.core.errors import ConfigError, SelfTestError
from lora_checks.core.filling import silent
from lora_checks.core.records import ImageSet, Measurement
from lora_checks.core.store import Store
from lora_checks.images.decoding import image_file
from lora_checks.judge.controls import auc
from lora_checks.judge.measurer import Measurer
from lora_checks.networks.vlm.api import Reply, Request
from lora_checks.policy.reading import load_policy

PROMPTS = """\
base: {model: pipeline}
sampler: {steps: 4, guidance: 2.0, width: 16, height: 16}
trigger: sks person
class_words: person
seeds: [1]
prompts: [{id: red, text: a sks person in red}, {id: blue, text: a sks person in blue}]
"""


@pytest.fixture
def world(tmp_path: Path, table: type[Table]) -> Callable[..., Measurer]:
    table.answer = staticmethod(sees)
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "prompts.yaml").write_text(PROMPTS)
    for number in range(3):
        drawn(tmp_path / "references", f"red{number}", (0, 200 - number, 0))
        drawn(tmp_path / "bad", f"red{number}", MELTED)

    def opened(question: str, *, folders: str = "references: references", base: bool = True) -> Measurer:
        row = f"metric: judge, network: vlm, question: {question}, min: 0.5, why: w"
        (tmp_path / "thresholds.yaml").write_text(
            f"folders: {{{folders}}}\nnetworks:\n  vlm: {{kind: judge, api: table}}\n"
            f"checks:\n  row: {{{row}}}\n"
        )
        policy = load_policy(tmp_path)

        def counterparts(images: ImageSet) -> ImageSet:
            if not base:
                raise ConfigError("pass --lora-baseline-images DIR")
            return pictures(tmp_path, "base", BASE, [image.prompt for image in images.images])

        return Measurer(policy, Store(tmp_path / "store"), "cpu", lambda _: silent, counterparts)

    return opened


def pictures(folder: Path, name: str, colour: tuple[int, int, int], prompts: Any) -> ImageSet:
    found = []
    for prompt in prompts:
        path = drawn(folder / name, prompt.id, colour)
        found.append(image_file(path, f"{prompt.id}/1", prompt))
    return ImageSet("candidate" if name == "lora" else "baseline", tuple(found))


def measured(opened: Measurer, folder: Path, colour: tuple[int, int, int] = SUBJECT) -> Measurement:
    opened.preflight()
    opened.test_networks()
    (row,) = opened.policy.thresholds
    return opened.measure_row(row, pictures(folder, "lora", colour, opened.policy.prompts.prompts))


World = Callable[..., Measurer]
WITH_BAD = "references: references, bad: bad"


@pytest.mark.parametrize(
    ("question", "value", "note"),
    [
        ("person", 0.95, ""),
        ("quality", 0.95, ""),
        ("same-person", 0.9, ""),
        ("adherence", 0.8, ""),
        ("limbs", 0.95, "never seen to say no: the policy has no folder 'bad'"),
    ],
)
def test_a_judge_that_sees_passes_its_controls(
    world: World, tmp_path: Path, question: str, value: float, note: str
) -> None:
    found = measured(world(question), tmp_path)
    assert found.value == pytest.approx(value)
    assert found.note == note


def test_with_bad_pictures_it_was_seen_to_say_no(world: World, tmp_path: Path) -> None:
    assert measured(world("limbs", folders=WITH_BAD), tmp_path).note == ""


def test_a_named_folder_of_bad_pictures_must_be_there(world: World) -> None:
    with pytest.raises(ConfigError, match=r"folders\.bad: .*nowhere does not exist"):
        world("limbs", folders="references: references, bad: nowhere")


def test_a_judge_that_ignores_the_picture_is_found_out_first(
    world: World, tmp_path: Path, table: type[Table]
) -> None:
    table.answer = staticmethod(lambda *_: 0.9)
    with pytest.raises(SelfTestError, match=r"a table does not look at pictures: .* \(0\.900\)"):
        measured(world("limbs"), tmp_path)
    assert len(table.asked) == 2


def but(what: str, answer: float) -> Callable[[Request, list[Any]], float]:
    """Return a judge that sees, but answers every question with these words alike."""
    return lambda request, shown: answer if what in request.text else sees(request, shown)


@pytest.mark.parametrize(
    ("question", "words", "control", "message"),
    [
        (
            "person",
            "Is there a person",
            "blank",
            r"0\.900 for the references and 0\.900 for grey, .*AUC 0\.500",
        ),
        ("same-person", "same person", "blank", "AUC 0.500, 0.8 is needed"),
        ("limbs", "limbs", "bad", r"0\.900 for the references and 0\.900 for the folder 'bad'"),
    ],
)
def test_a_judge_that_says_yes_to_everything_fails_before_any_image_is_made(
    world: World, table: type[Table], question: str, words: str, control: str, message: str
) -> None:
    table.answer = staticmethod(but(words, 0.9))
    opened = world(question, folders=WITH_BAD)
    with pytest.raises(
        SelfTestError, match=f"question '{question}': a table fails the control '{control}': .*{message}"
    ):
        opened.test_networks()


def test_a_judge_that_takes_the_base_for_the_subject_fails_on_its_images(
    world: World, tmp_path: Path, table: type[Table]
) -> None:
    def any_person(request: Request, shown: list[Any]) -> float:
        return person(shown[0]) if "same" in request.text else sees(request, shown)

    table.answer = staticmethod(any_person)
    with pytest.raises(SelfTestError, match=r"control 'base': it gives 1\.000 for the references and 1\.000"):
        measured(world("same-person"), tmp_path)


def test_a_judge_that_reads_no_prompt_fails_with_those_of_others(
    world: World, tmp_path: Path, table: type[Table]
) -> None:
    def any_person(request: Request, shown: list[Any]) -> float:
        return person(shown[0]) if "prompt" in request.text else sees(request, shown)

    table.answer = staticmethod(any_person)
    with pytest.raises(SelfTestError, match=r"'adherence': .*control 'other_prompt': .*AUC 0\.500"):
        measured(world("adherence"), tmp_path)


def test_a_judge_that_refuses_the_controls_is_not_believed(
    world: World, table: type[Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(self: Table, request: Request, chance: float) -> Reply:
        there = "Is the picture red?" in request.text
        return Table.reply(self, request, chance) if there else Reply(None, "refused")

    monkeypatch.setattr(table, "reply", refuses)
    with pytest.raises(SelfTestError, match="control 'blank': it gives no answer to any picture"):
        world("person").test_networks()


def test_without_references_the_row_says_so(world: World, tmp_path: Path) -> None:
    assert measured(world("person", folders=""), tmp_path).note == "the controls had no references"


def test_without_references_a_blank_picture_must_be_bad(world: World, table: type[Table]) -> None:
    table.answer = staticmethod(but("Is there a person", 0.7))
    with pytest.raises(SelfTestError, match=r"control 'blank': it gives 0\.700 for grey"):
        world("person", folders="").test_networks()


def test_without_the_bases_images_the_row_says_so(world: World, tmp_path: Path) -> None:
    found = measured(world("same-person", base=False), tmp_path)
    assert found.note == "not tried on the base's images: there are none"


def test_controls_that_were_asked_are_not_asked_again(
    world: World, tmp_path: Path, table: type[Table]
) -> None:
    first = measured(world("adherence"), tmp_path)
    asked = len(table.asked)
    assert measured(world("adherence"), tmp_path) == first
    assert len(table.asked) == asked


def test_auc_is_the_chance_of_the_right_order() -> None:
    assert auc(np.array([0.9, 0.8]), np.array([0.1, 0.85])) == pytest.approx(0.75)
    assert auc(np.array([0.5]), np.array([0.5, 0.5])) == 0.5


def test_a_question_without_controls_says_so(world: World, tmp_path: Path) -> None:
    opened = world("person")
    text = (tmp_path / "thresholds.yaml").read_text()
    own = "questions: {person: {predicate: 'Is there a person in the picture?', controls: []}}\n"
    (tmp_path / "thresholds.yaml").write_text(own + text)
    opened = Measurer(load_policy(tmp_path), opened.store, "cpu", lambda _: silent, opened.counterparts)
    assert measured(opened, tmp_path).note == "tried on no picture whose answer is known"
