"""Every policy that ships asks for its bad tails: a mean hides the prompts that fail."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from lora_checks import metrics
from lora_checks.core.records import Policy, Threshold
from lora_checks.policy.reading import load_policy

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
KINDS = dict(
    zip(
        re.findall(r"^## (.+)$", PAGE, re.M),
        re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S),
        strict=False,
    )
)
OWN = "deviation"  # of tests/examples/own_network/conftest.py, which declares it
OTHERS = {
    "the root": ROOT / "thresholds.yaml",
    "own network": ROOT / "tests/examples/own_network/thresholds.yaml",
}


@pytest.fixture(params=["the miniature", *OTHERS, *KINDS])
def shipped(request: pytest.FixtureRequest, tmp_path: Path) -> Policy:
    name = request.param
    if name == "the miniature":
        return load_policy(ROOT / "examples" / "miniature")
    text = KINDS[name] if name in KINDS else OTHERS[name].read_text(encoding="utf-8")
    (tmp_path / "encoder.onnx").touch()
    (tmp_path / "thresholds.yaml").write_text(text, encoding="utf-8")
    shutil.copy(ROOT / "prompts.yaml", tmp_path)
    for folder in ("references", "train"):
        (tmp_path / folder).mkdir()
    return load_policy(tmp_path)


def quantity_of(row: Threshold) -> tuple[object, ...]:
    pairing = row.pairing or _pairing(row.metric)
    return row.metric, row.network, row.against, pairing, row.texts, row.gain, row.on


def _pairing(metric: str) -> str:
    return "nearest" if metric == OWN else metrics.get(metric).pairing


def is_mean(row: Threshold) -> bool:
    if row.stat != "mean" or row.metric == OWN:
        return row.stat == "mean"
    metric = metrics.get(row.metric)
    if metric.name.endswith("_spread"):  # of all images together, though each has a share in it
        return False
    return metric.per == "image" and not metric.two_valued


def test_each_mean_is_paired_with_its_bad_tail(shipped: Policy) -> None:
    rows = shipped.thresholds
    tails = {quantity_of(row) for row in rows if row.stat == "worst_prompt" or row.at is not None}
    assert [row.name for row in rows if is_mean(row) and quantity_of(row) not in tails] == []


def test_a_tail_can_be_shown_with_the_prompts_of_its_policy(shipped: Policy) -> None:
    """Without a single hit the exact interval has to be inside the limit."""
    from lora_checks.stats.shares import clopper_pearson

    n = len(shipped.prompts.prompts)
    for row in shipped.thresholds:
        if row.rule == "bound" and row.at is not None and row.max is not None:
            assert clopper_pearson(0, n, 0.05)[1] <= row.max, row.name
