"""Merge a report into a card's YAML: keep keys that a person set, extend lists, replace our own results."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from lora_checks.core.words import clean, count, printable
from lora_checks.publish.card.pictures import FOLDER, PREFIX, Sample
from lora_checks.record.rows import columns

DATASET = "lora-checks"  # dataset type that marks our results
TAGS = ("text-to-image", "diffusers", "lora", "template:sd-lora", "lora-checks")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")  # a local base is recorded by its absolute path
Row = Mapping[str, Any]


def merge(data: Any, document: Row, lora: Row, shown: list[Sample], *, lossless: bool = False) -> None:
    """Add the report to ``data``, a huggingface_hub `CardData`, in place."""
    run = document["run"]
    model = (run.get("base") or {}).get("model", "")
    ours = {
        "base_model": model if _HUB_ID.fullmatch(model) else None,
        "library_name": "diffusers",
        "pipeline_tag": "text-to-image",
        "instance_prompt": printable(run["trigger"]) if run.get("trigger") else None,
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


def index(before: Any, lora: Row, run: Row) -> list[dict[str, Any]]:
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


def results(lora: Row, run: Row) -> list[Any]:
    """Return an `EvalResult` for each row that has a value."""
    from huggingface_hub import EvalResult

    policy, prompts, seeds = run.get("policy") or {}, run.get("prompts"), run.get("seeds") or []
    asked = len(prompts) if isinstance(prompts, list) else int(prompts or 0)
    name = printable(PurePath(str(policy.get("directory", ""))).name or "policy")
    return [
        EvalResult(
            task_type="text-to-image",
            task_name="Text to image",
            dataset_type=DATASET,
            dataset_name=f"{name}: {count(asked, 'prompt')} x {count(len(seeds), 'seed')}",
            dataset_revision=policy.get("digest"),
            metric_type=row["measurement"]["metric"],
            metric_name=f"{printable(row['check'])} ({columns(row)[2]})",
            metric_value=row["measurement"]["value"],
            metric_args=_arguments(row),
        )
        for row in lora["rows"]
        if row["measurement"] and row["measurement"]["value"] is not None
    ]


def _arguments(row: Row) -> dict[str, Any]:
    measured, asked = row["measurement"], row["threshold"] or {}
    facts = {
        "verdict": row["outcome"],
        "required": row["required"],
        **{name: asked.get(name) for name in ("min", "max", "rule")},
        **{
            name: measured.get(name) for name in ("stat", "low", "high", "n", "missing", "against", "network")
        },
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
