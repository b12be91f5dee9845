"""Turn ``--lora``, ``--lora-scale`` and ``--lora-with`` into candidates and companions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lora_checks.core.errors import ConfigError, LoraFileError
from lora_checks.core.records import Lora
from lora_checks.lora.file import find_loras, inspect, lora_names

MOST = 10.0  # beyond what any trainer or user interface uses; catches slips such as 80 for 0.8


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file at a strength. It is read later, in its test, so that a damaged file becomes a verdict."""

    name: str  # unique within a run: "good", or "good:0.8" in a sweep
    path: Path
    scale: float = 1.0
    facts: Mapping[str, str] = field(default_factory=dict, hash=False)  # known without reading it
    keys: Mapping[str, str] = field(default_factory=dict, hash=False)  # what it differs in from the others

    def read(self) -> Lora:
        """Inspect the file. Raises `LoraFileError`."""
        return replace(inspect(self.path, self.name), scale=self.scale)


def candidates(arguments: Sequence[str], scales: str | None, root: Path) -> dict[str, Candidate]:
    """Return every file at every strength, by name. Raises `ConfigError`."""
    paths = find_loras(arguments, root)
    named = list(zip(lora_names(paths), paths, strict=True))
    if scales is None:
        all_candidates = [Candidate(name, path) for name, path in named]
    else:
        values = strengths(scales)
        all_candidates = [
            Candidate(f"{name}:{scale:g}", path, scale) for name, path in named for scale in values
        ]
    by_name = {candidate.name: candidate for candidate in all_candidates}
    if len(by_name) < len(all_candidates):  # otherwise one of the two would not be gated
        twice = next(c.name for c in all_candidates if by_name[c.name] is not c)
        raise ConfigError(
            f"--lora: two of the LoRAs would be called '{twice}'; rename a file, or round strengths"
        )
    return by_name


def companions(arguments: Sequence[str], root: Path) -> tuple[Lora, ...]:
    """Read the LoRAs that every image is made with, ``PATH`` or ``PATH:STRENGTH``. Raises `ConfigError`."""
    found: dict[str, Lora] = {}
    for argument in arguments:
        lora = _companion(argument, root)
        if lora.sha256 in found:
            raise ConfigError(f"--lora-with: {lora.path} is given twice")
        found[lora.sha256] = lora
    return tuple(found.values())


def _companion(argument: str, root: Path) -> Lora:
    path, _, strength = argument.rpartition(":")
    if not path or (root / argument).exists():
        path, strength = argument, "1"
    try:
        paths = find_loras([path], root)
        if len(paths) != 1:
            raise ConfigError(f"{path} names {len(paths)} files; a companion is one")
        return Candidate(paths[0].stem, paths[0], _scale(strength)).read()
    except (ConfigError, LoraFileError) as error:
        raise ConfigError(f"--lora-with: {str(error).removeprefix('--lora: ')}") from None


def strengths(text: str) -> tuple[float, ...]:
    """Parse a list of strengths: "0.6,0.8" -> (0.6, 0.8). Raises `ConfigError`."""
    try:
        found = tuple(_scale(part) for part in text.split(","))
    except ConfigError as error:
        raise ConfigError(f"--lora-scale: {error}") from None
    if len(set(found)) != len(found):
        raise ConfigError(f"--lora-scale: {text} names a strength twice")
    return found


def _scale(text: str) -> float:
    try:
        scale = float(text)
    except ValueError:
        raise ConfigError(f"'{text.strip()}' is not a strength; write numbers such as 0.8") from None
    if scale == 0:
        raise ConfigError("strength 0 is the base model itself; leave it out")
    if not math.isfinite(scale) or abs(scale) > MOST:
        raise ConfigError(f"strength {text.strip()} is outside -{MOST:g} to {MOST:g}")
    return scale
