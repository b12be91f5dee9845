"""Judges behind real HTTP servers, good and bad: what becomes of the row that asks them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from judge_world import HTML, QUICK, Answer, Asked, Dead, Server, chat_answer, said, serving
from vlm_world import BASE, SUBJECT, drawn, person, sees

from lora_checks.core.errors import MeasureError, PrerequisiteError, SelfTestError
from lora_checks.core.filling import silent
from lora_checks.core.records import ImageSet, Measurement, Outcome, Prompt
from lora_checks.core.records.questions import Question
from lora_checks.core.store import Store
from lora_checks.images.decoding import image_file
from lora_checks.judge.measurer import Measurer
from lora_checks.judge.verdict import judge
from lora_checks.networks import build
from lora_checks.networks.vlm.endpoints import client
from lora_checks.networks.vlm.model import Asked as Question_
from lora_checks.networks.vlm.model import VisionModel
from lora_checks.policy.reading import load_policy

APIS = ("systemone", "decisions", "chat")
WHAT = "Is there a person in the picture?"
PROMPTS = """\
base: {{model: pipeline}}
sampler: {{steps: 4, guidance: 2.0, width: 16, height: 16}}
trigger: sks person
class_words: person
seeds: [1]
prompts:
{prompts}
"""
Opened = Callable[..., Measurer]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PATIENCE", QUICK)


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    """Open a policy whose row asks a judge at this address whether there is a person."""
    (tmp_path / "pipeline").mkdir()
    for number in range(3):
        drawn(tmp_path / "references", f"red{number}", (0, 200 - number, 0))

    def measurer(server: Server, api: str = "systemone", images: int = 8, more: str = "") -> Measurer:
        prompts = "\n".join(f"- {{id: red{i}, text: a sks person in red number {i}}}" for i in range(images))
        (tmp_path / "prompts.yaml").write_text(PROMPTS.format(prompts=prompts))
        vlm = f"{{kind: judge, api: {api}, model: eyes, endpoint: '{server.address}', repeat: 0{more}}}"
        row = "{metric: judge, network: vlm, question: person, min: 0.8, why: people are asked for}"
        (tmp_path / "thresholds.yaml").write_text(
            f"folders: {{references: references}}\nnetworks:\n  vlm: {vlm}\nchecks:\n  people: {row}\n"
        )
        return Measurer(
            load_policy(tmp_path), Store(tmp_path / "store"), "cpu", lambda _: silent, counterparts
        )

    def counterparts(images: ImageSet) -> ImageSet:
        return made(tmp_path, "base", BASE, [image.prompt for image in images.images if image.prompt])

    return measurer


def made(folder: Path, name: str, colour: tuple[int, int, int], prompts: list[Prompt]) -> ImageSet:
    """Draw an image of each prompt; no two of them have the same bytes."""
    files = []
    for i, prompt in enumerate(prompts):
        path = drawn(folder / name, prompt.id, (colour[0], colour[1] - i % 8, 1 + i // 8))
        files.append(image_file(path, f"{prompt.id}/1", prompt))
    return ImageSet("candidate" if name == "lora" else "baseline", tuple(files))


def measured(measurer: Measurer, folder: Path) -> Measurement:
    measurer.preflight()
    measurer.test_networks()
    (row,) = measurer.policy.thresholds
    return measurer.measure_row(row, made(folder, "lora", SUBJECT, list(measurer.policy.prompts.prompts)))


def eyes(asked: Asked) -> Answer:
    """Answer as a judge that sees."""
    return said(asked, sees(SimpleNamespace(text=asked.text), asked.pixels))  # type: ignore[arg-type]


def refusal(asked: Asked) -> Answer:
    if asked.path.endswith("decisions"):
        return 200, {"answers": [{"type": "refusal", "name": "answer"}]}
    return 200, chat_answer({"I": 1.0}, finish_reason="content_filter", logprobs=None)


@pytest.mark.parametrize("api", APIS)
def test_a_judge_that_sees_gives_its_values_and_is_asked_once(opened: Opened, tmp_path: Path, api: str):
    with serving(eyes) as server:
        first = measured(opened(server, api), tmp_path)
        asked = len(server.asked)
        again = measured(opened(server, api), tmp_path)
    assert first.value == pytest.approx(0.95)
    assert (first.n, first.missing, first.note) == (8, 0, "")
    assert first.label == f"eyes at {server.address.removeprefix('http://')}"
    assert again == first
    assert len(server.asked) == asked


@pytest.mark.parametrize("api", APIS)
def test_a_judge_that_says_yes_to_everything_is_an_error(opened: Opened, tmp_path: Path, api: str):
    def yes(asked: Asked) -> Answer:
        return said(asked, 0.97) if "person" in asked.text else eyes(asked)

    with serving(yes) as server, pytest.raises(SelfTestError) as raised:
        measured(opened(server, api), tmp_path)
    assert "question 'person': eyes at 127.0.0.1" in str(raised.value)
    assert "fails the control 'blank': it gives 0.970 for the references and 0.970" in str(raised.value)


@pytest.mark.parametrize("api", APIS)
def test_a_judge_that_ignores_the_image_is_an_error(opened: Opened, tmp_path: Path, api: str):
    with (
        serving(lambda asked: said(asked, 0.9)) as server,
        pytest.raises(SelfTestError, match=r"does not look at pictures: a red and a blue one"),
    ):
        measured(opened(server, api), tmp_path)
    assert len(server.asked) == 2


def test_a_server_that_passes_over_the_pictures_is_the_same(opened: Opened, tmp_path: Path):
    """As SGLang and vLLM do with the assets of System One."""

    def text_alone(asked: Asked) -> Answer:
        return said(asked, 0.9 if "person" in asked.text else 0.6)

    with serving(text_alone) as server, pytest.raises(SelfTestError, match="does not look at pictures"):
        measured(opened(server, "systemone", more=", images: list"), tmp_path)


@pytest.mark.parametrize("api", ["decisions", "chat"])
def test_a_judge_that_refuses_half_has_half_missing(opened: Opened, tmp_path: Path, api: str):
    def half(asked: Asked) -> Answer:
        refused = asked.text == WHAT and of_lora(asked) and asked.pixels[0][8, 8, 1] < 197  # 4 of the 8
        return refusal(asked) if refused else eyes(asked)

    with serving(half) as server:
        measurer = opened(server, api)
        found = measured(measurer, tmp_path)
        asked = len(server.asked)
        measured(opened(server, api), tmp_path)
    assert (found.n, found.missing) == (4, 4)
    assert found.value == pytest.approx(0.95)  # of those that have one: no refusal is a 0 or a 1
    assert [value for _, value in found.per_image].count(None) == 4
    (row,) = measurer.policy.thresholds
    lora = SimpleNamespace(name="lora", sha256="0" * 64)
    assert judge(found, row, lora).outcome is Outcome.FAIL  # type: ignore[arg-type]
    assert len(server.asked) == asked  # a refusal is an answer; it is not asked for again


def of_lora(asked: Asked) -> bool:
    """Tell images of the LoRA from the references, which have no blue in their green."""
    return bool(person(asked.pixels[0]) and asked.pixels[0][8, 8, 2] > 0)


def test_a_judge_that_refuses_everything_is_not_believed(opened: Opened, tmp_path: Path):
    with (
        serving(refusal) as server,
        pytest.raises(SelfTestError, match="control 'blank': it gives no answer to any picture"),
    ):
        measured(opened(server, "decisions"), tmp_path)


@pytest.mark.parametrize("api", APIS)
def test_a_server_that_dies_midway_is_an_error_and_the_next_run_goes_on(
    opened: Opened, tmp_path: Path, api: str
):
    def until(stop: int) -> Callable[[Asked], Answer]:
        count = itertools.count()

        def answer(asked: Asked) -> Answer:
            if next(count) >= stop:
                raise Dead
            return eyes(asked)

        return answer

    with serving(eyes) as server:
        measurer = opened(server, api, 40)
        measurer.test_networks()
        controls = len(server.asked)
    with serving(until(17)) as server:
        measurer = opened(server, api, 40)
        with pytest.raises(MeasureError, match=r"stopped answering after 1[4-7] questions"):
            measured(measurer, tmp_path)
    with serving(eyes) as server:
        found = measured(opened(server, api, 40), tmp_path)
    assert (found.n, found.missing) == (40, 0)
    assert found.value == pytest.approx(0.95)
    assert 40 - 17 <= len(server.asked) <= 40 - 14  # what was under way at the end may be lost
    assert controls == 2 + 3 + 5  # two colours, the references, blank pictures


@pytest.mark.parametrize("api", APIS)
def test_a_server_that_returns_html_is_an_error(opened: Opened, tmp_path: Path, api: str):
    with (
        serving(lambda _: (200, HTML)) as server,
        pytest.raises(PrerequisiteError, match=r"answers with an HTML page"),
    ):
        measured(opened(server, api), tmp_path)


def test_a_chat_without_logprobs_is_an_error_that_says_what_to_use(opened: Opened, tmp_path: Path):
    with (
        serving(lambda _: (200, chat_answer({"Yes": 1.0}, logprobs=None))) as server,
        pytest.raises(PrerequisiteError, match=r"no logprobs; use a server .* api: systemone"),
    ):
        measured(opened(server, "chat"), tmp_path)


def test_a_judge_over_its_budget_is_an_error_and_no_call_is_beyond_it(opened: Opened, tmp_path: Path):
    with serving(eyes) as server:
        with pytest.raises(MeasureError, match="the budget of 20 calls does not cover"):
            measured(opened(server, images=40, more=", budget: {calls: 20}"), tmp_path)
        assert 0 < len(server.asked) <= 20
        found = measured(opened(server, images=40, more=", budget: {calls: 100}"), tmp_path)
    assert (found.n, found.missing) == (40, 0)


def test_a_fault_about_one_image_is_an_error_and_the_others_are_kept(opened: Opened, tmp_path: Path):
    def broken(asked: Asked) -> Answer:
        one = of_lora(asked) and asked.pixels[0][8, 8, 1] == 195
        return (500, {"detail": "cannot decode"}) if one else eyes(asked)

    with (
        serving(broken) as server,
        pytest.raises(MeasureError, match=r"no answer to 1 of 8 questions \(.*500"),
    ):
        measured(opened(server), tmp_path)
    with serving(eyes) as server:
        assert measured(opened(server), tmp_path).n == 8
    assert len(server.asked) == 1


@pytest.fixture
def model_at() -> Callable[[Server], VisionModel]:
    def opened(server: Server) -> VisionModel:
        settings = {"kind": "judge", "api": "chat", "model": "eyes", "endpoint": server.address}
        built = build("vlm", settings | {"concurrency": 1}, "cpu")
        assert isinstance(built, VisionModel)
        return built

    return opened


def test_of_200_pictures_judged_again_nothing_is_asked(tmp_path: Path, model_at):
    question, store = Question("person", "predicate", WHAT), Store(tmp_path / "store")
    prompts = [Prompt(f"red{i}", "a person") for i in range(200)]
    asked = [Question_(question, WHAT, (image,)) for image in made(tmp_path, "lora", SUBJECT, prompts).images]
    with serving(eyes) as server:
        first = model_at(server).values(asked, store)
        assert len(server.asked) == 200
        again = model_at(server).values(asked, store)
        assert len(server.asked) == 200
    assert first.tolist() == again.tolist()


def test_a_run_that_is_stopped_asks_nothing_twice(tmp_path: Path, model_at, monkeypatch):
    question, store = Question("person", "predicate", WHAT), Store(tmp_path / "store")
    prompts = [Prompt(f"red{i}", "a person") for i in range(30)]
    asked = [Question_(question, WHAT, (image,)) for image in made(tmp_path, "lora", SUBJECT, prompts).images]
    stored, put = itertools.count(1), Store.put

    def stops(self: Store, *args: object) -> object:
        found = put(self, *args)  # type: ignore[arg-type]
        if next(stored) == 10:
            raise KeyboardInterrupt
        return found

    with serving(eyes) as server:
        with monkeypatch.context() as patch:
            patch.setattr(Store, "put", stops)
            with pytest.raises(KeyboardInterrupt):
                model_at(server).values(asked, store)
        model_at(server).values(asked, store)
    pictures = [asked.images[0] for asked in server.asked]
    assert len(set(pictures)) == 30
    assert len(pictures) <= 31  # the one that was under way may be lost
