"""`regression:` of thresholds.yaml: which row may become how much worse."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_policy import small_policy

from lora_checks.core.errors import ConfigError
from lora_checks.core.records import Allowance, Policy

CHECKS = """\
checks:
  identity: {metric: arcface, min: 0.5, why: w, rule: bound}
  worst: {metric: arcface, min: 0.2, why: w, stat: worst_prompt}
  adherence: {metric: clip_score, min: 0.2, why: w}
  regression-adherence: {metric: vendi, min: 0.2, why: w}
folders: {references: .}
"""


def policy(folder: Path, regression: str) -> Policy:
    return small_policy(folder, f"{CHECKS}{regression}\n")


def told(folder: Path, regression: str) -> str:
    with pytest.raises(ConfigError) as found:
        policy(folder, regression)
    return str(found.value)


def test_a_number_is_judged_by_the_rows_own_rule(tmp_path: Path) -> None:
    found = policy(tmp_path, "regression: {identity: 0.02, worst: 0}").regression
    place = f"{tmp_path}/thresholds.yaml:7"
    assert found == (
        Allowance("identity", 0.02, "bound", place),
        Allowance("worst", 0.0, "estimate", place),
    )
    assert found[0].check == "regression-identity"


def test_a_rule_of_its_own(tmp_path: Path) -> None:
    (found,) = policy(tmp_path, "regression: {identity: {allowed: 0.1, rule: estimate}}").regression
    assert (found.allowed, found.rule) == (0.1, "estimate")


def test_a_metrics_name_serves_where_one_row_has_it(tmp_path: Path) -> None:
    (found,) = policy(tmp_path, "regression: {vendi: 0.5}").regression
    assert found.row == "regression-adherence"


def test_it_is_part_of_what_decides(tmp_path: Path) -> None:
    digests = {policy(tmp_path, text).digest for text in ("", "regression: {identity: 0.1}")}
    moved = policy(tmp_path, "\n\nregression: {identity: 0.1}").digest
    assert len(digests) == 2
    assert moved in digests


@pytest.mark.parametrize(
    ("regression", "sentence"),
    [
        ("regression: {identty: 0.1}", "no row of 'checks:' has this name; did you mean 'identity'?"),
        ("regression: {arcface: 0.1}", "2 rows measure arcface; say which: identity, worst"),
        ("regression: {identity: -0.1}", "must be"),
        ("regression: {identity: much}", "must be a number"),
        ("regression: {}", "names no row"),
        ("regression: {vendi: 1, regression-adherence: 1}", "limits already"),
        ("regression: {adherence: 1}", "'regression-adherence', is a row of 'checks:' already"),
        ("regression: {worst: {allowed: 1, rule: bound}}", "stat 'worst_prompt' has none"),
        ("regression: {worst: {rule: bound}}", "'allowed' is missing"),
    ],
)
def test_what_it_refuses(tmp_path: Path, regression: str, sentence: str) -> None:
    found = told(tmp_path, regression)
    assert sentence in found
    assert "thresholds.yaml:7: regression" in found
