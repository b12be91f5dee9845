"""`ranking:` of thresholds.yaml: what makes one LoRA better than another where several pass."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_policy import small_policy

from lora_checks.core.errors import ConfigError
from lora_checks.core.records import Policy, Weight

CHECKS = """\
checks:
  identity: {metric: arcface, min: 0.5, why: w}
  drift: {metric: lpips, max: 0.4, why: w}
  light: {metric: brightness, min: 50, max: 200, why: w}
folders: {references: .}
"""


def policy(folder: Path, ranking: str) -> Policy:
    return small_policy(folder, f"{CHECKS}{ranking}\n")


def test_each_row_has_a_weight_and_two_ends(tmp_path: Path) -> None:
    said = "ranking: {identity: {weight: 2, from: 0.2, to: 0.8}, drift: {from: 0.4, to: 0.1}}"
    place = f"{tmp_path}/thresholds.yaml:6"
    assert policy(tmp_path, said).ranking == (
        Weight("identity", 2.0, 0.2, 0.8, place),
        Weight("drift", 1.0, 0.4, 0.1, place),
    )


def test_without_the_key_nothing_is_declared(tmp_path: Path) -> None:
    assert policy(tmp_path, "").ranking == ()


@pytest.mark.parametrize(
    ("ranking", "key", "sentence"),
    [
        (
            "{identty: {from: 0, to: 1}}",
            ".identty",
            "no row of 'checks:' has this name; did you mean 'identity'?",
        ),
        ("{identity: {to: 1}}", ".identity", "'from' is missing"),
        ("{identity: {from: 0, too: 1}}", ".identity.too", "unknown key; did you mean 'to'?"),
        ("{identity: 2}", ".identity", "must be a mapping of keys to values, not 2"),
        (
            "{identity: {from: 0, to: 1, weight: 0}}",
            ".identity.weight",
            "must be above 0, not 0; leave out a row that should not count",
        ),
        (
            "{light: {from: 1, to: 1.0}}",
            ".light.to",
            "is the same as 'from', 1; every value would be worth the same",
        ),
        (
            "{identity: {from: 0.8, to: 0.2}}",
            ".identity.to",
            "0.2 is below 'from', 0.8, but more is better: the row has 'min'; exchange the two",
        ),
        (
            "{drift: {from: 0.1, to: 0.4}}",
            ".drift.to",
            "0.4 is above 'from', 0.1, but less is better: the row has 'max'; exchange the two",
        ),
        ("{}", "", "names no row; remove the key, or name the rows that the ranking counts"),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_key(
    tmp_path: Path, ranking: str, key: str, sentence: str
) -> None:
    with pytest.raises(ConfigError) as found:
        policy(tmp_path, f"ranking: {ranking}")
    assert str(found.value) == f"{tmp_path}/thresholds.yaml:6: ranking{key}: {sentence}"


def test_the_weights_are_a_part_of_the_policy_that_decides_no_verdict(tmp_path: Path) -> None:
    plain, weighted, moved = (
        policy(tmp_path, text)
        for text in ("", "ranking: {identity: {from: 0, to: 1}}", "\n\nranking: {identity: {from: 0, to: 1}}")
    )
    assert plain.parts["ranking"] != weighted.parts["ranking"] == moved.parts["ranking"]
    assert plain.digest == weighted.digest
