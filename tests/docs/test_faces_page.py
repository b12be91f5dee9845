"""docs/how-to/faces.md: its rows are a policy, and its settings those that both networks read."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from lora_checks import metrics
from lora_checks.judge import reach
from lora_checks.networks import faces, slot_of
from lora_checks.policy.reading import load_policy

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "faces.md").read_text(encoding="utf-8")
(POLICY,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)


def test_its_rows_are_a_policy_that_25_prompts_can_pass(tmp_path: Path) -> None:
    (tmp_path / "thresholds.yaml").write_text(POLICY)
    shutil.copy(ROOT / "prompts.yaml", tmp_path)
    for folder in ("references", "train"):
        (tmp_path / folder).mkdir()
    policy = load_policy(tmp_path)
    assert len(policy.thresholds) == 7
    for row in policy.thresholds:
        metric = metrics.get(row.metric)
        assert slot_of(metric, row.network, policy.networks) == "sface"
        reach.refuse(row, metric, policy.prompts)


def test_its_settings_are_those_that_are_read() -> None:
    table = PAGE.partition("| key | meaning | default |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.M)) == faces.SETTINGS
