"""Prompts of pictures made elsewhere, from JSON {id: text} or CSV id,text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lora_checks.core.errors import ConfigError
from lora_checks.policy.dictionary import read

TEXTS = {"00": "<phigep>", "01": "<phigep> sitting on a (bench:1.2), in  central park"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.json", json.dumps(TEXTS)),
        ("p.json", json.dumps({"prompts": TEXTS})),
        ("p.CSV", f'\ufeffid,text\n00,<phigep>\n01,"{TEXTS["01"]}"\n'),
    ],
)
def test_texts_are_taken_as_they_are(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    prompts = read(tmp_path / name)
    assert {prompt.id: prompt.text for prompt in prompts.prompts} == {
        "00": "<phigep>", "01": "<phigep> sitting on a (bench:1.2), in central park"
    }  # fmt: skip
    assert (prompts.seeds, prompts.trigger, prompts.class_words) == ((), "", "")


def test_json_may_say_what_the_trigger_means_and_which_seeds_there_are(tmp_path: Path) -> None:
    about = {"trigger": "<phigep>", "class_words": "a man", "seeds": [3, 1]}
    (tmp_path / "p.json").write_text(json.dumps({**about, **TEXTS}))
    prompts = read(tmp_path / "p.json")
    assert (prompts.trigger, prompts.class_words, prompts.seeds) == ("<phigep>", "a man", (3, 1))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.json", '{"00": "a", "00": "b"}', "a key is repeated"),
        ("p.json", "[]", "is not a JSON object"),
        ("p.json", "{}", "holds no prompt"),
        ("p.json", '{"00": "a", "01": "a"}', "the same text as '00'"),
        ("p.json", '{"00": 7}', "00: must be text, not 7"),
        ("p.json", '{"00": {"text": "a"}}', "00: must be a text"),
        ("p.json", '{"00": "a", "trigger": "sks"}', "trigger and class_words belong together"),
        ("p.json", '{"prompts": {"00": "a"}, "01": "b"}', "01: unknown key beside 'prompts'"),
        ("p.json", '{"00": "a", "seeds": [1, 1]}', "seeds: must list different whole numbers"),
        ("p.json", '{"A b": "a"}', "'A b' cannot be a name"),
        ("p.csv", "id,prompt\n00,a\n", "p.csv:1: the first line must be id,text"),
        ("p.csv", "id,text\n00,a, b\n", "p.csv:2: must be an id and a text"),
        ("p.csv", "id,text\n00,a\n00,b\n", "p.csv:3: 00: this id is there twice"),
    ],
)
def test_a_wrong_dictionary_is_refused_with_its_place(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError) as refused:
        read(tmp_path / name)
    assert message in str(refused.value)
