"""What is shown to people, how their answers are kept, and what follows from raters with known tastes."""

from __future__ import annotations

import json
import multiprocessing
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import votes_world
from votes_world import LORAS, STRENGTHS

from lora_checks.core.errors import ConfigError, ReportError
from lora_checks.record import document
from lora_checks.record.schema import problem
from lora_checks.record.shapes.votes import Votes
from lora_checks.record.votes import ballot, beside, book, pairs, result
from lora_checks.record.votes.answers import about_loras, answers
from lora_checks.record.votes.ballot import Ballot
from lora_checks.record.votes.pairs import Asked
from lora_checks.stats.bradley_terry import Comparison, preferences


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return votes_world.report(tmp_path_factory.mktemp("votes"))


@pytest.fixture(scope="module")
def drawn(directory: Path) -> Ballot:
    return pairs.draw([(directory, document.read(directory))], Asked(60, 18), random.Random(0))


def found(drawn: Ballot, directory: Path, votes: list[book.Vote]) -> Votes:
    return result.result(drawn, votes, {str(directory): document.read(directory)}, str(directory), "ab" * 32)


# What is shown


def test_pairs_are_of_one_prompt_and_seed_and_balanced(drawn: Ballot) -> None:
    shown = {picture.token: picture for picture in drawn.pictures}
    first = [one for one in drawn.showings if not one.again and one.kind == "better"]
    both = [tuple(shown[token] for token in one.pictures) for one in first]
    assert all(a.name == b.name and a.lora != b.lora for a, b in both)
    times = Counter(frozenset(picture.lora for picture in two) for two in both)
    assert sorted(times.values()) == [20, 20, 20]
    prompts = Counter(one.prompt for one in first)
    assert set(prompts.values()) == {6}
    assert len({frozenset(one.pictures) for one in first}) == 60


def test_a_tenth_is_shown_again_with_the_sides_exchanged(drawn: Ballot) -> None:
    by_token = {one.token: one for one in drawn.showings}
    again = [one for one in drawn.showings if one.again]
    assert len(again) == 8  # of 78
    assert all(one.pictures == by_token[one.again].pictures[::-1] for one in again)


def test_real_pictures_come_with_every_lora_equally_often(drawn: Ballot) -> None:
    shown = {picture.token: picture for picture in drawn.pictures}
    real = [one for one in drawn.showings if one.kind == "real" and not one.again]
    assert Counter(shown[t].lora for one in real for t in one.pictures) == {"": 18} | dict.fromkeys(LORAS, 6)
    assert {shown[t].name for one in real for t in one.pictures if not shown[t].lora} <= {
        f"{i:02}.png" for i in range(4)
    }


def test_which_lora_comes_first_is_chance(drawn: Ballot) -> None:
    shown = {picture.token: picture for picture in drawn.pictures}
    better = [one for one in drawn.showings if one.kind == "better"]
    firsts = Counter(shown[one.pictures[0]].lora for one in better)
    assert min(firsts[name] for name in LORAS) > 10


def test_the_prompt_does_not_name_the_lora(tmp_path: Path) -> None:
    directory = votes_world.report(tmp_path, prompts=2)
    content = document.read(directory)
    content["run"]["prompts"][0]["text"] = "a sks person <lora:anna_v3:0.8>, smiling"
    told = {one.text for one in pairs.draw([(directory, content)], Asked(12)).showings}
    assert told == {"a person , smiling", "photo of a person, scene 1"}


def test_pictures_without_seeds_are_paired_by_prompt(directory: Path) -> None:
    """As those of other programs are, whose names tell LoRA, step and prompt."""
    content: Any = document.read(directory)
    for lora in content["loras"]:
        for picture in lora["pictures"]:
            picture["seed"] = None
    drawn = pairs.draw([(directory, content)], Asked(60))
    shown = {picture.token: picture for picture in drawn.pictures}
    both = [tuple(shown[token] for token in one.pictures) for one in drawn.showings]
    assert len(both) == 66
    assert all(a.prompt == b.prompt and a.lora != b.lora for a, b in both)


def test_many_loras_are_linked_by_the_fewest_pairs(tmp_path: Path) -> None:
    names = tuple(f"step-{i}" for i in range(7))
    directory = votes_world.report(tmp_path, names, prompts=2, seeds=1, size=16, references=1)
    reports = [(directory, document.read(directory))]
    few = pairs.draw(reports, Asked(7))
    shown = {picture.token: picture.lora for picture in few.pictures}
    first = [one for one in few.showings if not one.again]
    linked = [Comparison(*(shown[t] for t in one.pictures), 1.0, "p") for one in first]
    assert len(preferences(linked)) == 7
    with pytest.raises(ConfigError, match=r"--pairs 6 cannot order 7 LoRAs; ask for 7 or more"):
        pairs.draw(reports, Asked(6))


def test_two_reports_may_have_loras_of_one_name(tmp_path: Path) -> None:
    folders = [votes_world.report(tmp_path / name, ("mine",), prompts=3) for name in ("a", "b")]
    content = [(folder, document.read(folder)) for folder in folders]
    both = pairs.contestants(content)
    assert [lora.label for lora, _ in both] == [f"mine ({folder})" for folder in folders]
    with pytest.raises(ConfigError, match="has no picture of the same prompt"):
        pairs.draw(content, Asked(5))  # they are equal pictures, byte for byte


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda run: run["loras"].pop() and run["loras"].pop(),
            "1 LoRA with pictures in .*: people compare two",
        ),
        (lambda run: run["run"]["folders"].clear(), "no report has a folder 'references'"),
        (
            lambda run: [p.update(seed=9) for p in run["loras"][0]["pictures"]],
            "good has no picture of the same",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(directory: Path, change: Any, words: str) -> None:
    content: Any = document.read(directory)
    change(content)
    with pytest.raises(ConfigError, match=words):
        pairs.draw([(directory, content)], Asked(30, 5))


# How answers are kept


def test_a_ballot_is_written_once(drawn: Ballot, directory: Path, tmp_path: Path) -> None:
    assert ballot.put(drawn, tmp_path) == drawn
    other = pairs.draw([(directory, document.read(directory))], Asked(60))
    assert ballot.put(other, tmp_path) == drawn
    path = tmp_path / ballot.NAME
    path.write_text(path.read_text().replace('"good"', '"poor"', 1))
    with pytest.raises(ReportError, match="was damaged or edited"):
        ballot.read(path)
    with pytest.raises(ReportError, match="cannot be read"):
        ballot.read(tmp_path / "none.json")


def test_the_last_answer_counts_and_a_torn_line_is_no_answer(drawn: Ballot, tmp_path: Path) -> None:
    first, second, *_ = votes_world.votes(drawn, "Ann", random.Random(0))
    for vote in (first, second):
        book.append(vote, tmp_path)
    changed = book.checked(
        {"rater": "Ann", "showing": first.showing, "choice": "skip", "left": first.left,
         "right": first.right, "seconds": 1, "at": ""}, drawn)  # fmt: skip
    book.append(changed, tmp_path)
    assert book.of_rater("Ann", tmp_path, drawn) == [second, changed]
    (path,) = tmp_path.glob("votes-*.jsonl")
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])  # killed while it wrote
    assert book.of_rater("Ann", tmp_path, drawn) == [first, second]
    book.append(changed, tmp_path)
    assert path.read_bytes() == whole
    path.write_bytes(whole.replace(b'"left"', b'"tie"', 1).replace(b'"right"', b'"tie"', 1))
    with pytest.raises(ReportError, match=r"\.jsonl:\d: is damaged"):
        book.of_rater("Ann", tmp_path, drawn)


def _write(votes: list[book.Vote], folder: Path) -> None:
    for vote in votes:
        book.append(vote, folder)


def test_several_processes_write_one_raters_file(drawn: Ballot, tmp_path: Path) -> None:
    votes = votes_world.votes(drawn, "Ann", random.Random(0))
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=_write, args=(votes[i::4], tmp_path)) for i in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert {process.exitcode for process in processes} == {0}
    kept = book.of_folder(tmp_path, drawn)
    assert sorted(kept, key=lambda vote: vote.showing) == sorted(votes, key=lambda vote: vote.showing)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"choice": "both"}, "'both' is no answer; answers are left, right, tie, skip"),
        ({"showing": "0"}, "'0' is no question of this ballot"),
        ({"left": "0"}, "left and right must be the two pictures"),
        ({"seconds": "3"}, "seconds must be a number"),
        ({"seconds": True}, "seconds must be a number"),
        ({"rater": "  \n "}, "a rater's name has 1 to 60 characters"),
        ({"rater": "a" * 61}, "a rater's name has 1 to 60 characters"),
    ],
)
def test_what_is_no_vote_is_refused(drawn: Ballot, wrong: dict[str, Any], words: str) -> None:
    one = drawn.showings[0]
    entry = {"rater": "Ann", "showing": one.token, "choice": "left", "left": one.pictures[0],
             "right": one.pictures[1], "seconds": 2, "at": ""}  # fmt: skip
    assert book.checked(entry, drawn).preferred == one.pictures[0]
    with pytest.raises(ConfigError, match=words):
        book.checked(entry | wrong, drawn)
    for nothing in (None, [], "left"):
        with pytest.raises(ConfigError):
            book.checked(nothing, drawn)


def test_raters_with_alike_names_have_files_of_their_own(drawn: Ballot, tmp_path: Path) -> None:
    for name in ("Ann", "ann", "Ann ", "../Ann", "Анна", "安"):
        book.append(votes_world.votes(drawn, name, random.Random(0))[0], tmp_path)
    assert len(list(tmp_path.glob("votes-*.jsonl"))) == 5  # spaces at the ends do not count
    assert {vote.rater for vote in book.of_folder(tmp_path, drawn)} == {"Ann", "ann", "../Ann", "Анна", "安"}


# What follows


def test_the_order_comes_back_with_what_agrees(drawn: Ballot, directory: Path) -> None:
    rng = random.Random(2)
    votes = [vote for name in ("Ann", "Bo") for vote in votes_world.votes(drawn, name, rng)]
    told = found(drawn, directory, votes)
    assert problem(told, "votes") == ""
    assert [lora["lora"] for lora in told["loras"]] == list(LORAS)
    assert (told["good"][0], told["bad"][-1]) == ("good", "poor")
    assert told["agreement"] is not None
    assert told["agreement"]["alpha"]["low"] > 0.1
    assert (told["pairs"], told["prompts"], told["answers"]) == (60, 10, 172)
    for rater in told["raters"]:
        assert rater["same_again"] is not None
        assert (rater["same_again"]["hits"], rater["same_again"]["of"]) == (8, 8)
    rows = {row["check"]: row for row in told["rows"]}
    assert set(rows) == {"likeness", "adherence", "drift"}
    for row in rows.values():  # each falls from LoRA to LoRA, as the raters' liking does
        assert row["auc"] is not None
        assert row["spearman"] is not None
        assert row["auc"]["low"] > 0.6
        assert row["spearman"]["low"] > 0.3
    assert told["weighting"] is not None
    assert told["weighting"]["right"]["value"] > 0.7
    assert {one["check"] for one in told["weighting"]["weights"]} <= set(rows)
    assert max(one["weight"] for one in told["weighting"]["weights"]) == 1
    real = {one["lora"]: one["share"]["value"] for one in told["real"]}
    assert real["good"] > real["poor"]


def test_raters_without_an_opinion_give_no_labels_and_no_weights(drawn: Ballot, directory: Path) -> None:
    rng = random.Random(5)
    same = dict.fromkeys(STRENGTHS, 0.0)
    votes = [vote for name in ("Ann", "Bo") for vote in votes_world.votes(drawn, name, rng, same)]
    told = found(drawn, directory, votes)
    assert (told["good"], told["bad"]) == ([], [])
    assert {name for lora in told["loras"] for name in lora["surely_above"]} == set()
    assert told["weighting"] is not None
    assert told["weighting"]["weights"] == []
    assert any("do not surely agree" in note for note in told["notes"])


def test_a_rater_who_always_says_left_is_noticed(drawn: Ballot, directory: Path) -> None:
    votes = [
        book.checked({"rater": "Cy", "showing": one.token, "choice": "left", "left": one.pictures[0],
                      "right": one.pictures[1], "seconds": 0.3, "at": ""}, drawn)
        for one in drawn.showings
    ]  # fmt: skip
    told = found(drawn, directory, votes)
    assert told["agreement"] is None
    (rater,) = told["raters"]
    assert rater["same_again"] is not None
    assert rater["same_again"]["hits"] == 0  # repeats come with the sides exchanged
    assert len([note for note in told["notes"] if note.startswith("rater Cy ")]) == 2


def test_skips_are_no_answers(drawn: Ballot, directory: Path) -> None:
    votes = [
        book.checked({"rater": "Dee", "showing": one.token, "choice": "skip", "left": one.pictures[0],
                      "right": one.pictures[1], "seconds": 1, "at": ""}, drawn)
        for one in drawn.showings
    ]  # fmt: skip
    told = found(drawn, directory, votes)
    assert (told["answers"], told["loras"], told["no_order"]) == (0, [], "nothing was compared")
    assert {row["why"] for row in told["rows"]} == {"0 of 0 pairs have a value on both sides"}
    assert (told["raters"][0]["skipped"], told["weighting"], told["real"]) == (86, None, [])
    assert problem(told, "votes") == ""


def test_votes_are_about_one_report(drawn: Ballot, directory: Path, tmp_path: Path) -> None:
    told = found(drawn, directory, votes_world.votes(drawn, "Ann", random.Random(1)))
    path = beside.write(told, tmp_path)
    assert beside.read(path) == told
    assert "is about another report than this" in beside.beside(tmp_path).ignored
    path.write_text(json.dumps(json.loads(path.read_text()) | {"answers": 5}))
    assert "its digest does not match" in beside.beside(tmp_path).ignored
    assert beside.beside(tmp_path / "none") == beside.Beside()


@pytest.mark.simulation
def test_two_raters_give_their_order_back(drawn: Ballot) -> None:
    """200 simulations of two raters; the intervals of the strengths hold the truth in 95 %, nominally."""
    truth = {name: STRENGTHS[name] - np.mean([STRENGTHS[one] for one in LORAS]) for name in LORAS}
    inside, ordered = [], 0
    for seed in range(200):
        rng = random.Random(seed)
        votes = [v for name in ("Ann", "Bo") for v in votes_world.votes(drawn, name, rng, ties=0.0)]
        own = about_loras(answers(drawn, votes))
        compared = [Comparison(one.first.lora, one.second.lora, one.score, one.prompt) for one in own]
        places = preferences(compared, draws=400)
        ordered += [one.item for one in places] == list(LORAS)
        inside += [one.low <= truth[one.item] <= one.high for one in places if one.low and one.high]
    assert len(inside) == 600
    assert 0.93 <= np.mean(inside) <= 0.99
    assert ordered >= 198
