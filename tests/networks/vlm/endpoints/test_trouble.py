"""Servers that refuse, fail, hang, lie or die: a missing reply or an error, never a value."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from judge_world import HTML, QUICK, Asked, Dead, Server, ask, chat_answer, client, png, said, serving, yes_no

from lora_checks.core.errors import MeasureError, PrerequisiteError
from lora_checks.networks.vlm.endpoints.patience import Gate, Patience, asked_wait

RED, BLUE = png((250, 10, 10)), png((10, 10, 250))


def first_times(n: int, trouble, then=lambda asked: said(asked, 0.9)):
    """Answer the first n requests with trouble, and the rest well."""
    count = itertools.count()
    return lambda asked: trouble(asked) if next(count) < n else then(asked)


def dead(_: Asked):
    raise Dead


@pytest.mark.parametrize(
    "trouble",
    [lambda _: (500, {"error": "out of memory"}), lambda _: (503, HTML), lambda _: (429, {}), dead],
    ids=["500", "503 with a page", "429", "hangs up"],
)
def test_a_passing_fault_is_asked_again(trouble):
    with serving(first_times(2, trouble)) as server:
        [reply] = ask(client(server), [yes_no()])
    assert reply.probabilities == pytest.approx((0.9, 0.1))
    assert reply.calls == len(server.asked) == 3


@pytest.mark.parametrize("as_date", [False, True])
def test_a_server_that_asks_for_a_pause_gets_it(as_date):
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=1.9), usegmt=True)
    times: list[float] = []

    def pause(_: Asked):
        return 429, {}, {"Retry-After": until if as_date else "0.4"}

    def answer(asked: Asked):
        times.append(time.monotonic())
        return said(asked, 0.9)

    begin = time.monotonic()
    with serving(first_times(1, pause, answer)) as server:
        # The second request would be sent at once, but the server asked everyone for a pause.
        replies = ask(client(server, concurrency=1, patience=Patience(3, 2, 0.001, 5)), [yes_no(), yes_no()])
    assert all(reply.probabilities for reply in replies)
    assert times[0] - begin >= 0.35


def test_a_server_that_asks_for_an_hour_is_not_waited_for():
    with serving(first_times(1, lambda _: (503, {}, {"Retry-After": "3600"}))) as server:
        bad, good = ask(client(server, concurrency=1), [yes_no(RED), yes_no(BLUE)])
    assert good.probabilities is not None
    assert (bad.probabilities, bad.again, bad.calls) == (None, True, 1)
    assert "HTTP 503" in bad.missing


@pytest.mark.parametrize(
    ("text", "seconds"), [("3", 3), ("0.5", 0.5), ("-2", 0), ("soon", None), ("", None), ("nan", None)]
)
def test_retry_after_is_a_number_or_a_date(text, seconds):
    assert asked_wait({"retry-after": text}) == seconds
    assert asked_wait({}) is None


def test_pauses_double_up_to_the_longest():
    patience = Patience(tries=6, first=1, longest=5)
    pauses = [patience.pause(tries, False, None) for tries in range(1, 6)]
    for pause, full in zip(pauses, (1, 2, 4, 5, 5), strict=True):
        assert full / 2 <= pause <= full
    assert patience.pause(6, False, None) is None
    assert patience.pause(2, True, None) is None  # a timeout has waited long enough


def test_one_picture_that_the_server_cannot_take_is_missing_and_asked_for_again_later():
    def answer(asked: Asked):
        return (500, {"detail": "broken picture"}) if asked.images == [BLUE] else said(asked, 0.9)

    with serving(answer) as server:
        replies = ask(client(server, concurrency=1), [yes_no(RED), yes_no(BLUE), yes_no(RED)])
    assert [reply.probabilities is None for reply in replies] == [False, True, False]
    assert replies[1].again
    assert replies[1].missing.endswith("is in trouble (HTTP 500: broken picture) (tried 3 times)")


def test_a_request_that_is_declined_is_not_repeated():
    def answer(asked: Asked):
        return (413, {"error": {"message": "too large"}}) if asked.images == [BLUE] else said(asked, 0.9)

    with serving(answer) as server:
        good, bad = ask(client(server), [yes_no(RED), yes_no(BLUE)])
    assert (good.calls, bad.calls, bad.again) == (1, 1, True)
    assert bad.missing.endswith("does not take the question (HTTP 413: too large)")


def test_a_content_filter_before_the_model_is_a_refusal():
    def answer(asked: Asked):
        error = {"error": {"code": "content_filter", "message": "flagged"}}
        return (400, error) if asked.images == [BLUE] else said(asked, 0.9)

    with serving(answer) as server:
        _, bad = ask(client(server), [yes_no(RED), yes_no(BLUE)])
    assert (bad.probabilities, bad.missing, bad.again) == (None, "refused (HTTP 400: flagged)", False)


def test_a_server_that_dies_midway_is_an_error_and_what_it_said_is_kept():
    told = []
    with (
        serving(first_times(20, lambda asked: said(asked, 0.9), dead)) as server,
        pytest.raises(MeasureError, match=r"stopped answering after (1[7-9]|20) questions: .* is kept"),
    ):
        client(server).ask([yes_no()] * 200, lambda index, reply: told.append((index, reply)))
    good = [index for index, reply in told if reply.probabilities]
    assert len(good) == len(set(good))
    assert 17 <= len(good) <= 20  # what was under way at the end may be lost
    assert all(reply.again for _, reply in told if not reply.probabilities)
    assert len(server.asked) < 60  # it is not asked all 200 questions


def test_a_server_that_closes_its_port_midway_is_the_same():
    count = itertools.count()

    def answer(asked: Asked):
        if next(count) == 9:
            threading.Thread(target=server.stop).start()
        return said(asked, 0.9)

    with (
        serving(answer) as server,
        pytest.raises(MeasureError, match=r"stopped answering after \d+ questions: .*reached"),
    ):
        client(server).ask([yes_no()] * 500, lambda *_: None)


def test_nobody_at_the_address_is_a_missing_prerequisite():
    with serving(dead) as server:
        server.stop()
        with pytest.raises(PrerequisiteError, match=r"answers no question: 127.0.0.1:\d+ cannot be reached"):
            ask(client(server), [yes_no()] * 10)


def test_a_server_that_hangs_is_given_up():
    free = threading.Event()

    def hang(asked: Asked):
        free.wait(20)
        return said(asked, 0.9)

    with serving(hang) as server:
        begin = time.monotonic()
        with pytest.raises(PrerequisiteError, match=r"no answer within 0.2 s \(tried 2 times\)"):
            ask(client(server, timeout=0.2), [yes_no()] * 4)
        free.set()
    assert time.monotonic() - begin < 15
    assert 6 <= len(server.asked) <= 8


def test_a_server_that_drips_its_answer_is_given_up():
    with dripping(0.05) as address, pytest.raises(PrerequisiteError, match=r"no answer within 0\.2 s"):
        ask(client(Server(address), timeout=0.2), [yes_no()])


@contextmanager
def dripping(pause: float):
    """Yield the address of a server whose answer of 1,000 bytes takes a pause before each byte."""
    listener = socket.create_server(("127.0.0.1", 0))

    def drip(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            for _ in range(1000):
                connection.sendall(b" ")
                time.sleep(pause)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=drip, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    with listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("api", ["systemone", "decisions", "chat"])
def test_a_page_instead_of_json_is_an_error(api):
    with (
        serving(lambda _: (200, HTML)) as server,
        pytest.raises(PrerequisiteError, match=r"answers with an HTML page, of a proxy or a login\?"),
    ):
        client(server, api).ask([yes_no()] * 100, lambda *_: None)
    assert len(server.asked) < 50


@pytest.mark.parametrize("content", [b"", b"true", b'{"answers"', b"[" * 100_000, b"\xff\xfe"])
def test_what_is_not_an_answer_is_an_error(content):
    with serving(lambda _: (200, content)) as server, pytest.raises(PrerequisiteError, match="answers"):
        ask(client(server), [yes_no()])


def test_an_endless_answer_is_not_read_to_its_end():
    with (
        serving(lambda _: (200, b'"' + b"a" * (6 << 20) + b'"')) as server,
        pytest.raises(PrerequisiteError, match="the answer is larger than 4 MiB"),
    ):
        ask(client(server), [yes_no()])


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, {"error": {"message": "no key"}}, "wants a key (HTTP 401: no key); key_env names"),
        (403, {}, "wants a key (HTTP 403); key_env names"),
        (402, {"error": "credit"}, "asks for money first (HTTP 402: credit)"),
        (429, {"error": {"code": "insufficient_quota", "message": "quota"}}, "asks for money first"),
        (404, {"detail": "Not Found"}, "is not there (HTTP 404: Not Found); check endpoint, model and api"),
        (405, HTML, "is not there (HTTP 405)"),
        (307, {}, "redirects to http://127.0.0.1:9/elsewhere; if that is right, name it as the endpoint"),
    ],
)
def test_what_repeating_cannot_help_stops_at_once(status, body, words):
    with (
        serving(lambda _: (status, body, {"Location": "http://127.0.0.1:9/elsewhere"})) as server,
        pytest.raises(PrerequisiteError) as raised,
    ):
        client(server, concurrency=2).ask([yes_no()] * 50, lambda *_: None)
    assert words in str(raised.value)
    assert len(server.asked) <= 6


def test_a_fastapi_complaint_is_quoted():
    detail = [{"loc": ["body", "images"], "msg": "Extra inputs are not permitted", "type": "extra_forbidden"}]
    with (
        serving(lambda _: (422, {"detail": detail})) as server,
        pytest.raises(PrerequisiteError, match=r"HTTP 422: Extra inputs are not permitted"),
    ):
        ask(client(server), [yes_no()])


def test_replies_keep_the_order_of_the_questions_and_few_are_under_way_at_once():
    colours = [png((i * 10, 0, 0)) for i in range(20)]

    def answer(asked: Asked):
        number = colours.index(asked.images[0])
        time.sleep(0.03 if number % 3 else 0.06)
        return said(asked, number / 100)

    with serving(answer) as server:
        replies = ask(client(server, concurrency=3), [yes_no(colour) for colour in colours])
    assert [round(reply.probabilities[0] * 100) for reply in replies] == list(range(20))
    assert 1 < server.at_once <= 3


def test_replies_are_told_as_they_come_in_the_thread_that_asked():
    here, told = threading.get_ident(), []

    def done(*_: object) -> None:
        assert threading.get_ident() == here
        told.append(len(server.asked))

    with serving(lambda asked: said(asked, 0.9)) as server:
        client(server, concurrency=1).ask([yes_no()] * 5, done)
    assert told[0] < 5


def test_an_error_of_the_listener_ends_the_asking():
    def full(*_: object) -> None:
        raise OSError("disk full")

    with serving(lambda asked: said(asked, 0.9)) as server, pytest.raises(OSError, match="disk full"):
        client(server, concurrency=1).ask([yes_no()] * 100, full)
    assert len(server.asked) < 20


def test_a_wait_ends_when_the_work_is_called_off():
    gate = Gate()
    gate.hold(30)
    threading.Timer(0.05, gate.call_off).start()
    begin = time.monotonic()
    assert not gate.passed(30)
    assert time.monotonic() - begin < 5


def test_a_stopped_run_does_not_wait_for_the_server():
    """In a process of its own: what counts is that it ends."""
    code = """
import sys
from judge_world import client, png, yes_no, Server
judge = client(Server(sys.argv[1]), timeout=300)
def stop(*_):
    raise KeyboardInterrupt
judge.ask([yes_no(png((1, 1, 1))), *[yes_no()] * 5], stop)
"""
    free = threading.Event()

    def answer(asked: Asked):
        if asked.images != [png((1, 1, 1))]:
            free.wait(120)
        return said(asked, 0.9)

    path = os.pathsep.join([str(Path(__file__).parents[3]), *sys.path])
    with serving(answer) as server:
        done = subprocess.run(
            [sys.executable, "-c", code, server.address],
            env=os.environ | {"PYTHONPATH": path},
            stderr=subprocess.PIPE,
            text=True,
            timeout=100,
            check=False,
        )
        free.set()
    assert "KeyboardInterrupt" in done.stderr
    assert done.returncode != 0


def test_no_questions_ask_nothing():
    with serving(dead) as server:
        assert ask(client(server), []) == []
    assert server.asked == []


def test_a_judge_that_is_asked_twice_works_twice():
    with serving(lambda asked: said(asked, 0.9)) as server:
        judge = client(server)
        assert ask(judge, [yes_no()])[0] == ask(judge, [yes_no()])[0]
        assert judge.heard == 2


def test_half_refused_is_half_missing():
    count = itertools.count()

    def answer(asked: Asked):
        refusal = chat_answer({"I": 1.0}, finish_reason="content_filter", logprobs=None)
        return said(asked, 0.9) if next(count) % 2 else (200, refusal)

    with serving(answer) as server:
        replies = ask(client(server, "chat", patience=QUICK), [yes_no()] * 10)
    assert [reply.missing for reply in replies].count("refused") == 5
