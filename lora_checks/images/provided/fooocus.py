"""Read Fooocus' metadata: a JSON object or A1111's text under "parameters" (its modules/meta_parser.py).

Styles expand a prompt; the metadata also has the prompt as the user wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lora_checks.images.provided import uses
from lora_checks.images.provided.statement import Origin, json_object, plain, whole_number
from lora_checks.images.provided.uses import Use, called, digest, number

SOURCE = "its Fooocus parameters"
_COMBINED = re.compile(r"(?:lora_combined_|lora )\d+", re.IGNORECASE)


def wrote(settings: Mapping[str, str]) -> bool:
    """Tell whether Fooocus wrote this A1111 text."""
    return "fooocus" in settings.get("version", "").lower() or not {"raw prompt", "lora weights"}.isdisjoint(
        settings
    )


def of_settings(full: str, settings: Mapping[str, str]) -> Origin:
    """Read A1111's text by Fooocus; its weights include the tags of the prompt."""
    raw = plain(settings.get("raw prompt") or full)
    return Origin(
        raw,
        seed=whole_number(settings.get("seed", "")),
        loras=tuple(_weighed(settings.get("lora weights", ""), settings.get("lora hashes", ""))),
        style=_added(raw, full, settings.get("styles", "")),
        source=SOURCE,
    )


def read(text: str) -> Origin:
    settings = json_object(text)
    if (
        not {"prompt", "full_prompt"} & settings.keys()
        or not {"performance", "metadata_scheme"} & settings.keys()
    ):
        return Origin()
    raw = plain(str(settings.get("prompt") or ""))
    full = settings.get("full_prompt")
    full = ", ".join(map(str, full)) if isinstance(full, list) else str(full or "")
    return Origin(
        raw,
        seed=whole_number(settings.get("seed")),
        loras=tuple(_listed(settings)),
        style=_added(raw, plain(full), str(settings.get("styles") or "")),
        source=SOURCE,
    )


def _added(raw: str, full: str, styles: str) -> str:
    """Return what styles added to the prompt that the user wrote."""
    named = styles if styles not in ("", "[]") else ""
    return "" if not full or full == raw else named or full.removeprefix(raw).strip(" ,")


def _weighed(weights: str, digests: str) -> list[Use]:
    """Read "name: 0.8, other: 1.0"; older versions have "name: digest: 0.8" under "Lora hashes"."""
    by_name, listed = {}, []
    for parts in _parts(digests):
        by_name[parts[0]] = digest(parts[1])
        listed += [_use(parts[0], parts[2])] if len(parts) == 3 and not weights else []
    listed += [_use(parts[0], parts[-1]) for parts in _parts(weights)]
    return uses.with_digests(listed, by_name)


def _parts(text: str) -> Iterator[list[str]]:
    for entry in text.split(", "):
        parts = [part.strip() for part in entry.rsplit(": ", 2 if entry.count(": ") > 1 else 1)]
        if len(parts) > 1:
            yield parts


def _listed(settings: Mapping[str, Any]) -> Iterable[Use]:
    """Read "loras": [[name, weight, digest]], and the same ones as "lora_combined_1": "name : weight"."""
    entries = settings.get("loras")
    lists = [each for each in entries if isinstance(each, list)] if isinstance(entries, list) else []
    combined = [value.split(" : ") for name, value in settings.items() if _is_combined(name, value)]
    by_name = {str(each[0]): digest(each[2]) for each in lists if len(each) > 2}
    listed = [_use(*parts[-2:]) for parts in combined if len(parts) > 1 and parts[0] != "False"]
    named = {use.name for use in listed}
    listed += [_use(*each[:2]) for each in lists if len(each) > 1 and called(str(each[0])) not in named]
    return uses.with_digests(listed, by_name)


def _is_combined(name: str, value: object) -> bool:
    return bool(_COMBINED.fullmatch(name)) and isinstance(value, str) and not value.startswith("None")


def _use(name: object, weight: object) -> Use:
    strength = number(weight)
    return Use(called(str(name)), strength, strength)
