"""docs/how-to/ask-a-vision-model.md: its rows are a policy, its settings real ones, its sums right."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from lora_checks import metrics
from lora_checks.core.records import ImageSet
from lora_checks.core.records.questions import Control
from lora_checks.judge import cost, reach, row_fit
from lora_checks.networks import slot_of
from lora_checks.networks.vlm.api import APIS
from lora_checks.networks.vlm.budget import Budget, budget_of
from lora_checks.policy.questions import standard
from lora_checks.policy.reading import load_policy
from lora_checks.policy.strict_yaml import load

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "ask-a-vision-model.md").read_text(encoding="utf-8")
(POLICY,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)


def test_its_rows_are_a_policy(tmp_path: Path) -> None:
    (tmp_path / "prompts.yaml").write_text((ROOT / "prompts.yaml").read_text(encoding="utf-8"))
    (tmp_path / "thresholds.yaml").write_text(POLICY)
    for folder in ("references", "bad"):
        (tmp_path / folder).mkdir()
    policy = load_policy(tmp_path)
    for row in policy.thresholds:
        metric = metrics.of_row(row)
        assert slot_of(metric, row.network, policy.networks) == "vlm"
        row_fit.refuse(row, metric, lambda name: ImageSet(name, ()))
        reach.refuse(row, metric, policy.prompts)


def test_the_seven_questions_are_named_in_order() -> None:
    named = re.search(r"^((?:`[a-z-]+`, )+`[a-z-]+`): a row names", PAGE, re.M)
    assert named is not None
    assert re.findall(r"`([a-z-]+)`", named[1]) == list(standard())


def test_each_control_and_each_api_has_its_line() -> None:
    for name in (*get_args(Control), *APIS):
        assert re.search(rf"^\| `{name}` \|", PAGE, re.M), name


def test_the_budget_of_the_page_is_read(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(re.findall(r"`(budget: .*?})`", PAGE)[0])
    told = load(tmp_path / "b.yaml").plain()["budget"]
    assert budget_of(told) == Budget(2000, 3_000_000, 5, 0.4)


def test_what_100_images_cost_is_added_up() -> None:
    picture = (1024 // cost.PATCH + 1) ** 2
    assert abs(picture - 1370) < 10
    tokens = 600 * (cost.WORDS + picture) + 300 * (cost.WORDS + 2 * picture)
    assert round(tokens / 1e6, 1) == 1.8
    small = (512 // cost.PATCH + 1) ** 2
    assert round((600 * (cost.WORDS + small) + 300 * (cost.WORDS + 2 * small)) / 1e6, 1) == 0.5
