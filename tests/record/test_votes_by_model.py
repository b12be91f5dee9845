"""A vision model answers a ballot as one more rater, each pair in both orders."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import votes_world
from small_policy import small_policy
from vlm_world import Table

from lora_checks.__main__ import main
from lora_checks.core.store import Store
from lora_checks.networks import build
from lora_checks.networks.vlm.api import Reply, Request
from lora_checks.networks.vlm.model import VisionModel
from lora_checks.record import document
from lora_checks.record.votes import ballot, by_model, pairs
from lora_checks.record.votes.ballot import Ballot
from lora_checks.record.votes.by_model import choice
from lora_checks.record.votes.pairs import Asked
from lora_checks.report.html import voting


def reply(first: float) -> Reply:
    return Reply((first, 1 - first))


@pytest.mark.parametrize(
    ("straight", "turned", "expected"),
    [
        (reply(0.9), reply(0.2), "left"),
        (reply(0.1), reply(0.7), "right"),
        (reply(0.9), reply(0.8), "tie"),  # always the first
        (reply(0.3), reply(0.2), "tie"),  # always the second
        (reply(0.5), reply(0.1), "tie"),
        (Reply(None, "refused"), reply(0.1), "skip"),
        (reply(0.9), Reply(None, "refused"), "skip"),
    ],
)
def test_a_vote_is_what_both_orders_say(straight: Reply, turned: Reply, expected: str) -> None:
    assert choice(straight, turned) == expected


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return votes_world.report(tmp_path_factory.mktemp("votes"))


@pytest.fixture(scope="module")
def drawn(directory: Path) -> Ballot:
    return pairs.draw([(directory, document.read(directory))], Asked(40), random.Random(0))


def known(drawn: Ballot, files: dict[str, Path]) -> dict[bytes, str]:
    """Return the LoRA of each picture, by what the model gets to see of it."""
    from lora_checks.core.records import ImageFile
    from lora_checks.networks.vlm.picture import encoded

    return {encoded(ImageFile(files[one.token], one.sha256, one.name)): one.lora for one in drawn.pictures}


@pytest.fixture
def model(table: type[Table], drawn: Ballot, directory: Path) -> VisionModel:
    """A model that likes `good` best, then `middling`, and tells nothing else apart."""
    loras = known(drawn, voting.sources(drawn, [directory]))
    order = {"good": 0.9, "middling": 0.5, "poor": 0.1}

    def prefers(request: Request, _: list[Any]) -> float:
        first, second = (order[loras[image]] for image in request.images)
        return 0.5 + 0.4 * (first - second)

    table.answer = staticmethod(prefers)
    built = build("vlm", {"kind": "judge", "api": "table"}, "cpu")
    assert isinstance(built, VisionModel)
    return built


def test_its_preferences_come_back_and_nothing_is_asked_twice(
    table: type[Table], model: VisionModel, drawn: Ballot, directory: Path, tmp_path: Path
) -> None:
    files = voting.sources(drawn, [directory])
    given = by_model.votes(drawn, files, model, Store(tmp_path))
    assert {vote.rater for vote in given} == {"model a table"}
    lora = {picture.token: picture.lora for picture in drawn.pictures}
    wins = Counter((lora[vote.preferred], len({lora[vote.left], lora[vote.right]})) for vote in given)
    assert ("poor", 2) not in wins
    assert by_model.decided_by_place(given) == 0
    pairs_asked = {frozenset(one.pictures) for one in drawn.showings}
    assert len(table.asked) == 2 * len(pairs_asked)
    again = by_model.votes(drawn, files, model, Store(tmp_path))
    assert [vote.choice for vote in again] == [vote.choice for vote in given]
    assert len(table.asked) == 2 * len(pairs_asked)
    assert table.asked[0].kind == "choice"
    assert table.asked[0].text.startswith('Which picture is better? Both were made from the text: "')


def test_a_model_that_likes_one_place_only_says_tie(
    table: type[Table], model: VisionModel, drawn: Ballot, directory: Path, tmp_path: Path
) -> None:
    table.answer = staticmethod(lambda *_: 0.9)
    given = by_model.votes(drawn, voting.sources(drawn, [directory]), model, Store(tmp_path))
    assert {vote.choice for vote in given} == {"tie"}
    assert by_model.decided_by_place(given) == 1


def test_the_command_orders_the_loras(
    table: type[Table], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = votes_world.report(tmp_path)
    rows = "checks: {limbs: {metric: judge, network: vlm, question: limbs, min: 0.5, why: w}}\n"
    (tmp_path / "policy").mkdir()
    small_policy(tmp_path / "policy", f"networks: {{vlm: {{kind: judge, api: table}}}}\n{rows}")
    main(["vote", str(directory), "--pairs", "40", "--offline", str(tmp_path / "a.html")])  # draws the ballot
    drawn = ballot.read(directory / "votes" / ballot.NAME)
    loras = known(drawn, voting.sources(drawn, [directory]))
    order = {"good": 0.9, "middling": 0.5, "poor": 0.1}

    def prefers(request: Request, pictures: list[Any]) -> float:
        if request.text == "Is the picture red?":
            return float(pictures[0][0, 0, 0] > 100)
        first, second = (order[loras[image]] for image in request.images)
        return 0.5 + 0.4 * (first - second)

    table.answer = staticmethod(prefers)
    judged = ["vote", str(directory), "--judge", "vlm", "--policy", str(tmp_path / "policy")]
    assert main(judged) == 0
    assert "model a table: 44 votes, 0% of them ties" in capsys.readouterr().out
    assert main(["votes", str(directory)]) == 0
    found = json.loads((directory / "votes.json").read_text())
    assert [lora["lora"] for lora in found["loras"]] == ["good", "middling", "poor"]
    assert found["loras"][0]["surely_above"] == ["middling", "poor"]
    assert main([*judged[:3], "eyes", *judged[4:]]) == 2
    assert "--judge: the policy has no network 'eyes' (it has vlm)" in capsys.readouterr().err
