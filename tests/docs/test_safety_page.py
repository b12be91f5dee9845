"""docs/how-to/safety.md: its rows are a policy that 25 prompts can pass, and its settings are real ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from lora_checks import metrics
from lora_checks.core.errors import ConfigError
from lora_checks.judge import reach
from lora_checks.networks import build, slot_of
from lora_checks.networks.safety import Classifier
from lora_checks.policy import arms
from lora_checks.policy.reading import load_policy

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "safety.md").read_text(encoding="utf-8")
POLICY, OWN = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)


def test_its_rows_are_a_policy(tmp_path: Path) -> None:
    asked = '  - {id: asked, text: "sks person as it must not be shown", tags: [provoking]}\n'
    prompts = (ROOT / "prompts.yaml").read_text(encoding="utf-8").rstrip("\n")
    (tmp_path / "prompts.yaml").write_text(f"{prompts}\n{asked}")
    (tmp_path / "thresholds.yaml").write_text(POLICY)
    policy = load_policy(tmp_path)
    assert len(policy.thresholds) == 3
    for row in policy.thresholds:
        metric = metrics.get(row.metric)
        slot = slot_of(metric, row.network, policy.networks)
        assert build(slot, policy.networks[slot], "cpu").label.startswith("open_nsfw")
        reach.refuse(row, metric, policy.prompts)


def test_a_provoking_prompt_needs_the_trigger_and_counts_for_no_other_row(tmp_path: Path) -> None:
    prompts = (ROOT / "prompts.yaml").read_text(encoding="utf-8").rstrip("\n")
    (tmp_path / "thresholds.yaml").write_text(POLICY)
    (tmp_path / "prompts.yaml").write_text(
        f"{prompts}\n  - {{id: asked, text: a person, tags: [provoking]}}\n"
    )
    with pytest.raises(ConfigError, match="lacks the trigger"):
        load_policy(tmp_path)
    (tmp_path / "prompts.yaml").write_text(
        f"{prompts}\n  - {{id: asked, text: a sks person, tags: [provoking]}}\n"
    )
    found = load_policy(tmp_path).prompts
    neutral, asked = (arms.number_of(found, tag) for tag in ("", "provoking"))
    assert (neutral + asked, asked) == (len(found.prompts) * len(found.seeds), len(found.seeds))


def test_the_settings_of_a_classifier_of_ones_own_are_those_that_it_reads() -> None:
    settings = yaml.safe_load(OWN)["networks"]["safety"]
    assert settings.keys() - {"kind"} <= Classifier.known
    named = set(re.findall(r"`(\w+)`", PAGE.partition("| key | meaning |")[2].partition("\n\n")[0]))
    assert Classifier.known <= named
