"""Merge a report into a card's YAML: keep keys that a person set, extend lists, replace our own results."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from lora_checks.core.words import clean, count, printable
from lora_checks.publish.card.pictures import FOLDER, PREFIX, Sample
from lora_checks.record.rows import columns
from lora_checks.record.shapes import Document, Lora, Row, Run
from lora_checks.record.shapes.rows import Measurement

DATASET = "lora-checks"  # dataset type that marks our results
TAGS = ("text-to-image", "diffusers", "lora", "template:sd-lora", "lora-checks")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")  # a local base is recorded by its absolute path


def merge(data: Any, document: Document, lora: Lora, shown: list[Sample], *, lossless: bool = False) -> None:
    """Add the report to ``data``, a huggingface_hub `CardData`, in place."""
    run = document["run"]
    base = run.get("base")
    model = base["model"] if base else ""
    ours = {
        "base_model": model if _HUB_ID.fullmatch(model) else None,
        "library_name": "diffusers",
        "pipeline_tag": "text-to-image",
        "instance_prompt": printable(run["trigger"]) if run["trigger"] else None,
    }
    for key, value in ours.items():
        if value is not None and not data.get(key):
            data[key] = value
    tags = data.get("tags") or []
    tags = [tags] if isinstance(tags, str) else list(tags)
    data["tags"] = tags + [tag for tag in TAGS if tag not in tags]
    widget = [example for example in data.get("widget") or [] if not _is_ours(example)]
    widget += [_example(sample, lossless) for sample in shown]
    if widget:
        data["widget"] = widget
    data["model-index"] = index(data.get("model-index"), lora, run)


def index(before: Any, lora: Lora, run: Run) -> list[dict[str, Any]]:
    """Return the model-index ``before`` with our results replaced: every row with a value, passed or not."""
    from huggingface_hub.repocard_data import eval_results_to_model_index

    models = [dict(model) for model in before or []]
    name = printable(lora["name"])
    ours = eval_results_to_model_index(name, results(lora, run))[0]
    if not models:
        return [ours]
    for model in models:
        others = [result for result in model["results"] if result.get("dataset", {}).get("type") != DATASET]
        model["results"] = others
    models[0]["results"] = models[0]["results"] + ours["results"]
    return models


def results(lora: Lora, run: Run) -> list[Any]:
    """Return an `EvalResult` for each row that has a value."""
    from huggingface_hub import EvalResult

    policy = run["policy"]
    name = printable(PurePath(policy["directory"]).name or "policy")
    images = f"{count(len(run['prompts']), 'prompt')} x {count(len(run['seeds']), 'seed')}"
    return [
        EvalResult(
            task_type="text-to-image",
            task_name="Text to image",
            dataset_type=DATASET,
            dataset_name=f"{name}: {images}",
            dataset_revision=policy["digest"],
            metric_type=m["metric"],
            metric_name=f"{printable(row['check'])} ({columns(row)[2]})",
            metric_value=m["value"],
            metric_args=_arguments(row, m),
        )
        for row in lora["rows"]
        for m in [row["measurement"]]
        if m and m["value"] is not None
    ]


def _arguments(row: Row, m: Measurement) -> dict[str, Any]:
    threshold = row["threshold"]
    facts = {
        "verdict": row["outcome"],
        "required": row["required"],
        "min": threshold["min"] if threshold else None,
        "max": threshold["max"] if threshold else None,
        "rule": threshold["rule"] if threshold else None,
        "stat": m["stat"],
        "low": m["low"],
        "high": m["high"],
        "n": m["n"],
        "missing": m["missing"],
        "against": m["against"],
        "network": m["network"],
    }
    arguments: dict[str, Any] = clean({key: value for key, value in facts.items() if value not in (None, "")})
    return arguments


def _example(sample: Sample, lossless: bool) -> dict[str, Any]:
    text = printable(sample.picture.text or sample.picture.prompt)
    return {"text": text, "output": {"url": sample.url(lossless)}}


def _is_ours(example: Any) -> bool:
    output = example.get("output") if isinstance(example, Mapping) else None
    url = output.get("url") if isinstance(output, Mapping) else None
    return isinstance(url, str) and url.startswith(f"{FOLDER}/{PREFIX}")
