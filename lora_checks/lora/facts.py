"""Extract facts about the training from a file's metadata, as short texts for people. They are not verified.

Keys of kohya's sd-scripts (train_network.py), ModelSpec (library/sai_model_spec.py), ai-toolkit
(jobs/process/BaseSDTrainProcess.py, toolkit/metadata.py) and diffusers.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lora_checks.core.words import printable

MAX_TEXT = 200  # characters of one fact
MAX_JSON = 2_000_000  # characters; the tag counts of a large training set have 20 MB
_TAGS = 5

_KEYS = {
    "title": ("modelspec.title", "ss_output_name", "name"),
    "trigger": ("modelspec.trigger_phrase", "trigger_word", "instance_prompt"),
    "base": ("ss_sd_model_name", "base_model"),
    "base sha256": ("ss_new_sd_model_hash", "ss_sd_model_hash"),
    "base version": ("ss_base_model_version",),
    "architecture": ("modelspec.architecture",),
    "prediction": ("modelspec.prediction_type",),
    "network": ("ss_network_module",),
    "network dim": ("ss_network_dim",),
    "network alpha": ("ss_network_alpha",),
    "network args": ("ss_network_args", "lycoris_config"),
    "steps": ("ss_steps",),
    "planned steps": ("ss_max_train_steps",),
    "epoch": ("ss_epoch",),
    "epochs": ("ss_num_epochs",),
    "images": ("ss_num_train_images",),
    "batch": ("ss_total_batch_size", "ss_batch_size_per_device"),
    "learning rate": ("ss_unet_lr", "ss_learning_rate"),
    "text encoder rate": ("ss_text_encoder_lr",),
    "optimizer": ("ss_optimizer",),
    "scheduler": ("ss_lr_scheduler",),
    "resolution": ("ss_resolution", "modelspec.resolution"),
    "clip skip": ("ss_clip_skip",),
    "seed": ("ss_seed",),
    "date": ("modelspec.date",),
    "comment": ("ss_training_comment",),
    "tensors sha256": ("sshs_model_hash",),
}
_EMPTY = {"", "None", "null", "{}", "[]"}


def facts_of(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the facts that the metadata states, each as one printable line."""
    facts = {name: _first(metadata, keys) for name, keys in _KEYS.items()}
    training = _json(metadata, "training_info")
    if isinstance(training, dict):  # ai-toolkit
        facts["steps"] = facts["steps"] or str(training.get("step", ""))
        facts["epoch"] = facts["epoch"] or str(training.get("epoch", ""))
    facts["date"] = facts["date"] or _date(metadata.get("ss_training_finished_at", ""))
    facts["tags"] = _tags(metadata)
    facts["software"] = software_of(metadata)
    return {name: shortened(text) for name, text in facts.items() if text.strip() not in _EMPTY}


def shortened(text: str) -> str:
    """Return the text as one printable line of at most `MAX_TEXT` characters."""
    line = printable(text[: MAX_TEXT + 1]).strip()
    return line if len(line) <= MAX_TEXT else line[: MAX_TEXT - 3] + "..."


def software_of(metadata: Mapping[str, str]) -> str:
    """Return the trainer, such as "ai-toolkit 0.7.1", "sd-scripts" or "diffusers"; "" if unknown."""
    software = _json(metadata, "software")
    if isinstance(software, dict):
        return f"{software.get('name', '')} {software.get('version', '')}".strip()
    module = metadata.get("ss_network_module", "")
    if module:
        return "sd-scripts with LyCORIS" if module.startswith("lycoris") else "sd-scripts"
    return "diffusers" if "lora_adapter_metadata" in metadata else ""


def _first(metadata: Mapping[str, str], keys: tuple[str, ...]) -> str:
    return next((metadata[key] for key in keys if metadata.get(key, "").strip() not in _EMPTY), "")


def _json(metadata: Mapping[str, str], key: str) -> Any:
    text = metadata.get(key, "")
    if not text or len(text) > MAX_JSON:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _date(text: str) -> str:
    """Format the seconds since 1970 that sd-scripts writes."""
    try:
        return datetime.fromtimestamp(float(text), UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return ""


def _tags(metadata: Mapping[str, str]) -> str:
    """Return the most frequent tags over all folders: a hint at the trigger if none is stated."""
    folders = _json(metadata, "ss_tag_frequency")
    if not isinstance(folders, dict):
        return ""
    counts: Counter[str] = Counter()
    for tags in folders.values():
        if isinstance(tags, dict):
            counts.update({tag.strip(): n for tag, n in tags.items() if type(n) is int and n > 0})
    return ", ".join(f"{tag[:40]} ({n})" for tag, n in counts.most_common(_TAGS))
