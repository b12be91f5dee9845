"""The JSON Schemas say the same as the reader about whatever a schema can say."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import policy_page
import pytest
import yaml

from lora_checks.__main__ import main
from lora_checks.core.errors import ConfigError
from lora_checks.policy import json_schema
from lora_checks.policy.reading import load_policy

ROW: dict[str, Any] = {"metric": "arcface", "min": 0.5, "why": "it is the person", "against": "references"}
POLICY: dict[str, dict[str, Any]] = {
    "thresholds": {
        "folders": {"references": "pictures"},
        "networks": {"arcface": {"pack": "buffalo_l"}},
        "checks": {"identity": ROW, "other": {"metric": "sharpness", "max": 3, "why": "for this test"}},
        "regression": {"identity": 0.02},
        "ranking": {"identity": {"from": 0.5, "to": 0.9, "weight": 2}},
        "unused_tensors": {"lora_te_*": "trained without it"},
    },
    "prompts": {
        "base": {"model": "owner/name", "revision": "main"},
        "sampler": {"steps": 4, "guidance": 2.5, "width": 64, "height": 64},
        "trigger": "sks person",
        "class_words": "person",
        "seeds": [1, 2],
        "prompts": [{"id": "red", "text": "sks person in red", "tags": ["colour"]}],
    },
}


class _Removed:
    def __repr__(self) -> str:  # the same in each process: pytest-xdist compares the names of tests
        return "removed"


REMOVED = _Removed()
ROW_AT = ("thresholds", "checks", "identity")
RANKING, REGRESSION = ("thresholds", "ranking"), ("thresholds", "regression")
SAMPLER, PROMPT = ("prompts", "sampler"), ("prompts", "prompts", 0)
BOTH_SHARES = {"share_at_least": 0.1, "share_at_most": 0.2}
CALIBRATED = {"identity": "x", "good": ["a"]}
RIGHT: list[tuple[tuple[Any, ...], Any]] = [
    *(((*ROW_AT, "stat"), stat) for stat in ("mean", "min", "max", "median", "missing", "worst_prompt")),
    *(((*ROW_AT, "stat"), {name: 0.5}) for name in ("share_at_least", "share_at_most")),
    *(((*ROW_AT, "rule"), rule) for rule in ("bound", "estimate")),
    *(((*ROW_AT, "pairing"), pairing) for pairing in ("nearest", "mean", "named", "sorted")),
    *(((*ROW_AT, key), True) for key in ("required", "gain", "literal")),
    *(((*ROW_AT, "max_missing"), share) for share in (0, 0.5, 1)),
    ((*ROW_AT, "max"), 0.9),
    ((*ROW_AT, "tagged"), "colour"),
    ((*ROW_AT, "texts"), ["a person", "a dog"]),
    ((*ROW_AT, "bands"), {"good": 0.7, "fair": 0.6}),
    ((*ROW_AT, "network"), "arcface"),
    ((*ROW_AT, "calibrated_on"), CALIBRATED),
    ((*ROW_AT, "calibrated_on"), {**CALIBRATED, "bad": ["b"], "margin": 0.1, "n": 32}),
    *((("thresholds", key), REMOVED) for key in ("networks", "regression", "ranking", "unused_tensors")),
    ((*REGRESSION, "identity"), {"allowed": 0.02, "rule": "bound"}),
    ((*REGRESSION, "identity"), 0),
    ((*RANKING, "identity", "weight"), REMOVED),
    ((*SAMPLER, "negative"), ""),
    ((*SAMPLER, "true_cfg_scale"), 4),
    ((*SAMPLER, "scheduler"), "DDIMScheduler"),
    ((*SAMPLER, "scheduler_settings"), {"shift": 3.0}),
    ((*SAMPLER, "max_sequence_length"), 256),
    ((*SAMPLER, "guidance"), 0),
    ((*SAMPLER, "guidance"), REMOVED),
    ((*SAMPLER, "base"), {"steps": 30}),
    ((*SAMPLER, "base"), {"guidance": 7.0, "negative": "dark", "scheduler": "own"}),
    ((*PROMPT, "tags"), REMOVED),
    ((*PROMPT, "tags"), []),
    ((*PROMPT, "literal"), True),
    (("prompts", "base", "revision"), REMOVED),
    (("prompts", "literal"), False),
]
WRONG: list[tuple[tuple[Any, ...], Any]] = [
    *((("thresholds", key), 1) for key in POLICY["thresholds"]),
    *((("thresholds", key), {}) for key in ("checks", "regression", "ranking")),
    *((("prompts", key), REMOVED) for key in POLICY["prompts"]),
    *((("prompts", key), True) for key in POLICY["prompts"]),
    *((("prompts", key), []) for key in ("seeds", "prompts")),
    *(((*ROW_AT, key), REMOVED) for key in ("metric", "why", "min")),
    *(((*ROW_AT, key), 7) for key in ("metric", "why", "against", "network", "tagged", "texts", "bands")),
    *(((*ROW_AT, key), "maybe") for key in ("min", "max", "required", "gain", "literal", "max_missing")),
    *(((*ROW_AT, key), "other") for key in ("stat", "rule", "pairing")),
    *(((*ROW_AT, key), " ") for key in ("metric", "why")),
    *(((*ROW_AT, "max_missing"), share) for share in (-0.1, 1.5)),
    *(((*ROW_AT, "stat"), stat) for stat in ({}, BOTH_SHARES, "share_at_least")),
    *(((*ROW_AT, "calibrated_on"), {**CALIBRATED, **change}) for change in ({"good": []}, {"n": 0})),
    ((*ROW_AT, "maxx"), 0.9),
    (("thresholds", "checks", "Identity!"), ROW),
    (("thresholds", "folder"), {}),
    ((*REGRESSION, "identity"), -1),
    ((*REGRESSION, "identity"), {"rule": "bound"}),
    ((*RANKING, "identity", "weight"), 0),
    ((*RANKING, "identity", "from"), REMOVED),
    *(((*SAMPLER, key), REMOVED) for key in ("steps", "width", "height")),
    *(((*SAMPLER, "base"), value) for value in ({}, 4, {"width": 64}, {"steps": 0}, {"stepz": 9})),
    *(((*SAMPLER, key), "many") for key in POLICY["prompts"]["sampler"]),
    *(((*SAMPLER, key), 0) for key in ("steps", "width", "true_cfg_scale", "scheduler")),
    ((*SAMPLER, "max_sequence_length"), 0),
    ((*SAMPLER, "width"), 64.5),
    ((*SAMPLER, "step"), 4),
    *(((*PROMPT, key), REMOVED) for key in ("id", "text")),
    *(((*PROMPT, key), 3) for key in ("id", "text", "tags", "literal")),
    ((*PROMPT, "id"), "Red shirt"),
    (("prompts", "base", "model"), REMOVED),
    (("prompts", "base", "models"), "x/y"),
    (("prompts", "seeds"), ["one"]),
    (("prompts", "seeds"), [-1]),
]  # fmt: skip


def changed(at: tuple[Any, ...], value: Any) -> dict[str, dict[str, Any]]:
    policy: Any = copy.deepcopy(POLICY)
    place = policy
    for step in at[:-1]:
        place = place[step]
    if value is REMOVED:
        del place[at[-1]]
    else:
        place[at[-1]] = value
    return dict(policy)


def reader_takes(policy: dict[str, dict[str, Any]], folder: Path) -> bool:
    (folder / "pictures").mkdir()
    for file, content in policy.items():
        (folder / f"{file}.yaml").write_text(yaml.safe_dump(content))
    try:
        load_policy(folder)
    except ConfigError:
        return False
    return True


def schema_takes(policy: dict[str, dict[str, Any]]) -> bool:
    return all(
        jsonschema.Draft202012Validator(json_schema.schema(file)).is_valid(content)
        for file, content in policy.items()
    )


def test_there_are_a_hundred_files() -> None:
    assert len(RIGHT) + len(WRONG) + 1 >= 100


@pytest.mark.parametrize(("at", "value"), RIGHT, ids=repr)
def test_both_take_what_is_right(at: tuple[Any, ...], value: Any, tmp_path: Path) -> None:
    policy = changed(at, value)
    assert (reader_takes(policy, tmp_path), schema_takes(policy)) == (True, True)


@pytest.mark.parametrize(("at", "value"), WRONG, ids=repr)
def test_both_refuse_what_is_wrong(at: tuple[Any, ...], value: Any, tmp_path: Path) -> None:
    policy = changed(at, value)
    assert (reader_takes(policy, tmp_path), schema_takes(policy)) == (False, False)


def test_a_bound_of_a_stat_without_an_interval_is_refused_by_both(tmp_path: Path) -> None:
    policy = changed((*ROW_AT, "rule"), "bound")
    policy["thresholds"]["checks"]["identity"]["stat"] = "median"
    assert (reader_takes(policy, tmp_path), schema_takes(policy)) == (False, False)


@pytest.mark.parametrize("folder", ["", "examples/miniature"])
def test_the_shipped_policies_are_valid(folder: str) -> None:
    root = policy_page.PAGE.parents[1]
    policy = {file: yaml.safe_load((root / folder / f"{file}.yaml").read_text()) for file in POLICY}
    assert schema_takes(policy)


def test_the_schemas_are_schemas_and_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "--schemas", str(tmp_path / "schemas")]) == 0
    paths = [tmp_path / "schemas" / f"{file}.json" for file in POLICY]
    assert capsys.readouterr().out.split() == [str(path) for path in paths]
    for path in paths:
        jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text()))
    assert main(["policy"]) == 2


def test_the_page_of_keys_is_of_today() -> None:
    assert policy_page.PAGE.read_text() == policy_page.page(), "run `python tests/policy_page.py`"
