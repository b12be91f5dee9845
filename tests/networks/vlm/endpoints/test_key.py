"""The key: from the environment alone, to the named endpoint alone, and into no text."""

from __future__ import annotations

import logging
import pickle

import pytest
from judge_world import ask, client, said, serving, yes_no

from lora_checks.core.errors import ConfigError, PrerequisiteError
from lora_checks.networks.vlm.endpoints import client as endpoints
from lora_checks.networks.vlm.endpoints.chat import Chat

KEY = "sk-proj-Zq81lmVx77ab"
VARIABLE = "JUDGE_KEY_OF_THIS_TEST"


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv(VARIABLE, KEY)


def test_the_key_goes_to_the_endpoint_as_a_bearer():
    with serving(lambda asked: said(asked, 0.9)) as server:
        ask(client(server, key_env=VARIABLE), [yes_no()])
        ask(client(server), [yes_no()])
    assert server.asked[0].headers["Authorization"] == f"Bearer {KEY}"
    assert "Authorization" not in server.asked[1].headers


def test_no_key_and_no_picture_follow_a_redirect():
    with serving(lambda asked: said(asked, 0.9)) as other:
        target = {"Location": f"{other.address}/v1/systemone?key={KEY}"}
        with (
            serving(lambda _: (307, {}, target)) as server,
            pytest.raises(PrerequisiteError, match="redirects to") as raised,
        ):
            ask(client(server, key_env=VARIABLE), [yes_no()])
    assert other.asked == []
    assert KEY not in str(raised.value)


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 429, 500])
def test_a_server_that_quotes_the_key_does_not_bring_it_into_a_message(status, caplog):
    echo = {"error": {"message": f"Incorrect API key provided: {KEY}. Also sk-proj-Zq8**********77ab"}}
    caplog.set_level(logging.DEBUG)
    with serving(lambda _: (status, echo)) as server, pytest.raises(PrerequisiteError) as raised:
        client(server, key_env=VARIABLE).ask([yes_no()] * 4, lambda *_: None)
    texts = [str(raised.value), repr(raised.value), caplog.text]
    for text in texts:
        assert KEY not in text
        assert "77ab" not in text
    chain = raised.value
    while chain is not None:
        assert KEY not in str(chain)
        chain = chain.__cause__


def test_the_key_is_in_nothing_that_is_kept():
    with serving(lambda asked: said(asked, 0.9)) as server:
        judge = client(server, "chat", key_env=VARIABLE)
        [reply] = ask(judge, [yes_no()])
    kept = [judge.id, judge.label, repr(judge), repr(vars(judge)), repr(judge.endpoint), repr(reply)]
    assert not any(KEY in text for text in kept)
    assert KEY.encode() not in pickle.dumps(judge.endpoint)


def test_a_variable_without_a_key_is_named(monkeypatch):
    monkeypatch.delenv(VARIABLE)
    with (
        serving(lambda asked: said(asked, 0.9)) as server,
        pytest.raises(PrerequisiteError, match=f"variable {VARIABLE} holds no key; set it"),
    ):
        ask(client(server, key_env=VARIABLE), [yes_no()])
    assert server.asked == []


@pytest.mark.parametrize("value", ["sk-a b", "sk-é", "sk-a\nX-Evil: 1"])
def test_what_is_no_key_is_not_sent_and_not_quoted(monkeypatch, value):
    monkeypatch.setenv(VARIABLE, value)
    with (
        serving(lambda asked: said(asked, 0.9)) as server,
        pytest.raises(PrerequisiteError, match="is no key") as raised,
    ):
        ask(client(server, key_env=VARIABLE), [yes_no()])
    assert value not in str(raised.value)
    assert server.asked == []


@pytest.mark.parametrize("value", [KEY, "has space", 5])
def test_key_env_is_a_name_and_never_the_key(value):
    with pytest.raises(ConfigError, match="must be the name of an environment variable") as raised:
        Chat({"model": "m", "endpoint": "https://judge.example/v1", "key_env": value}, "cpu")
    assert str(value) not in str(raised.value)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://user:secret@judge.example",
        f"https://judge.example/v1?key={KEY}",
        "https://judge.example/#secret",
    ],
)
def test_an_address_with_a_credential_is_refused_without_quoting_it(endpoint):
    with pytest.raises(ConfigError, match="must hold no name, password or query") as raised:
        Chat({"model": "m", "endpoint": endpoint}, "cpu")
    assert "secret" not in str(raised.value)
    assert KEY not in str(raised.value)


@pytest.mark.parametrize(
    "endpoint", ["ftp://judge.example", "judge.example", "http://", "http://a:99999", 7, None]
)
def test_an_address_has_to_be_one(endpoint):
    settings = {"model": "m"} if endpoint is None else {"model": "m", "endpoint": endpoint}
    with pytest.raises(ConfigError, match="networks: judge: endpoint"):
        Chat(settings, "cpu")


@pytest.mark.parametrize(
    ("endpoint", "fits"),
    [
        ("http://judge.example", False),
        ("http://8.8.8.8:8000", False),
        ("https://judge.example", True),
        ("http://localhost:8000", True),
        ("http://192.168.1.7:8000", True),
        ("http://gpu-box:8000", True),
    ],
)
def test_a_key_is_not_sent_unencrypted_over_the_internet(endpoint, fits):
    settings = {"model": "m", "endpoint": endpoint, "key_env": VARIABLE}
    if fits:
        Chat(settings, "cpu")
        return
    with pytest.raises(ConfigError, match="would get the key unencrypted; use https"):
        Chat(settings, "cpu")
    Chat({"model": "m", "endpoint": endpoint}, "cpu")


def test_a_proxy_of_the_environment_gets_nothing_that_is_for_this_machine(monkeypatch):
    with serving(lambda asked: said(asked, 0.1)) as proxy, serving(lambda asked: said(asked, 0.9)) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.address)
        [reply] = ask(client(server), [yes_no()])
    assert proxy.asked == []
    assert reply.probabilities == pytest.approx((0.9, 0.1))


@pytest.mark.parametrize("package", ["httpx2", "pydantic"])
def test_a_missing_package_is_named_with_what_installs_it(monkeypatch, package):
    monkeypatch.setattr(endpoints, "find_spec", lambda name: None if name == package else object())
    with pytest.raises(PrerequisiteError, match=rf"{package} is not installed; .*'lora-checks\[judge\]'"):
        Chat({"model": "m", "endpoint": "http://127.0.0.1:1"}, "cpu")
