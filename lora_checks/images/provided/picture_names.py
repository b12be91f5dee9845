"""Tell prompt and seed of pictures by a pattern of file names or a CSV list (``--lora-images-from``)."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lora_checks.core.errors import ConfigError, MeasureError
from lora_checks.images.decoding import SUFFIXES
from lora_checks.images.provided.origin import Origin

OPTION = "--lora-images-from"
FIELDS = {
    "prompt": r".+?",
    "seed": r"\d+",
    "index": r"\d+",
    "lora": r".+?",
    "step": r"[A-Za-z]*\d+",
    "timestamp": r"\d(?:[\w.:-]*\w)?",
    "*": r".*?",
}
TOLD = ("prompt", "seed", "index", "step")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern such as ``{lora}_{step}_{prompt}_{timestamp}.png``; without a suffix it matches the stem.

    ``{prompt}`` is a prompt's id. ``{index}`` is the picture's position, counted from 0, among all that the
    policy asks for, each prompt with all its seeds, as trainers number their sample prompts; it is ignored if
    ``{prompt}`` is there too.
    """

    text: str
    ids: tuple[str, ...]

    def origin(self, path: Path) -> Origin | None:
        """Return None if the name does not match; raise `MeasureError` if it matches two prompts."""
        name = path.name if Path(self.text).suffix.lower() in SUFFIXES else path.stem
        choices = self.ids if "{prompt}" in self.text else ()
        fitting = [fields for fields in (self._match(name, re.escape(id_)) for id_ in choices) if fields]
        if len(fitting) > 1:
            both = " and ".join(f"'{fields['prompt']}'" for fields in fitting[:2])
            raise MeasureError(f"{path}: {OPTION} {self.text} fits {both}; list the pictures in a CSV file")
        fields = fitting[0] if fitting else self._match(name, FIELDS["prompt"])
        if not fields:
            return None
        place = int(fields["index"]) if "index" in fields and "prompt" not in fields else None
        seed = int(fields["seed"]) if "seed" in fields else None
        return Origin(fields.get("prompt", ""), place, seed, step=fields.get("step", ""), source="its name")

    def _match(self, name: str, prompt: str) -> dict[str, str]:
        """Return field -> text; empty if the name does not match."""
        pieces = re.split(r"(\{[^{}]*\}|\*)", self.text)
        parts = [
            _group(piece.strip("{}"), prompt) if i % 2 else re.escape(piece) for i, piece in enumerate(pieces)
        ]
        match = re.fullmatch("".join(parts), name)
        return match.groupdict() if match else {}


def _group(name: str, prompt: str) -> str:
    inner = prompt if name == "prompt" else FIELDS[name]
    return f"(?P<{name}>{inner})" if name in TOLD else f"(?:{inner})"


@dataclass(frozen=True, slots=True)
class Listed:
    """A CSV file with the columns file, prompt (id or text) and optionally seed."""

    path: Path
    rows: Mapping[str, Origin] = field(default_factory=dict)  # file name -> origin

    @property
    def text(self) -> str:
        return str(self.path)

    def origin(self, path: Path) -> Origin | None:
        return self.rows.get(path.name)

    def refuse_absent(self, folders: Sequence[Path]) -> None:
        """Raise `MeasureError` for a listed picture that is missing; it may have been a bad one."""
        there = {path.name for folder in folders for path in folder.iterdir()}
        absent = [name for name in self.rows if name not in there]
        if absent:
            where = " or ".join(map(str, folders))
            raise MeasureError(f"{where}: {self.path.name} names {absent[0]}, which is not there")


Names = Pattern | Listed


def read_names(spec: str, root: Path, ids: Sequence[str]) -> Names:
    """Parse a SPEC; raise `ConfigError` if it is neither a pattern nor a readable list."""
    if "{" in spec or "*" in spec:
        return _pattern(spec, ids)
    if Path(spec).suffix.lower() != ".csv":
        raise ConfigError(
            f"{OPTION}: '{spec}' is neither a pattern such as {{prompt}}_{{seed}}.png nor a .csv file"
        )
    return _listed(root / spec)


def _pattern(spec: str, ids: Sequence[str]) -> Pattern:
    fields = re.findall(r"\{([^{}]*)\}", spec)
    unknown = [name for name in fields if name not in FIELDS]
    if unknown or re.search(r"[{}]", re.sub(r"\{[^{}]*\}", "", spec)):
        known = ", ".join(f"{{{name}}}" for name in FIELDS)
        raise ConfigError(f"{OPTION}: '{spec}' has an unknown field (known: {known})")
    twice = [name for name in TOLD if fields.count(name) > 1]
    if twice:
        raise ConfigError(f"{OPTION}: '{spec}' has {{{twice[0]}}} twice")
    if not {"prompt", "seed", "index"} & set(fields):
        raise ConfigError(f"{OPTION}: '{spec}' has none of {{prompt}}, {{index}} and {{seed}}")
    return Pattern(spec, tuple(ids))


def _listed(path: Path) -> Listed:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            heads = list(reader.fieldnames or ())
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeError, csv.Error) as error:
        raise ConfigError(
            f"{OPTION}: {path} cannot be read: {getattr(error, 'strerror', '') or error}"
        ) from error
    lacking = {"file", "prompt"} - set(heads)
    if lacking:
        raise ConfigError(
            f"{OPTION}: {path}: the first line lacks {', '.join(sorted(lacking))}; it must be "
            f"file,prompt,seed with commas, but is {','.join(heads)!r}"
        )
    if len(set(heads)) < len(heads):
        raise ConfigError(f"{OPTION}: {path}: the first line names a column twice: {','.join(heads)}")
    origins: dict[str, Origin] = {}
    for line, row in rows:
        name, prompt, seed = ((row.get(key) or "").strip() for key in ("file", "prompt", "seed"))
        if None in row:
            raise ConfigError(f'{OPTION}: {path}:{line}: more cells than columns; put "..." around a comma')
        if re.search(r"[/\\]", name):
            raise ConfigError(f"{OPTION}: {path}:{line}: '{name}': name the file without its folder")
        if not name or not prompt or not re.fullmatch(r"\d{0,20}", seed) or name in origins:
            raise ConfigError(
                f"{OPTION}: {path}:{line}: each line needs its own file, a prompt and a whole seed"
            )
        origins[name] = Origin(prompt, seed=int(seed) if seed else None, source=f"{path.name}")
    return Listed(path, origins)
