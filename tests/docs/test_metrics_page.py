"""The policies of docs/metrics.md are policies: each loads, fits its metrics and networks, and can pass."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from lora_checks import metrics
from lora_checks.judge import reach
from lora_checks.networks import slot_of
from lora_checks.policy.reading import load_policy

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
POLICIES = dict(
    zip(
        re.findall(r"^## (.+)$", PAGE, re.M),
        re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S),
        strict=False,
    )
)


def test_each_kind_of_lora_has_a_policy() -> None:
    assert list(POLICIES) == ["A person", "A style", "A product", "Your own field"]


@pytest.mark.parametrize("kind", POLICIES)
def test_its_rows_are_read_and_name_metrics_that_exist(kind: str, tmp_path: Path) -> None:
    (tmp_path / "thresholds.yaml").write_text(POLICIES[kind])
    shutil.copy(ROOT / "prompts.yaml", tmp_path)
    for folder in ("references", "train"):
        (tmp_path / folder).mkdir()
    policy = load_policy(tmp_path)
    assert len(policy.thresholds) > 1
    for row in policy.thresholds:
        metric = metrics.get(row.metric)
        assert slot_of(metric, row.network, policy.networks) in ("", *policy.networks), row.name
        reach.refuse(row, metric, policy.prompts)  # with the 25 prompts that come with the package
