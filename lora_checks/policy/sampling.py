"""Read ``base:`` and ``sampler:`` of prompts.yaml.

Values that depend on the base's files (sizes, guidance, lengths) are checked later, in
`lora_checks.diffusion.base.pipeline`; `PromptSet.places` keeps the line of each key for those messages.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lora_checks.core.errors import ConfigError
from lora_checks.core.records import Base, Sampler
from lora_checks.core.records.policies import OF_BASE
from lora_checks.policy import quantization
from lora_checks.policy.prompt_syntax import EVERYWHERE, check_literal
from lora_checks.policy.prompts_keys import BASE, BASE_SAMPLER, SAMPLER
from lora_checks.policy.strict_yaml import Value

CHECKPOINT = ".safetensors"
PICKLES = {".ckpt", ".pt", ".pth", ".bin", ".pkl"}
OWN = "own"  # under `sampler: base:`, the scheduler that the base was saved with
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def base_of(value: Value, parent: Path, option: str | None = None) -> Base:
    """Read ``base:``.

    Args:
        value: The value of ``base:``.
        parent: The folder that relative paths start from.
        option: The value of ``--lora-base``, which replaces model and revision.
    """
    fields = value.table(BASE)
    revision = fields["revision"].text() if "revision" in fields else None
    stated = (
        _base(fields["model"].text(), revision, parent, _place(fields["model"])) if option is None else None
    )
    base = stated or _option(option or "")
    config = _other(fields["config"], parent, file=False) if "config" in fields else None
    if stated is not None and config is not None and not stated.model.endswith(CHECKPOINT):
        raise fields["config"].error(
            "is for a single .safetensors checkpoint; a pipeline has its own settings"
        )
    vae = _other(fields["vae"], parent, file=True) if "vae" in fields else None
    gguf = quantization.gguf_of(fields, parent)
    quantized = {}
    if "quantization" in fields:
        quantized = quantization.quantization_of(fields["quantization"])
        quantization.refuse_twice(fields["quantization"], gguf)
    config = config if base.model.endswith(CHECKPOINT) else None
    return replace(base, config=config, vae=vae, gguf=gguf, quantization=quantized)


def _option(text: str) -> Base:
    model, _, revision = text.partition("@") if not Path(text).exists() else (text, "", "")
    return _base(model, revision or None, Path(), "--lora-base")


def _base(model: str, revision: str | None, parent: Path, where: str) -> Base:
    """Resolve a model; refuse a mistyped path, so that it does not become a download."""
    path = path_of(model, parent, where)
    if path.is_dir() or (path.is_file() and path.suffix == CHECKPOINT):
        return Base(str(path.resolve()), revision)
    if path.exists():
        quantization.refuse_as_model(path, where)
        raise ConfigError(f"{where}: {path} {_no_checkpoint(path)}")
    if not _is_hub_id(model, parent):
        raise ConfigError(
            f"{where}: {path} does not exist; give a pipeline directory, a .safetensors checkpoint or a "
            "hub id 'owner/name'"
        )
    return Base(model, revision)


def _no_checkpoint(path: Path) -> str:
    if path.suffix in PICKLES:
        return "is a pickle, which can run code when it is loaded; use the checkpoint's .safetensors file"
    return "is a file; the base must be a diffusers pipeline directory or a .safetensors checkpoint"


def _other(value: Value, parent: Path, *, file: bool) -> str:
    """Return a folder (or a file) as an absolute path, or a hub id with its revision unchanged."""
    text = value.text()
    path = path_of(text, parent, _place(value))
    if path.is_dir() or (file and path.is_file() and path.suffix == CHECKPOINT):
        return str(path.resolve())
    if path.is_file() and path.suffix in PICKLES:
        raise value.error(f"{path} {_no_checkpoint(path)}")
    if path.exists() or not _is_hub_id(text.partition("@")[0], parent):
        kinds = "a folder, a .safetensors file" if file else "a pipeline folder"
        problem = "cannot be used" if path.exists() else "does not exist"
        raise value.error(f"{path} {problem}; give {kinds} or a hub id 'owner/name'")
    return text


def _is_hub_id(text: str, parent: Path) -> bool:
    return bool(_HUB_ID.fullmatch(text)) and not (parent / Path(text).parts[0]).exists()


def path_of(text: str, parent: Path, where: str) -> Path:
    """Return ``text`` as a path relative to ``parent``. Raises `ConfigError` if it cannot be a path."""
    path = parent / os.path.expanduser(text)  # noqa: PTH111  # Path.expanduser raises for unknown users
    try:
        path.exists()
    except OSError as error:
        raise ConfigError(f"{where}: '{text[:60]}' cannot be a path: {error.strerror}") from None
    return path


def sampler_of(value: Value, *, literal: bool) -> tuple[Sampler, dict[str, str]]:
    """Read ``sampler:``; also return the file and line of each of its keys."""
    fields = value.table(SAMPLER)
    size: dict[str, Any] = {"width": _pixels(fields["width"]), "height": _pixels(fields["height"])}
    own = {key: entry for key, entry in fields.items() if key != "base"}
    settings: dict[str, Any] = {"guidance": None} | _settings_of(own, literal)
    return Sampler(**size, **settings), _places(own)


def base_sampler_of(
    value: Value, sampler: Sampler, *, literal: bool
) -> tuple[Sampler | None, dict[str, str]]:
    """Read ``base:`` under ``sampler:``, the settings of the images without the LoRA.

    What it does not name is as with the LoRA; settings of a scheduler are those of the one it names.

    Args:
        value: The value of ``sampler:``.
        sampler: What `sampler_of` read.
        literal: Whether the policy says that its texts are meant literally.

    Returns:
        The settings, or None where the base's images are made as those of the LoRA; the places of its keys.
    """
    entry = value.mapping().get("base")
    if entry is None:
        return None, {}
    fields = entry.table(BASE_SAMPLER)
    if not fields:
        raise entry.error("names no setting; remove it, or name one that differs without the LoRA")
    settings = _settings_of(fields, literal)
    if "scheduler" in fields:
        settings = {"scheduler_settings": {}} | settings
        if settings["scheduler"] == OWN:
            settings["scheduler"] = None
    base = replace(sampler, **settings)
    if base == sampler:
        raise entry.error("says what holds with the LoRA, too; remove it")
    return base, {f"{OF_BASE}{key}": place for key, place in _places(fields).items()}


def _settings_of(fields: Mapping[str, Value], literal: bool) -> dict[str, Any]:
    """Read the settings that the table names, except for the size."""
    if "negative" in fields:
        check_literal(fields["negative"], literal, EVERYWHERE)
    return {key: read(fields[key]) for key, read in _READ.items() if key in fields}


def _places(fields: Mapping[str, Value]) -> dict[str, str]:
    places = {name: _place(field) for name, field in fields.items()}
    settings = fields["scheduler_settings"].mapping() if "scheduler_settings" in fields else {}
    return places | {f"scheduler_settings.{name}": _place(entry) for name, entry in settings.items()}


def _place(value: Value) -> str:
    return f"{value.where}: {value.key}"


def _scheduler(value: Value) -> str:
    name = value.text()
    if not name.isidentifier():
        raise value.error(f"must be a diffusers class name such as DDIMScheduler, not '{name}'")
    return name


def _pixels(value: Value) -> int:
    pixels = value.integer(8)
    if pixels % 8:
        raise value.error(f"must be a multiple of 8, not {pixels}")
    return pixels


_READ: Mapping[str, Callable[[Value], Any]] = {
    "steps": lambda value: value.integer(1),
    "guidance": lambda value: value.number(0),
    "negative": lambda value: value.text(empty=True),
    "scheduler": _scheduler,
    "scheduler_settings": lambda value: {name: entry.plain() for name, entry in value.mapping().items()},
    "max_sequence_length": lambda value: value.integer(1),
    "true_cfg_scale": lambda value: value.number(1),
}
