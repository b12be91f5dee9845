"""Find weights where the libraries themselves look for them, and check a network's settings.

Nothing here downloads anything. Missing weights are an error before any image is made.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from lora_checks.core.errors import ConfigError, PrerequisiteError
from lora_checks.core.known_digests import FOLDER, KnownDigests
from lora_checks.images.decoding import DECODER


def check_keys(kind: str, settings: Mapping[str, Any], known: Collection[str]) -> None:
    """Raise `ConfigError` for an unknown setting: a typo must not select a default."""
    for key in settings:
        if key not in known:
            close = get_close_matches(key, known, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(sorted(known))}"
            raise ConfigError(f"networks: {kind}: unknown setting '{key}'; {hint}")


def local_file(kind: str, key: str, value: object) -> Path:
    """Return the path of a file that the policy names; raise `PrerequisiteError` if it is missing."""
    path = _path(kind, key, value)
    if not path.is_file():
        raise _absent(kind, key, path, "a file", "weights")
    return path


def local_folder(kind: str, key: str, value: object) -> Path:
    """Return the path of a folder that the policy names; raise `PrerequisiteError` if it is missing."""
    path = _path(kind, key, value)
    if not path.is_dir():
        raise _absent(kind, key, path, "a folder", "model")
    return path


def _absent(kind: str, key: str, path: Path, wanted: str, content: str) -> PrerequisiteError:
    problem = f"is not {wanted}" if path.exists() else "does not exist"
    return PrerequisiteError(f"networks: {kind}: {key}: {path} {problem}; put the {content} there")


def _path(kind: str, key: str, value: object) -> Path:
    if not isinstance(value, str | Path) or not str(value):
        raise ConfigError(f"networks: {kind}: {key}: must be a path, not {value!r}")
    return Path(value).expanduser()


def number(
    kind: str, settings: Mapping[str, Any], key: str, default: float, low: float, high: float
) -> float:
    """Return a numeric setting; raise `ConfigError` if it is not a number from ``low`` to ``high``."""
    value = settings.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ConfigError(f"networks: {kind}: {key}: must be a number from {low} to {high}, not {value!r}")
    return value


def torch_hub_file(kind: str, name: str, url: str) -> Path:
    """Return a checkpoint in torch.hub's cache. Raises `PrerequisiteError` if it is not there."""
    path = hub_path(name)
    if not path.is_file():
        raise PrerequisiteError(
            f"networks: {kind}: the weights {name} are not on this machine; "
            f"download {url} to {path}, or point the policy to a copy"
        )
    return path


def hub_path(name: str) -> Path:
    """Return the path of a checkpoint in torch.hub's cache, without importing torch."""
    home = os.environ.get("TORCH_HOME") or Path(
        os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "torch"
    )
    return Path(home).expanduser() / "hub" / "checkpoints" / name


def known_digests(cache: Path | None) -> KnownDigests | None:
    """Return the digests that stand in the store beside a network's ``cache``; None without a store."""
    return None if cache is None else KnownDigests(cache.with_name(FOLDER))


def cause(error: Exception) -> str:
    """Return a library's error message as part of a sentence."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def identity(kind: str, version: str, settings: Mapping[str, Any], digests: Iterable[str]) -> str:
    """Return an ``id`` of all that decides a network's numbers: code, settings, image decoder, weights."""
    chosen = "".join(f" {key}={value}" for key, value in sorted(settings.items()))
    return f"{kind}/{version}{chosen} decoder={DECODER} {' '.join(digest[:16] for digest in digests)}"
