"""Read ``quantization:`` and the .gguf files under ``base:`` of prompts.yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from lora_checks.core.errors import ConfigError
from lora_checks.core.records import NetworkFile, Quantization
from lora_checks.policy.prompts_keys import QUANTIZATION
from lora_checks.policy.quantization_formats import FORMATS, GGUF, KINDS
from lora_checks.policy.strict_yaml import Value

_IN_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w.-]+)?(/[\w.-]+)+\.gguf")


def quantization_of(value: Value) -> dict[str, Quantization]:
    """Read ``quantization:``, how networks of the base are quantised while they are loaded.

    Raises:
        ConfigError: A key, a library or a format is unknown; the message names file and line.
    """
    found = {name: _quantization(entry) for name, entry in value.mapping().items()}
    if not found:
        raise value.error("names no network; remove it, or write `transformer: {library: ..., format: ...}`")
    return found


def _quantization(value: Value) -> Quantization:
    fields = value.table(QUANTIZATION)
    library = fields["library"].choice(list(FORMATS))
    asked = fields["format"].text()
    if asked not in FORMATS[library]:
        others = [name for name in FORMATS if asked in FORMATS[name]]
        also = f" ({' and '.join(others)} {'has' if len(others) == 1 else 'have'} it)" if others else ""
        raise fields["format"].error(
            f"{library} has no format '{asked}'{also}; known: {', '.join(FORMATS[library])}"
        )
    skip = tuple(item.text() for item in fields["skip"].items()) if "skip" in fields else ()
    return Quantization(library, asked, skip, f"{value.where}: {value.key}")


def gguf_of(fields: Mapping[str, Value], parent: Path) -> dict[str, NetworkFile]:
    """Read the .gguf files that stand in place of denoisers' weights, by component.

    Args:
        fields: The keys under ``base:``.
        parent: The folder that relative paths start from.

    Raises:
        ConfigError: A file is not there, or is no .gguf file.
    """
    return {
        name: NetworkFile(_gguf(fields[name], parent), f"{fields[name].where}: {fields[name].key}")
        for name in KINDS
        if name in fields
    }


def _gguf(value: Value, parent: Path) -> str:
    text = value.text()
    path = parent / Path(text).expanduser() if text.startswith("~/") else parent / text
    if path.is_file() and path.suffix == GGUF:
        return str(path.resolve())
    if _IN_REPOSITORY.fullmatch(text) and not (parent / Path(text).parts[0]).exists():
        return text
    problem = "is no .gguf file" if path.exists() else "does not exist"
    raise value.error(f"{path} {problem}; give a .gguf file, or 'owner/name/file{GGUF}' of the hub")


def refuse_twice(value: Value, gguf: Mapping[str, NetworkFile]) -> None:
    """Raise `ConfigError` for a network that is quantised in its file and would be again.

    Args:
        value: The value of ``quantization:``.
        gguf: The .gguf files, by component.
    """
    for name, entry in value.mapping().items():
        if name in gguf:
            raise entry.error(f"its weights come quantised, from the .gguf file of base.{name}; remove one")


def refuse_as_model(path: Path, where: str) -> None:
    """Raise `ConfigError` for a .gguf file that stands where the whole base should."""
    if path.suffix == GGUF:
        raise ConfigError(
            f"{where}: {path} has the weights of a denoiser alone; name the pipeline of its family "
            "as 'model:', and the file as 'transformer:' (or 'unet:') under base:"
        )
