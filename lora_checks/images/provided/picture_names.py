"""Tell prompt and seed of pictures by a pattern of file names or a CSV list (``--lora-images-from``)."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
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
_OWN = ("file", "prompt", "seed", "index", "lora", "step")  # columns of a list
TOLD = ("lora", "prompt", "seed", "index", "step")
KEY, _WORD = re.compile(r"[a-z][a-z0-9_]{0,63}"), r"[A-Za-z0-9.]+"  # another field, and what it matches
# Other readings of a field: a LoRA's name may end in what looks like a step (person_v2), and a timestamp may
# have the separator of the fields. A shorter timestamp wins; two readings that remain are an error.
_SHORT_TIME, _LONG_LORA = r"\d(?:[0-9A-Za-z.:-]*[0-9A-Za-z])?", r".+"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern such as ``{lora}_{step}_{prompt}_{timestamp}.png``; without a suffix it matches the stem.

    ``{prompt}`` is a prompt's id. ``{index}`` is the picture's position, counted from 0, among all that the
    policy asks for, each prompt with all its seeds, as trainers number their sample prompts; it is ignored if
    ``{prompt}`` is there too. Any other field, such as ``{rank}``, is a key in which LoRAs differ.
    """

    text: str
    ids: tuple[str, ...]

    @property
    def tells_seeds(self) -> bool:
        return "{seed}" in self.text

    def origin(self, path: Path) -> Origin | None:
        """Return None if the name does not match; raise `MeasureError` if it matches two prompts."""
        name = path.name if Path(self.text).suffix.lower() in SUFFIXES else path.stem
        choices = self.ids if "{prompt}" in self.text else ()
        fitting = [fields for id_ in choices for fields in self._readings(name, re.escape(id_))]
        if len(fitting) > 1:
            raise self._ambiguous(path, fitting)
        readings = fitting or self._readings(name, FIELDS["prompt"])
        if not readings:
            return None
        if len(readings) > 1 and not choices:
            raise self._ambiguous(path, readings)
        fields = readings[0]
        if len(readings) > 1:  # of no prompt of the policy: whose it is, is unknown
            fields = {name: text for name, text in fields.items() if name in ("prompt", "seed", "index")}
        place = int(fields["index"]) if "index" in fields and "prompt" not in fields else None
        seed = int(fields["seed"]) if "seed" in fields else None
        return Origin(
            fields.get("prompt", ""),
            place,
            seed,
            lora=fields.get("lora", ""),
            step=fields.get("step", ""),
            source="its name",
            keys=tuple((name, text) for name, text in fields.items() if name not in TOLD and text),
        )

    def _ambiguous(self, path: Path, readings: Sequence[Mapping[str, str]]) -> MeasureError:
        """Name the first field that two readings of a name differ in."""
        first, second = readings[:2]
        field = next(name for name in ("prompt", *TOLD, *first) if first.get(name) != second.get(name))
        which = "" if field == "prompt" else f"{field} "
        way_out = "write the LoRA's name in place of {lora}, or " if "lora" in first else ""
        return MeasureError(
            f"{path}: {OPTION} {self.text} fits {which}'{first[field]}' and '{second[field]}'; "
            f"{way_out}list the pictures in a CSV file"
        )

    def _readings(self, name: str, prompt: str) -> list[dict[str, str]]:
        """Return the ways to read the name, each as field -> text; none if it does not match."""
        for time in (_SHORT_TIME, FIELDS["timestamp"]):
            readings: list[dict[str, str]] = []
            for lora in (FIELDS["lora"], _LONG_LORA):
                fields = self._match(name, {**FIELDS, "prompt": prompt, "lora": lora, "timestamp": time})
                if fields and fields not in readings:
                    readings.append(fields)
            if readings:
                return readings
        return []

    def _match(self, name: str, fields: Mapping[str, str]) -> dict[str, str]:
        pieces = re.split(r"(\{[^{}]*\}|\*)", self.text)
        parts = [
            _group(piece.strip("{}"), fields) if i % 2 else re.escape(piece) for i, piece in enumerate(pieces)
        ]
        match = re.fullmatch("".join(parts), name)
        return match.groupdict() if match else {}


def _group(name: str, fields: Mapping[str, str]) -> str:
    inner = fields.get(name, _WORD)
    return f"(?P<{name}>{inner})" if name in TOLD or name not in FIELDS else f"(?:{inner})"


@dataclass(frozen=True, slots=True)
class Listed:
    """A CSV file with the columns file, prompt (id or text) and optionally seed, lora and step.

    Another column is a key in which LoRAs differ if it has one value for all pictures of a LoRA at a step.
    """

    path: Path
    rows: Mapping[str, Origin] = field(default_factory=dict)  # file name -> origin

    @property
    def text(self) -> str:
        return str(self.path)

    @property
    def tells_seeds(self) -> bool:
        return any(origin.seed is not None for origin in self.rows.values())

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
    unknown = [name for name in fields if name not in FIELDS and not _is_key(name)]
    if unknown or re.search(r"[{}]", re.sub(r"\{[^{}]*\}", "", spec)):
        known = ", ".join(f"{{{name}}}" for name in FIELDS)
        raise ConfigError(
            f"{OPTION}: '{spec}' has an unknown field (known: {known}, and a key in which the LoRAs differ, "
            "such as {rank})"
        )
    twice = [name for name in fields if fields.count(name) > 1 and name not in ("*", "timestamp")]
    if twice:
        raise ConfigError(f"{OPTION}: '{spec}' has {{{twice[0]}}} twice")
    if not {"prompt", "seed", "index"} & set(fields):
        raise ConfigError(f"{OPTION}: '{spec}' has none of {{prompt}}, {{index}} and {{seed}}")
    return Pattern(spec, tuple(ids))


def _is_key(name: str) -> bool:
    """Tell whether a field is a key of one's own and no slip of the pen: {sed} would divide by seed."""
    return bool(KEY.fullmatch(name)) and not get_close_matches(name, FIELDS, n=1, cutoff=0.7)


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
        lora, step = ((row.get(key) or "").strip() for key in ("lora", "step"))
        keys = tuple(
            (key, (row[key] or "").strip()) for key in heads if KEY.fullmatch(key) and key not in _OWN
        )
        origins[name] = Origin(
            prompt, seed=int(seed) if seed else None, lora=lora, step=step, source=path.name, keys=keys
        )
    return Listed(path, _of_loras(origins))


def _of_loras(origins: Mapping[str, Origin]) -> dict[str, Origin]:
    """Keep the keys that have one value for each LoRA at each step, and not the same one for all of them."""
    values: dict[str, dict[tuple[str, str], set[str]]] = {}
    for origin in origins.values():
        for key, text in origin.keys:
            values.setdefault(key, {}).setdefault((origin.lora, origin.step), set()).add(text)
    kept = {
        key
        for key, groups in values.items()
        if all(len(texts) == 1 for texts in groups.values()) and len(set().union(*groups.values())) > 1
    }
    return {
        name: replace(origin, keys=tuple(pair for pair in origin.keys if pair[0] in kept and pair[1]))
        for name, origin in origins.items()
    }
