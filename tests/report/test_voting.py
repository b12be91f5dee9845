"""The page on which people vote: blind, by keyboard alone, after a kill, by two at once, and offline."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import votes_world
from browser_world import Visit
from PIL import Image

from lora_checks.core.errors import ReportError
from lora_checks.record import document
from lora_checks.record.votes import ballot, book, pairs
from lora_checks.record.votes.ballot import Ballot
from lora_checks.record.votes.pairs import Asked
from lora_checks.report.html import voting, voting_server

SHOWN = "!document.getElementById('ask').hidden && !document.querySelector('#ask.waiting')"


class Poll:
    """A ballot of a report, and its server."""

    def __init__(self, directory: Path, folder: Path, asked: Asked) -> None:
        drawn = pairs.draw([(directory, document.read(directory))], asked, random.Random(0))
        self.folder, self.ballot = folder, ballot.put(drawn, folder)
        self.server = voting_server.serve(self.ballot, folder, voting.sources(self.ballot), 0)
        self.port = int(self.server.server_address[1])
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        found = answer.status, answer.read()
        connection.close()
        return found

    def votes(self, rater: str) -> list[book.Vote]:
        return book.of_rater(rater, self.folder, self.ballot)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return votes_world.report(tmp_path_factory.mktemp("voting"), prompts=4)


@pytest.fixture
def poll(directory: Path, tmp_path: Path) -> Iterator[Poll]:
    found = Poll(directory, tmp_path / "votes", Asked(9, 3))
    yield found
    found.stop()


def begin(visit: Visit, name: str) -> None:
    """By keyboard alone: Tab reaches the name, Enter begins."""
    visit.page.keyboard.press("Tab")
    visit.page.keyboard.type(name)
    visit.page.keyboard.press("Enter")
    visit.until(SHOWN)


def press(visit: Visit, key: str) -> None:
    """Press a key and wait for the next pair, or for the end."""
    before = visit.texts("#where")[0]
    visit.page.keyboard.press(key)
    told = f"document.getElementById('where').textContent !== {json.dumps(before)}"
    visit.until(f"!document.getElementById('done').hidden || ({told} && {SHOWN})")


# Blind


def telltales(drawn: Ballot, directory: Path) -> list[str]:
    """Everything by which a picture's LoRA could be known."""
    report = document.read(directory)
    names = [value for lora in drawn.loras for value in (lora.name, lora.sha256, lora.path, lora.report)]
    pictures = [
        value for one in drawn.pictures for value in (one.sha256, one.sha256[:12], one.file, one.name)
    ]
    return [*names, *pictures, report["run"]["store"], "sks person"]


def test_nothing_that_is_sent_names_a_lora(poll: Poll, directory: Path) -> None:
    page = poll.ask("GET", "/")[1].decode()
    offline = voting.offline(poll.ballot, voting.sources(poll.ballot))
    sent = [page, offline]
    for picture in poll.ballot.pictures:
        status, content = poll.ask("GET", f"/pictures/{picture.token}.png")
        assert status == 200
        sent.append(content.decode("latin-1"))
    for text in sent:
        prose = re.sub(r"data:image/webp;base64,[^\"]+", "", text)
        assert [word for word in telltales(poll.ballot, directory) if word and word in prose] == []


def test_a_picture_has_its_pixels_and_nothing_else_of_its_file(tmp_path: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_itxt("lora_checks", json.dumps({"lora_sha256": "9c1e" * 16}))
    info.add_text("parameters", "a person <lora:anna:1>")
    path, pixels = tmp_path / "a.png", np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    Image.fromarray(pixels).save(path, pnginfo=info)
    sent = voting.png(path, hashlib.sha256(path.read_bytes()).hexdigest())
    assert b"lora" not in sent
    image = Image.open(io.BytesIO(sent))
    assert (image.info, np.array(image).tolist()) == ({}, pixels.tolist())


def test_tokens_cannot_be_computed(directory: Path) -> None:
    reports = [(directory, document.read(directory))]
    one, other = (pairs.draw(reports, Asked(9)) for _ in range(2))
    assert {p.token for p in one.pictures}.isdisjoint(p.token for p in other.pictures)
    assert one.id != other.id


# The server


def test_it_serves_its_own_machine_and_nothing_else_of_the_disk(poll: Poll) -> None:
    assert poll.ask("GET", "/", Host="evil.example:80")[0] == 403
    assert poll.ask("POST", "/votes", b"{}", Host="evil.example:80")[0] == 403
    for path in (
        "/ballot.json",
        "/pictures/../ballot.json",
        "/votes-ann.jsonl",
        "/pictures/0.png",
        "/nothing",
    ):
        assert poll.ask("GET", path)[0] == 404
    assert poll.ask("GET", "/votes?rater=")[0] == 400


def test_a_vote_is_on_disk_when_it_is_confirmed_and_others_are_refused(poll: Poll) -> None:
    vote = votes_world.votes(poll.ballot, "Ann", random.Random(0))[0]
    body = json.dumps({name: getattr(vote, name) for name in vote.__slots__}).encode()
    json_type = {"Content-Type": "application/json"}
    assert poll.ask("POST", "/votes", body)[0] == 415  # as a form of another site would send it
    assert poll.ask("POST", "/votes", b"{" * 5000, **json_type)[0] == 400
    assert poll.ask("POST", "/elsewhere", body, **json_type)[0] == 400
    for wrong in (b"{", b"[]", b"[" * 4000, b"\xff", body.replace(b'"Ann"', b'""')):
        status, told = poll.ask("POST", "/votes", wrong, **json_type)
        assert (status, list(json.loads(told))) == (400, ["error"])
    assert poll.votes("Ann") == []
    assert poll.ask("POST", "/votes", body, **json_type) == (200, b"{}")
    assert poll.votes("Ann") == [vote]
    told = json.loads(poll.ask("GET", "/votes?rater=%20Ann")[1])
    assert (told["rater"], len(told["votes"])) == ("Ann", 1)


def test_pictures_that_are_gone_are_named(tmp_path: Path) -> None:
    own = votes_world.report(tmp_path, prompts=2)
    drawn = pairs.draw([(own, document.read(own))], Asked(12), random.Random(0))
    known = voting.sources(drawn)
    first = drawn.pictures[0]
    Path(first.file).unlink()
    with pytest.raises(
        ReportError, match=rf"1 of 12 pictures are gone.*the first is {first.lora} {first.name}"
    ):
        voting.sources(drawn)
    Path(first.file).write_bytes(b"another")
    with pytest.raises(ReportError, match="gone or have changed"):
        voting.sources(drawn)
    with pytest.raises(ReportError, match="has changed since it was judged"):
        voting.png(known[first.token], first.sha256)


# In Chromium


def test_it_is_used_by_keyboard_alone(browser: Any, poll: Poll) -> None:
    visit = Visit(browser, poll.address)
    begin(visit, "Ann")
    keys = ["ArrowLeft", "ArrowRight", "ArrowDown", "ArrowUp"]
    for i in range(len(poll.ballot.showings)):
        press(visit, keys[i % 4])
    visit.until("document.getElementById('saved').textContent.endsWith('answered, saved.')")
    assert visit.texts("#thanks") == ["Thank you: every question is answered."]
    votes = poll.votes("Ann")
    n = len(poll.ballot.showings)
    wanted = ["left", "right", "tie", "skip"]
    assert [vote.choice for vote in votes] == [wanted[i % 4] for i in range(n)]
    assert {vote.showing for vote in votes} == {one.token for one in poll.ballot.showings}
    visit.page.keyboard.press("Backspace")
    visit.until(SHOWN)
    press(visit, "ArrowUp")
    visit.until("document.getElementById('saved').textContent.endsWith('answered, saved.')")
    assert poll.votes("Ann")[-1].choice == "skip"
    assert len(poll.votes("Ann")) == n
    assert visit.complaints == []
    visit.context.close()


def test_a_focused_button_answers_and_a_held_key_answers_once(browser: Any, poll: Poll) -> None:
    visit = Visit(browser, poll.address)
    begin(visit, "Ann")
    for _ in range(2):  # left, right
        visit.page.keyboard.press("Tab")
    assert visit.page.evaluate("document.activeElement.dataset.choice") == "right"
    press(visit, "Enter")
    visit.page.evaluate(
        "document.dispatchEvent("
        "new KeyboardEvent('keydown', { key: 'ArrowLeft', repeat: true, bubbles: true }))"
    )
    visit.page.wait_for_timeout(150)
    visit.page.keyboard.press("Control+ArrowLeft")
    visit.page.wait_for_timeout(150)
    assert [vote.choice for vote in poll.votes("Ann")] == ["right"]
    visit.context.close()


def test_two_raters_at_once_have_orders_and_sides_of_their_own(browser: Any, poll: Poll) -> None:
    visits = {name: Visit(browser, poll.address) for name in ("Ann", "Bo")}
    for name, visit in visits.items():
        begin(visit, name)
    for _ in poll.ballot.showings:
        for visit in visits.values():
            press(visit, "ArrowLeft")
    for visit in visits.values():
        visit.until("document.getElementById('saved').textContent.endsWith('answered, saved.')")
        visit.context.close()
    ann, bo = poll.votes("Ann"), poll.votes("Bo")
    assert {vote.showing for vote in ann} == {vote.showing for vote in bo}
    assert [vote.showing for vote in ann] != [vote.showing for vote in bo]
    sides = {vote.showing: vote.left for vote in bo}
    assert 0 < sum(vote.left == sides[vote.showing] for vote in ann) < len(ann)
    again = {one.token: one.again for one in poll.ballot.showings if one.again}
    for votes in (ann, bo):
        place = {vote.showing: i for i, vote in enumerate(votes)}
        left = {vote.showing: vote.left for vote in votes}
        for token, first in again.items():
            assert place[token] > place[first] + 1
            assert left[token] != left[first]


def started(directory: Path, port: str) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "lora_checks", "vote", str(directory), "--pairs", "9", "--port", port]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("http://"):
            return process, line.split()[0]
    raise AssertionError("it did not start")


def test_votes_survive_a_kill_of_the_server(browser: Any, tmp_path: Path) -> None:
    own = votes_world.report(tmp_path, prompts=4)
    process, address = started(own, "0")
    visit = Visit(browser, address)
    try:
        begin(visit, "Ann")
        press(visit, "ArrowLeft")
        visit.until("document.getElementById('saved').textContent.endsWith('answered, saved.')")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        press(visit, "ArrowRight")
        visit.until("document.getElementById('saved').textContent.includes('will be sent again')")
        process, same = started(own, address.rstrip("/").rpartition(":")[2])
        assert same == address
        visit.until("document.getElementById('saved').textContent === '2 of 10 answered, saved.'")
        visit.page.reload()
        begin(visit, "Ann")
        assert visit.texts("#where") == ["Question 3 of 10, Ann"]
        drawn = ballot.read(own / "votes" / ballot.NAME)
        assert [v.choice for v in book.of_rater("Ann", own / "votes", drawn)] == ["left", "right"]
    finally:
        process.kill()
        process.wait()
        visit.context.close()


def test_the_file_works_alone_and_gives_its_votes_back(browser: Any, poll: Poll, tmp_path: Path) -> None:
    path = tmp_path / "ballot.html"
    path.write_text(voting.offline(poll.ballot, voting.sources(poll.ballot)), encoding="utf-8")
    visit = Visit(browser, path.as_uri(), offline=True, accept_downloads=True)
    begin(visit, "Zoë / Z")
    press(visit, "ArrowLeft")
    press(visit, "ArrowDown")
    visit.page.reload()
    begin(visit, "Zoë / Z")
    assert visit.texts("#where") == [f"Question 3 of {len(poll.ballot.showings)}, Zoë / Z"]
    while visit.page.evaluate("document.getElementById('done').hidden"):
        press(visit, "ArrowRight")
    with visit.page.expect_download() as download:
        visit.page.focus("#save")
        visit.page.keyboard.press("Enter")
    saved = tmp_path / download.value.suggested_filename
    assert saved.name == "votes-Zoë-Z.json"
    download.value.save_as(saved)
    votes = book.of_export(saved, poll.ballot)
    assert book.exported_ballot(saved) == poll.ballot.id
    assert [vote.choice for vote in votes][:3] == ["left", "tie", "right"]
    assert len(votes) == len(poll.ballot.showings)
    assert {request.partition(":")[0] for request in visit.requests} <= {"file", "data", "blob"}
    assert visit.complaints == []
    visit.context.close()


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (400, "dark")])
def test_axe_has_nothing_serious_to_say(browser: Any, poll: Poll, width: int, scheme: str) -> None:
    package = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    axe = files(package).joinpath("axe.min.js").read_text(encoding="utf-8")
    visit = Visit(browser, poll.address, width, color_scheme=scheme, bypass_csp=True)
    for name in ("", "Ann", "done"):
        if name == "Ann":
            begin(visit, name)
        while name == "done" and visit.page.evaluate("document.getElementById('done').hidden"):
            press(visit, "ArrowRight")
        visit.page.evaluate(axe)
        told = visit.page.evaluate("async () => (await axe.run(document)).violations")
        bad = [
            (one["id"], one["nodes"][0]["html"][:120])
            for one in told
            if one["impact"] in ("serious", "critical")
        ]
        assert bad == []
        assert visit.page.evaluate("document.documentElement.scrollWidth") == width
        small = visit.page.evaluate(
            "[...document.querySelectorAll('body *')].filter((e) => e.checkVisibility() && "
            "parseFloat(getComputedStyle(e).fontSize) < 11).map((e) => e.outerHTML)"
        )
        assert small == []
    visit.context.close()


def test_both_pictures_fit_on_a_small_screen(browser: Any, poll: Poll) -> None:
    visit = Visit(browser, poll.address, 400)
    visit.page.set_viewport_size({"width": 400, "height": 640})
    begin(visit, "Ann")
    boxes = [visit.page.locator(f"#{side}").bounding_box() for side in ("left", "right")]
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["width"] == boxes[1]["width"] > 150
    assert boxes[1]["y"] + boxes[1]["height"] < 640
    visit.context.close()
