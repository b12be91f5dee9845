"""A base in a single .safetensors file, as model sites distribute it: weights without settings.

diffusers takes the settings (and tokenizers) from a pipeline of the same family. Without ``config:`` it
guesses the family from the tensors and asks the hub for that pipeline; the guess is diffusers' own.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lora_checks.core.errors import ConfigError, LoraFileError, PrerequisiteError
from lora_checks.diffusion.base import hub
from lora_checks.lora.header import read_header

# What from_single_file itself asks the hub for (diffusers/loaders/single_file.py).
SETTINGS = ("*.json", "*/*.json", "*.txt", "*/*.txt", "*/*.model")


def settings_of(file: Path, config: str | None) -> tuple[Path, str]:
    """Return the pipeline directory with the checkpoint's settings, and its hub id ("" if local).

    Raises:
        ConfigError: The checkpoint is damaged.
        PrerequisiteError: The settings are neither here nor on the hub.
    """
    shapes = _shapes(file)
    if config is not None and Path(config).is_absolute():
        return Path(config), ""
    model = config or _guess(shapes)
    try:
        return hub.snapshot(model, SETTINGS, _has_settings, f"{model}, which has its settings,"), model
    except PrerequisiteError as error:
        raise PrerequisiteError(
            f"base {file.name}: {error}; name a pipeline folder of its family with 'config:' under base:"
        ) from None


def _shapes(file: Path) -> Mapping[str, tuple[int, ...]]:
    try:
        with file.open("rb") as stream:
            header = read_header(stream, file.stat().st_size, file.suffix)
    except LoraFileError as error:
        raise ConfigError(f"base {file}: {error}") from None
    return {name: tensor.shape for name, tensor in header.tensors.items()}


def _guess(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Return the hub id that diffusers would choose from names and shapes of the tensors."""
    utils: Any = importlib.import_module("diffusers.loaders.single_file_utils")
    tensors = {name: SimpleNamespace(shape=shape) for name, shape in shapes.items()}
    found: str = utils.fetch_diffusers_config(tensors)["pretrained_model_name_or_path"]
    return found


def _has_settings(folder: Path) -> bool:
    index = folder / "model_index.json"
    if not index.is_file():
        return False
    parts = json.loads(index.read_text(encoding="utf-8"))
    parts.pop("safety_checker", None)
    named = [name for name, value in parts.items() if isinstance(value, list) and value[0] is not None]
    return all(any((folder / name).glob("*.json")) for name in named)
