"""Documents of several LoRAs with known values, for the tests of ranking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lora_checks.core.records import Lora, Measurement, Threshold
from lora_checks.judge.verdict import judge, margin
from lora_checks.record.codec import row
from lora_checks.stats import summary

PROMPTS = tuple(f"prompt-{i:02}" for i in range(16))
ROWS = {
    "identity": Threshold("identity", "arcface", "w", min=0.45, max_missing=0.5),
    "face-found": Threshold("face-found", "arcface", "w", max=0.5, stat="missing"),
    "adherence": Threshold("adherence", "clip_score", "w", min=0.5),
    "not-a-copy": Threshold("not-a-copy", "trunk_distance", "w", min=0.1, against="train"),
    "drift": Threshold("drift", "lpips", "w", max=0.4),
    "light": Threshold("light", "brightness", "w", min=100.0, max=200.0),
    "distribution": Threshold("distribution", "trunk_frechet", "w", max=700.0),
    "leak": Threshold("leak", "arcface", "w", max=0.5, on="no-trigger", required=False),
}
BETTER = {"lpips": "lower", "trunk_distance": "lower", "trunk_frechet": "lower"}
Values = Mapping[str, Sequence[float | None]]  # prompt -> the value of each seed


def even(value: float | None, prompts: Sequence[str] = PROMPTS) -> dict[str, list[float | None]]:
    """The same value for every image."""
    return {prompt: [value, value] for prompt in prompts}


def spread(
    rng: np.random.Generator, mean: float, sd: float = 0.05, prompts: Sequence[str] = PROMPTS
) -> dict[str, list[float | None]]:
    return {prompt: [float(v) for v in rng.normal(mean, sd, 2)] for prompt in prompts}


def measured(check: str, values: Values) -> Measurement:
    """As `lora_checks.judge.measure` does it from the values of images."""
    rule = ROWS[check]
    better: Any = BETTER.get(rule.metric, "higher")
    pairs = [(f"{prompt}/{seed}", v) for prompt, found in values.items() for seed, v in enumerate(found)]
    there = [(name.rpartition("/")[0], v) for name, v in pairs if v is not None]
    ask = summary.Ask(rule.stat, rule.at, lowest=better == "higher")
    if rule.stat == "missing":
        groups = [name.rpartition("/")[0] for name, _ in pairs]
        found = summary.of_hits(ask, np.array([v is None for _, v in pairs]), groups)
    else:
        found = summary.of_images(ask, np.array([v for _, v in there]), [prompt for prompt, _ in there])
    return Measurement(
        metric=rule.metric, stat=rule.stat, n=len(there), missing=len(pairs) - len(there), better=better,
        network="n:1", label="net", against=f"{rule.against} (24)", prompts=len(values), on=rule.on,
        per_image=tuple(pairs), **found,
    )  # fmt: skip


def of_set(check: str, value: float, by_prompt: Mapping[str, float] | None = None) -> Measurement:
    return Measurement(
        ROWS[check].metric, "mean", value, 32, 0, "lower", "n:1", "net", against="references (24)",
        prompts=16, low=value - 1, high=value + 1, by_prompt=tuple((by_prompt or {}).items()),
    )  # fmt: skip


def lora(name: str, rows: Mapping[str, Values | Measurement], **fields: Any) -> dict[str, Any]:
    """A LoRA of the document; what its rows say decides whether it passes."""
    record = Lora(Path(f"runs/{name}.safetensors"), name, "9c1e" * 16, "diffusers", (4,), (4.0,), {}, 6)
    found = []
    for check, values in rows.items():
        m = values if isinstance(values, Measurement) else measured(check, values)
        made = judge(m, ROWS[check], record)
        assert margin(m, ROWS[check]) is not None
        found.append(row(made))
    failed = [one for one in found if one["required"] and one["outcome"] != "PASS"]
    return {
        "name": name, "path": f"runs/{name}.safetensors", "sha256": "9c1e" * 16, "scale": 1.0, "ranks": [4],
        "facts": {}, "outcome": "FAIL" if failed else "PASS", "images": [], "missing": [], "rows": found,
    } | fields  # fmt: skip


def document(*loras: dict[str, Any], **run: Any) -> dict[str, Any]:
    return {"schema": 2, "outcome": "FAIL", "run": run, "loras": list(loras)}
