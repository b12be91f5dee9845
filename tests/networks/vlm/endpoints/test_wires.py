"""What each API sends and reads: the three forms of one question."""

from __future__ import annotations

import json

import pytest
from judge_world import Asked, ask, chat_answer, client, png, redness, said, serving, yes_no

from lora_checks.core.errors import ConfigError, PrerequisiteError
from lora_checks.networks.vlm.api import APIS, Request, open_api

RED, BLUE = png((250, 10, 10)), png((10, 10, 250))
WAYS = [
    ("systemone", {}),
    ("systemone", {"images": "list"}),
    ("systemone", {"images": "parts"}),
    ("decisions", {}),
    ("chat", {}),
]
SCORE = Request("score", "How good is it?", ("bad", "fair", "good"), (RED,))
CHOICE = Request("choice", "Which shirt?", ("red", "blue", "none"), (RED,))


@pytest.mark.parametrize(("api", "settings"), WAYS)
def test_every_api_shows_the_pictures_in_order_and_reads_the_probability(api, settings):
    with serving(lambda asked: said(asked, redness(asked.images[0]))) as server:
        judge = client(server, api, **settings)
        red, blue, both = ask(judge, [yes_no(RED), yes_no(BLUE), yes_no(BLUE, RED)])
    assert [len(asked.images) for asked in sorted(server.asked, key=lambda a: len(a.images))] == [1, 1, 2]
    assert red.probabilities == pytest.approx((0.97, 0.03), abs=0.01)
    assert blue.probabilities == pytest.approx((0.03, 0.97), abs=0.01)
    assert both.probabilities == pytest.approx(blue.probabilities)
    assert (red.missing, red.calls, red.tokens, red.again) == ("", 1, 40, False)


@pytest.mark.parametrize("api", ["systemone", "decisions", "chat"])
@pytest.mark.parametrize("request_", [SCORE, CHOICE], ids=lambda request: request.kind)
def test_every_api_gives_the_options_their_probabilities(api, request_):
    with serving(lambda asked: said(asked, 0.1, 0.2, 0.7)) as server:
        [reply] = ask(client(server, api), [request_])
    assert reply.probabilities == pytest.approx((0.1, 0.2, 0.7))


def test_two_pictures_are_named_in_every_api():
    for api, settings in WAYS:
        with serving(lambda asked: said(asked, 0.5)) as server:
            ask(client(server, api, **settings), [yes_no(RED, BLUE)])
        text = json.dumps(server.asked[0].body).lower()
        assert text.index("first picture") < text.index("second picture"), api


def test_each_picture_of_system_one_stands_in_the_state_where_it_is_shown():
    with serving(lambda asked: said(asked, 0.5)) as server:
        ask(client(server), [yes_no(RED, RED)])
    body = server.asked[0].body
    assert len(body["assets"]) == 2  # the same picture twice is two
    assert all(body["state"].count(name) == 1 for name in body["assets"])
    assert "assets" not in body["questions"]["asked"]


def test_the_question_of_openai_is_a_predicate_with_its_name():
    with serving(lambda asked: said(asked, 0.5)) as server:
        ask(client(server, "decisions"), [yes_no(text="Are the hands right?")])
    [question] = server.asked[0].body["questions"]
    assert question == {"type": "predicate", "name": "answer", "instructions": "Are the hands right?"}
    assert server.asked[0].path == "/v1/decisions"


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [
        ("", "/v1/systemone"),
        ("/v1", "/v1/systemone"),
        ("/v1/", "/v1/systemone"),
        ("/api/v1/systemone", None),
        ("/alpha/decisions", None),
    ],
)
def test_the_endpoint_may_be_the_server_its_v1_or_the_route(endpoint, path):
    with serving(lambda asked: said(asked, 0.5)) as server:
        ask(client(server, endpoint=server.address + endpoint), [yes_no()])
    assert server.asked[0].path == path or (path is None and server.asked[0].path == endpoint)


def test_yes_and_no_are_added_up_over_the_tokens_that_spell_them():
    tokens = {" Yes": 0.3, "yes": 0.2, "YES": 0.1, "▁yes.": 0.05, "No": 0.2, "\nno": 0.05, "I": 0.1}
    with serving(lambda _: (200, chat_answer(tokens))) as server:
        [reply] = ask(client(server, "chat"), [yes_no()])
    assert reply.probabilities == pytest.approx((0.65 / 0.9, 0.25 / 0.9))


def test_a_small_a_is_no_letter_of_an_option():
    with serving(lambda _: (200, chat_answer({"A": 0.5, "a": 0.4, " B)": 0.1}))) as server:
        [reply] = ask(client(server, "chat"), [CHOICE])
    assert reply.probabilities == pytest.approx((5 / 6, 1 / 6, 0))


def test_an_answer_that_is_mostly_something_else_is_missing():
    tokens = {"<think>": 0.9, "Yes": 0.06, "No": 0.01}
    with serving(lambda _: (200, chat_answer(tokens))) as server, pytest.raises(PrerequisiteError) as raised:
        ask(client(server, "chat"), [yes_no(), yes_no()])
    assert "only 7% of the probability is on the options; most likely is '<think>'" in str(raised.value)
    assert "without thinking first" in str(raised.value)


def test_one_answer_astray_among_good_ones_is_missing_for_good():
    def answer(asked: Asked):
        return said(asked, 0.8) if asked.images == [RED] else (200, chat_answer({"The": 0.9, "Yes": 0.05}))

    with serving(answer) as server:
        good, bad = ask(client(server, "chat"), [yes_no(RED), yes_no(BLUE)])
    assert good.probabilities is not None
    assert (bad.probabilities, bad.again) == (None, False)
    assert bad.missing == "only 5% of the probability is on the options; most likely is 'The'"


@pytest.mark.parametrize("logprobs", [None, {"content": None}, {"content": []}])
def test_a_chat_without_logprobs_is_an_error_that_says_what_to_use(logprobs):
    told = []
    with (
        serving(lambda _: (200, chat_answer({"Yes": 1.0}, logprobs=logprobs))) as server,
        pytest.raises(PrerequisiteError) as raised,
    ):
        client(server, "chat").ask([yes_no()] * 200, lambda *reply: told.append(reply))
    assert "gives no probabilities: the answer has no logprobs; use a server" in str(raised.value)
    assert "api: systemone (transformers serve, llama.cpp, SGLang)" in str(raised.value)
    assert len(server.asked) < 100  # it is clear long before 200
    assert told == []  # nothing that a later run would believe


@pytest.mark.parametrize("extra", [{"x_label_mass": 0.02}, {}])
def test_system_ones_own_mass_on_the_options_counts(extra):
    def answer(asked: Asked):
        answers = {"asked": {"type": "noul", "noul": 0.9, **extra}}
        more = {} if extra else {"diagnostics": {"asked": {"label_mass": 0.02, "argmax_is_label": False}}}
        return said(asked, 0.9) if asked.images == [RED] else (200, {"answers": answers, **more})

    with serving(answer) as server:
        good, bad = ask(client(server), [yes_no(RED), yes_no(BLUE)])
    assert good.probabilities is not None
    assert bad.missing == "only 2% of the probability is on the options"


def test_refusals_are_missing_for_good():
    def decisions(asked: Asked):
        refusal = {"answers": [{"type": "refusal", "name": "answer"}], "usage": {"input_tokens": 7}}
        return said(asked, 0.9) if asked.images == [RED] else (200, refusal)

    def chat(asked: Asked):
        refusal = chat_answer({"I": 1.0}, finish_reason="content_filter", logprobs=None)
        return said(asked, 0.9) if asked.images == [RED] else (200, refusal)

    for api, answer in (("decisions", decisions), ("chat", chat)):
        with serving(answer) as server:
            good, bad = ask(client(server, api), [yes_no(RED), yes_no(BLUE)])
        assert good.probabilities is not None
        assert (bad.probabilities, bad.missing, bad.again) == (None, "refused", False)


@pytest.mark.parametrize(
    "answers",
    [
        {"asked": {"type": "noul", "noul": 1.5}},
        {"asked": {"type": "noul", "noul": True}},
        {"asked": {"type": "noul", "noul": "0.9"}},
        {"asked": {"type": "noul"}},
        {"asked": {"type": "choice", "probabilities": {"yes": 0.9, "no": 0.1}}},
        {"other": {"type": "noul", "noul": 0.5}},
        {},
    ],
)
def test_what_is_no_probability_of_the_options_is_no_value(answers):
    with (
        serving(lambda _: (200, {"answers": answers})) as server,
        pytest.raises(PrerequisiteError, match=r"answers no question: .* answers in an unknown shape"),
    ):
        ask(client(server), [yes_no()])


@pytest.mark.parametrize("probabilities", [(0.3, 0.3, 0.3), (0.9, 0.9, 0.9)])
def test_probabilities_that_do_not_add_up_are_no_value(probabilities):
    with (
        serving(lambda asked: said(asked, *probabilities)) as server,
        pytest.raises(PrerequisiteError, match="3 probabilities for 3 options, which add up to"),
    ):
        ask(client(server), [SCORE])


def test_probabilities_that_were_rounded_for_printing_add_up_to_one():
    with serving(lambda asked: said(asked, 0.33, 0.33, 0.33)) as server:
        [reply] = ask(client(server, "decisions"), [SCORE])
    assert sum(reply.probabilities) == pytest.approx(1, abs=1e-12)


def test_a_nan_in_the_answer_is_no_value():
    with (
        serving(lambda _: (200, b'{"answers": {"asked": {"type": "noul", "noul": NaN}}}')) as server,
        pytest.raises(PrerequisiteError, match=r"unknown shape: answers.asked.noul: Input should be"),
    ):
        ask(client(server), [yes_no()])


def test_more_options_than_a_chat_can_show_are_refused():
    request = Request("choice", "Which?", tuple(f"option {i}" for i in range(21)), (RED,))
    with serving(lambda asked: said(asked, 0.5)) as server, pytest.raises(ConfigError, match="21 options"):
        client(server, "chat").ask([request], lambda *_: None)
    assert server.asked == []


def test_a_policy_opens_each_api_by_its_name():
    for name in ("systemone", "decisions", "chat"):
        api = open_api("vlm", {"api": name, "model": "m", "endpoint": "http://127.0.0.1:1"}, "cpu")
        assert api.id.startswith({"chat": "chat/completions/1 model=m"}.get(name, f"{name}/1 model=m"))
        assert "127.0.0.1" not in api.id
    assert {"systemone", "decisions", "chat"} <= set(APIS)


def test_what_decides_the_answers_is_in_the_id():
    with serving(lambda asked: said(asked, 0.5)) as server:
        ids = {
            client(server).id,
            client(server, revision="abc").id,
            client(server, model="large").id,
            client(server, images="list").id,
            client(server, extra={"chat_template_kwargs": {"enable_thinking": False}}).id,
        }
    assert len(ids) == 5


def test_further_keys_of_the_policy_are_sent_but_cannot_replace_the_question():
    with serving(lambda asked: said(asked, 0.5)) as server:
        ask(client(server, "chat", extra={"chat_template_kwargs": {"enable_thinking": False}}), [yes_no()])
        assert server.asked[0].body["chat_template_kwargs"] == {"enable_thinking": False}
        with pytest.raises(ConfigError, match="extra: cannot set messages"):
            client(server, "chat", extra={"messages": []})
