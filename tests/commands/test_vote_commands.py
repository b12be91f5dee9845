"""`vote` and `votes` from the shell, and where their answer is shown."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import votes_world
import yaml
from browser_world import Visit
from report_world import HOSTILE

from lora_checks.__main__ import main
from lora_checks.commands import calibrate
from lora_checks.core.errors import ConfigError
from lora_checks.core.files import file_sha256
from lora_checks.record import document
from lora_checks.record.votes import ballot, beside, book, pairs
from lora_checks.report import outputs
from lora_checks.report.html import voting


@pytest.fixture(scope="module")
def voted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report folder with a page and the votes of two people."""
    directory = votes_world.report(tmp_path_factory.mktemp("voted"))
    outputs.write(document.read(directory), directory)
    assert (
        main(["vote", str(directory), "--pairs", "60", "--real", "6", "--offline", str(directory / "a.html")])
        == 0
    )
    drawn, rng = ballot.read(directory / "votes" / ballot.NAME), random.Random(3)
    for name in ("Ann", "Bo"):
        for vote in votes_world.votes(drawn, name, rng):
            book.append(vote, directory / "votes")
    assert main(["votes", str(directory)]) == 0
    return directory


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    status = main([str(one) for one in arguments])
    told = capsys.readouterr()
    return status, told.out + told.err


def test_the_answer_is_printed(voted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, told = said(capsys, "votes", voted)
    assert status == 0
    assert "2 people answered “Which picture is better?” about 60 pairs of pictures of 10 prompts" in told
    lines = told.splitlines()
    firsts = [line.split()[0] for line in lines if line.startswith("  ")]
    assert firsts[:4] == ["LoRA", "good", "middling", "poor"]
    weights = yaml.safe_load(told[told.index("ranking:") : told.index("limits between")])["ranking"]
    assert set(weights) <= {"likeness", "adherence", "drift"}
    assert all(0 < one["weight"] <= 1 and one["from"] != one["to"] for one in weights.values())
    assert f"lora-checks calibrate --policy gate --votes {voted / 'votes.json'}" in told


def test_page_markdown_and_card_show_it(voted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, markdown = ((voted / name).read_text(encoding="utf-8") for name in ("report.html", "report.md"))
    assert "What people preferred" in page
    assert page.count('id="votes"') == 1
    assert "## What people preferred" in markdown
    assert "preferred most: good, to another LoRA in" in markdown
    card = voted / "card.md"
    assert said(capsys, "card", voted, "--lora", "poor", "--out", card)[0] == 0
    told = card.read_text(encoding="utf-8")
    assert "2 people compared its pictures with those of 2 other LoRAs" in told
    assert "which is place 3 of 3; they agree with Krippendorff's alpha" in told
    assert main(["report", str(voted)]) == 0  # made again, they are still there
    assert "What people preferred" in (voted / "report.html").read_text(encoding="utf-8")
    assert "## What people preferred" in (voted / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (400, "dark")])
def test_axe_has_nothing_serious_to_say_about_it(browser: Any, voted: Path, width: int, scheme: str) -> None:
    package = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    axe = files(package).joinpath("axe.min.js").read_text(encoding="utf-8")
    address = (voted / "report.html").as_uri()
    visit = Visit(browser, address, width, color_scheme=scheme, bypass_csp=True)
    visit.page.evaluate(axe)
    told = visit.page.evaluate("async () => (await axe.run('#votes')).violations")
    assert [one["id"] for one in told if one["impact"] in ("serious", "critical")] == []
    assert visit.page.evaluate("document.documentElement.scrollWidth") == width
    assert visit.complaints == []
    visit.context.close()


def test_names_and_questions_are_text_everywhere(browser: Any, tmp_path: Path) -> None:
    """A rater, a question and a prompt that would run or break out, were they not text."""
    directory = votes_world.report(tmp_path, prompts=8, seeds=1)
    content = document.read(directory)
    for prompt in content["run"]["prompts"]:
        prompt["text"] = HOSTILE
    asked = pairs.Asked(24, question=HOSTILE)
    drawn = ballot.put(pairs.draw([(directory, content)], asked), directory / "votes")
    page = tmp_path / "ask.html"
    page.write_text(voting.offline(drawn, voting.sources(drawn)), encoding="utf-8")
    visit = Visit(browser, page.as_uri())
    visit.page.fill("#rater", "<b>|Ann|</b>")
    visit.page.keyboard.press("Enter")
    visit.until("!document.querySelector('#ask.waiting') && !document.getElementById('ask').hidden")
    assert "<script>alert(1)</script>" in visit.texts("#question")[0]
    assert visit.texts("#where") == ["Question 1 of 26, <b>|Ann|</b>"]
    assert visit.complaints == []
    visit.context.close()
    outputs.write(document.read(directory), directory)
    for vote in votes_world.votes(drawn, "<b>|Ann|</b>", random.Random(0)):
        book.append(vote, directory / "votes")
    assert main(["votes", str(directory)]) == 0
    for name in ("report.html", "report.md"):
        told = (directory / name).read_text(encoding="utf-8")
        assert "<b>|Ann|</b>" not in told
        assert "<script>alert" not in told
    assert r"\<b\>\|Ann\|" in told or "&lt;b&gt;\\|Ann" in told


def test_votes_on_another_report_are_named_and_not_shown(voted: Path, tmp_path: Path) -> None:
    directory = tmp_path / "report"
    shutil.copytree(voted, directory)
    content = document.read(directory)
    content["run"]["seconds"] = 5.0
    outputs.write(content, directory)
    page = (directory / "report.html").read_text(encoding="utf-8")
    assert "is about another report than this; run `lora-checks votes` again" in page
    assert "preferred most" not in page
    assert "What people preferred" not in (directory / "report.md").read_text(encoding="utf-8")


def test_values_of_other_pictures_than_people_saw_do_not_count(
    voted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "report"
    shutil.copytree(voted, directory)
    content = document.read(directory)
    for lora in content["loras"]:
        for picture in lora.get("pictures") or ():
            if lora["name"] == "poor" or picture["prompt"] == "p0":
                picture["sha256"] = "ab" * 32
    document.write(content, directory)
    assert said(capsys, "votes", directory)[0] == 0
    rows = beside.read(directory / "votes.json")["rows"]
    assert {row["pairs"] for row in rows} == {18}  # of 60: good against middling, without p0
    for lora in content["loras"]:
        for picture in lora.get("pictures") or ():
            picture["sha256"] = "ab" * 32
    document.write(content, directory)
    status, told = said(capsys, "votes", directory)
    assert status == 2
    assert "has none of the pictures that people saw" in told


def test_a_saved_file_counts_once_and_only_for_its_ballot(
    voted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = ballot.read(voted / "votes" / ballot.NAME)
    votes = votes_world.votes(drawn, "Cy", random.Random(4))
    content = {book.EXPORTED: 1, "ballot": drawn.id, "rater": "Cy", "votes": [asdict(one) for one in votes]}
    saved = tmp_path / "votes-Cy.json"
    saved.write_text(json.dumps(content))
    again = tmp_path / "again.json"
    again.write_text(json.dumps(content))
    status, told = said(capsys, "votes", voted, voted / "votes", saved, again)
    assert (status, told.count("3 people")) == (0, 1)
    one = next(rater for rater in beside.read(voted / "votes.json")["raters"] if rater["name"] == "Cy")
    assert one["answers"] == len(drawn.showings)
    for wrong, words in (
        ({**content, "ballot": "0"}, "answers another ballot than"),
        ({**content, "votes": [{}]}, "None is no question of this ballot"),
        ({"votes": []}, "has no votes; name the file that the page"),
    ):
        saved.write_text(json.dumps(wrong))
        status, told = said(capsys, "votes", voted, voted / "votes", saved)
        assert status == 2
        assert words in told
    saved.write_text("<html>")
    assert "is not JSON" in said(capsys, "votes", voted, saved)[1]
    assert said(capsys, "votes", voted)[0] == 0  # as the other tests expect it


def test_the_same_command_goes_on_and_another_does_not(
    voted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "a.html"
    assert said(capsys, "vote", voted, "--offline", page)[0] == 0
    assert said(capsys, "vote", voted, "--pairs", "60", "--real", "6", "--offline", page)[0] == 0
    for more in (["--pairs", "61"], ["--real", "0"], ["--question", "Who?"]):
        status, told = said(capsys, "vote", voted, *more, "--offline", page)
        assert status == 2
        assert f"has a ballot with another {more[0]}" in told
    assert said(capsys, "vote", voted, "--pairs", "0")[0] == 2
    assert "cannot listen" in said(capsys, "vote", voted, "--port", "99999")[1]


def test_a_report_without_its_pictures_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = votes_world.report(tmp_path, prompts=2)
    shutil.rmtree(tmp_path / "poor")
    status, told = said(capsys, "vote", directory, "--offline", tmp_path / "a.html")
    assert status == 2
    assert "4 of 12 pictures are gone or have changed since they were judged; the first is poor p" in told
    assert "run the gate again" in told
    assert "has no votes yet; `lora-checks vote` asks for them" in said(capsys, "votes", directory)[1]
    assert "name the folder of `lora-checks vote`" in said(capsys, "votes", directory, tmp_path)[1]
    assert "cannot be read" in said(capsys, "votes", tmp_path / "none")[1]


def test_one_vote_of_two_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [votes_world.report(tmp_path / name, (name,), prompts=9, seeds=1) for name in ("old", "new")]
    for path in (tmp_path / "new" / "new").glob("*.png"):  # else equal to those of the other
        path.write_bytes((tmp_path / "new" / "base" / path.name).read_bytes())
    content = document.read(folders[1])
    for picture in content["loras"][0].get("pictures") or ():
        picture["sha256"] = file_sha256(Path(picture["file"]))
    document.write(content, folders[1])
    out = tmp_path / "votes"
    asked = ["vote", *folders, "--out", out, "--offline", tmp_path / "a.html"]
    assert "10 questions about 2 LoRAs" in said(capsys, *asked)[1]  # a repeat
    drawn = ballot.read(out / ballot.NAME)
    for vote in votes_world.votes(drawn, "Ann", random.Random(0), {"old": -2.0, "new": 2.0}):
        book.append(vote, out)
    assert said(capsys, "votes", folders[0], out)[0] == 0
    votes = beside.read(folders[0] / "votes.json")
    assert [(lora["lora"], lora["here"]) for lora in votes["loras"]] == [("new", False), ("old", True)]
    moved = tmp_path / "moved"
    folders[0].rename(moved)
    assert said(capsys, "votes", moved, out)[0] == 0
    again = beside.read(moved / "votes.json")
    assert [(lora["lora"], lora["here"]) for lora in again["loras"]] == [("new", False), ("old", True)]
    assert said(capsys, "vote", moved, folders[1], "--out", out, "--offline", tmp_path / "b.html")[0] == 0
    status, told = said(capsys, "vote", moved, "--out", out)
    assert status == 2
    assert "has a ballot about new, which is in no report that you name" in told
    assert "the votes are not about" in said(capsys, "votes", votes_world.report(tmp_path / "c"), out)[1]


def test_calibrate_takes_its_labels_from_votes(voted: Path, tmp_path: Path) -> None:
    votes = beside.read(voted / "votes.json")
    lora = Path(__file__).parents[2] / "examples" / "miniature" / "loras" / "good.safetensors"
    good, bad = tmp_path / "good.safetensors", tmp_path / "bad.safetensors"
    for path in (good, bad):
        shutil.copy(lora, path)
    for one, path in ((votes["loras"][0], good), (votes["loras"][2], bad)):
        one.update({"path": str(path), "sha256": file_sha256(lora)})
    votes["good"], votes["bad"] = [votes["loras"][0]["lora"]], [votes["loras"][2]["lora"]]
    path = beside.write(votes, tmp_path)
    assert calibrate.voted(path) == ([str(good)], [str(bad)])
    votes["loras"][2]["sha256"] = "ab" * 32
    with pytest.raises(ConfigError, match="is not the file of 'poor' that people saw"):
        calibrate.voted(beside.write(votes, tmp_path))
    bad.unlink()
    with pytest.raises(ConfigError, match="the file of 'poor' is not at"):
        calibrate.voted(path)
    votes["good"] = votes["bad"] = []
    with pytest.raises(ConfigError, match="no LoRA is surely worse than the first"):
        calibrate.voted(beside.write(votes, tmp_path))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name LoRAs under --good and --bad, or a votes.json under --votes"),
        (["--good", "a"], "name LoRAs under --good and --bad"),
        (["--votes", "v.json", "--bad", "b"], "leave out --good and --bad"),
        (["--votes", "none.json"], "none.json: cannot be read"),
    ],
)
def test_calibrate_has_labels_from_one_source(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, told = said(capsys, "calibrate", *arguments)
    assert status == 2
    assert words in told
