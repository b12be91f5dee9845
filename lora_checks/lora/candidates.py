"""``--lora``, ``--lora-scale`` and ``--lora-with`` -> what is gated, and what it is stacked on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lora_checks.core.errors import ConfigError, LoraFileError
from lora_checks.core.records import Lora
from lora_checks.lora.file import find_loras, inspect, lora_names

MOST = 10.0  # no trainer or user interface goes there; 80 for 0.8 is a slip


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file at a strength; read later, in its test, so that a damaged file is a verdict."""

    name: str  # unique within a run: "good", or "good:0.8" in a sweep
    path: Path
    scale: float = 1.0

    def read(self) -> Lora:
        """Raises `LoraFileError`."""
        return replace(inspect(self.path, self.name), scale=self.scale)


def candidates(arguments: Sequence[str], scales: str | None, root: Path) -> dict[str, Candidate]:
    """Every file at every strength, by name. Raises `ConfigError`."""
    paths = find_loras(arguments, root)
    named = list(zip(lora_names(paths), paths, strict=True))
    if scales is None:
        found = [Candidate(name, path) for name, path in named]
    else:
        of = strengths(scales)
        found = [Candidate(f"{name}:{scale:g}", path, scale) for name, path in named for scale in of]
    by_name = {candidate.name: candidate for candidate in found}
    if len(by_name) < len(found):  # or one of them would not be gated
        twice = next(one.name for one in found if by_name[one.name] is not one)
        raise ConfigError(
            f"--lora: two of the LoRAs would be called '{twice}'; rename a file, or round strengths"
        )
    return by_name


def companions(arguments: Sequence[str], root: Path) -> tuple[Lora, ...]:
    """The LoRAs that every image is made with, each ``PATH`` or ``PATH:STRENGTH``. Raises `ConfigError`."""
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
    """ "0.6,0.8" -> (0.6, 0.8). Raises `ConfigError`."""
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
        raise ConfigError(f"'{text.strip()}' is no strength; write numbers such as 0.8") from None
    if scale == 0:
        raise ConfigError("strength 0 is the base model itself; leave it out")
    if not math.isfinite(scale) or abs(scale) > MOST:
        raise ConfigError(f"strength {text.strip()} is outside -{MOST:g} to {MOST:g}")
    return scale
