"""docs/how-to/serve-a-vision-model.md: its settings open an API, its figures are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import served_vlm

from lora_checks.networks.vlm.api import open_api
from lora_checks.networks.vlm.endpoints.chat import NO_LOGPROBS
from lora_checks.networks.vlm.endpoints.client import FAULTS_IN_A_ROW, HOPELESS, Client
from lora_checks.networks.vlm.endpoints.endpoint import CONCURRENCY, TIMEOUT
from lora_checks.networks.vlm.endpoints.patience import PATIENCE
from lora_checks.networks.vlm.model import BATCH
from lora_checks.policy.strict_yaml import load

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "serve-a-vision-model.md").read_text(encoding="utf-8")
ROUTES = {"systemone": "/v1/systemone", "decisions": "/v1/decisions", "chat": "/v1/chat/completions"}


@pytest.mark.parametrize("settings", re.findall(r"`(\{kind: judge.*?\})` \|", PAGE))
def test_the_settings_of_each_server_open_an_api(settings: str, tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(f"vlm: {settings}\n")
    told = load(tmp_path / "t.yaml").plain()["vlm"]
    assert told.pop("kind") == "judge"
    api = open_api("vlm", told, "cpu")
    assert isinstance(api, Client)
    whole = told["endpoint"].endswith("/decisions")  # a route of another name
    assert api.endpoint.url.endswith("/alpha/decisions" if whole else ROUTES[told["api"]])


def test_the_servers_are_there() -> None:
    assert len(re.findall(r"`\{kind: judge.*?\}` \|", PAGE)) == 8


def test_transformers_is_started_as_the_tests_start_it() -> None:
    (command,) = re.findall(r"`transformers serve (\S+) --port 8000`", PAGE)
    assert served_vlm.command("MODEL", 8000)[2:6] == [
        "transformers.cli.transformers",
        "serve",
        "MODEL",
        "--port",
    ]
    assert command == "Qwen/Qwen3-VL-4B-Instruct"


def test_the_figures_are_those_of_the_code() -> None:
    words = re.sub(r"\s+", " ", PAGE)
    assert (PATIENCE.tries, PATIENCE.first, PATIENCE.longest) == (5, 1.0, 120.0)
    assert "sent up to five times, with pauses that double from a second on" in words
    assert "`Retry-After` of up to two minutes" in words
    assert PATIENCE.tries_of_timeouts == 2
    assert f"no answer within `timeout` ({TIMEOUT:g} seconds) is sent twice" in words
    assert (FAULTS_IN_A_ROW, HOPELESS) == (3, 8)
    assert "Three failures in a row, or eight questions without any answer" in words
    assert f"`concurrency` requests ({CONCURRENCY}) are under way at once. Up to {BATCH} are of use" in words
    assert f'"{NO_LOGPROBS}"' in words
