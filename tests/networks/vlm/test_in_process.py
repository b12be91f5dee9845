"""A vision model of transformers in this process: by its decision pipeline, and by its first token."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from PIL import Image
from vlm_world import tiny_llava

from lora_checks.core.errors import ConfigError, MeasureError, PrerequisiteError
from lora_checks.networks.vlm import first_token
from lora_checks.networks.vlm.api import Reply, Request
from lora_checks.networks.vlm.in_process import InProcess

NEEDS = pytest.importorskip("transformers.pipelines.decision", reason="transformers has no decision pipeline")


def png(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (24, 24), colour).save(buffer, "PNG")
    return buffer.getvalue()


def asked(*colours: str, kind: str = "predicate", options: tuple[str, ...] = ("yes", "no")) -> Request:
    return Request(kind, "Is the picture red?", options, tuple(map(png, colours)))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llava(tmp_path_factory.mktemp("vlm") / "tiny")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llava(tmp_path_factory.mktemp("vlm") / "plain", chat=False)


def replies(folder: Path, *requests: Request) -> list[Reply]:
    seen: list[int] = []
    found = InProcess({"path": str(folder)}, "cpu").ask(requests, lambda index, _: seen.append(index))
    assert seen == list(range(len(requests)))
    return found


def test_the_pipeline_answers_each_kind_with_probabilities_of_its_options(chat: Path) -> None:
    three = {"options": ("red", "blue", "no")}
    found = replies(
        chat, asked("red"), asked("red", kind="choice", **three), asked("red", kind="score", **three)
    )
    for reply, count in zip(found, (2, 3, 3), strict=True):
        assert reply.probabilities is not None
        assert len(reply.probabilities) == count
        assert sum(reply.probabilities) == pytest.approx(1, abs=1e-6)
        assert reply.tokens > 10


def test_another_picture_has_another_answer_and_the_order_of_two_counts(chat: Path) -> None:
    red, blue, both, turned = replies(
        chat, asked("red"), asked("blue"), asked("red", "blue"), asked("blue", "red")
    )
    assert red.probabilities != blue.probabilities
    assert both.probabilities != turned.probabilities


def test_it_is_the_pipeline_of_transformers(chat: Path) -> None:
    from transformers import pipeline

    decide = pipeline("decision", model=str(chat))
    state = {"question": {"type": "noul", "instructions": "Is the picture red?"}}
    answers = decide(
        {"state": "here", "questions": state, "assets": {"here": Image.new("RGB", (24, 24), "red")}}
    )
    (reply,) = replies(chat, asked("red"))
    assert reply.probabilities is not None
    assert reply.probabilities[0] == pytest.approx(answers["question"]["noul"], abs=1e-6)


def test_a_model_without_a_chat_template_answers_by_its_first_token(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert replies(plain, asked("red"))[0].missing.startswith("the model begins with another word: ")
    monkeypatch.setattr(first_token, "LEAST_MASS", 0.0)
    red, blue = replies(plain, asked("red"), asked("blue"))
    assert red.probabilities is not None
    assert sum(red.probabilities) == pytest.approx(1)
    assert red.probabilities != blue.probabilities


def test_mass_on_other_words_is_no_answer() -> None:
    assert first_token.shared([0.03, 0.01], 7) == Reply(
        None, "the model begins with another word: 4.0% of its first token is on the options", tokens=7
    )
    assert first_token.shared([0.3, 0.1], 7).probabilities == pytest.approx((0.75, 0.25))


def test_the_identity_is_that_of_the_weights_and_not_of_the_place(chat: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(chat, copy)
    before = InProcess({"path": str(chat)}, "cpu")
    assert InProcess({"path": str(copy)}, "cpu").id == before.id
    assert InProcess({"path": str(copy), "dtype": "bfloat16"}, "cpu").id != before.id
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    assert InProcess({"path": str(copy)}, "cpu").id != before.id


def test_a_processor_that_takes_no_picture_is_refused(tmp_path: Path) -> None:
    folder = tiny_llava(tmp_path / "blind")
    template = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").write_text(template.replace("'<image>'", "''"))
    with pytest.raises(MeasureError, match=r"picture|image"):
        replies(folder, asked("red"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "name the model with 'model' or with 'path'"),
        ({"path": "x", "model": "y"}, "name the model with 'model' or with 'path'"),
        ({"path": "x", "dtyp": "auto"}, "did you mean 'dtype'"),
        ({"path": "x", "dtype": "int4"}, "dtype must be one of"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        InProcess(settings, "cpu")


def test_a_model_that_is_not_here_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match="hf download acme/eyes --revision v2"):
        InProcess({"model": "acme/eyes", "revision": "v2"}, "cpu")
    with pytest.raises(PrerequisiteError, match=r"holds no config\.json with weights in safetensors"):
        InProcess({"path": str(tmp_path)}, "cpu")
