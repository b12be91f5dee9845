"""Extract what trackers log from a report: pure functions of the document, shared by all trackers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lora_checks.core.words import clean, printable
from lora_checks.record.rows import title
from lora_checks.record.shapes import Document, Lora
from lora_checks.report import tables

COLUMNS = tuple(name for name in tables.COLUMNS if name != "text")  # the prompts are logged once


def scalars(lora: Lora) -> dict[str, float]:
    """Return the numbers of a LoRA as "identity/value", "identity/low", ...; missing ones have no key."""
    numbers_by_tag: dict[str, float] = {}
    for row in lora["rows"]:
        m, threshold = row["measurement"], row["threshold"]
        if m is None:
            continue
        numbers = {
            "value": m["value"],
            "low": m["low"],
            "high": m["high"],
            "missing": m["missing"],
            "min": threshold["min"] if threshold else None,
            "max": threshold["max"] if threshold else None,
            "margin": row["margin"],
        }
        numbers_by_tag |= {
            f"{clean(row['check'])}/{name}": float(value)
            for name, value in numbers.items()
            if value is not None
        }
    required = [row["outcome"] for row in lora["rows"] if row["required"]]
    return numbers_by_tag | {
        "lora_checks/passed": float(lora["outcome"] == "PASS"),
        "lora_checks/rows_passed": float(required.count("PASS")),
        "lora_checks/rows": float(len(required) + len(lora["missing"])),
    }


def values(loras: Sequence[Lora]) -> list[list[Any]]:
    """Return the report's tidy table in the order of `COLUMNS`: a line for each value of each picture."""
    return [[clean(line[name]) for name in COLUMNS] for line in tables.lines(loras)]


def config(document: Document, loras: Sequence[Lora]) -> dict[str, Any]:
    """Return what must be equal for two values to be comparable: digests, versions, hardware and policy."""
    run: Mapping[str, Any] = document["run"]
    names = (
        "base dtype batch_size device hardware policy seeds trigger class_words sampler versions companions "
        "base_sampler elsewhere until_decided started finished seconds command"
    )
    facts = {name: run[name] for name in names.split() if run.get(name) not in (None, "", [], {})}
    keys = ("name", "path", "sha256", "scale", "step", "ranks", "outcome")
    facts["loras"] = [
        {name: value for name, value in lora.items() if name in keys and value not in (None, "", [])}
        for lora in loras
    ]
    facts["prompts"] = len(document["run"]["prompts"])
    cleaned: dict[str, Any] = clean(facts)
    return cleaned


def flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield name and text of each leaf: ("policy.digest", "e39c..."), ("loras.0.step", "25")."""
    if isinstance(value, Mapping | list | tuple):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, item in items:
            yield from flat(item, f"{name}.{key}" if name else str(key))
    else:
        yield name, str(value)


def outcome(loras: Sequence[Lora]) -> str:
    """Return the outcome that all LoRAs share, or FAIL if they differ."""
    outcomes = {lora["outcome"] for lora in loras}
    return str(outcomes.pop()) if len(outcomes) == 1 else "FAIL"


def headlines(loras: Sequence[Lora]) -> str:
    return printable("; ".join(f"{title(lora)}: {lora['outcome']}" for lora in loras))


def files(directory: Path) -> list[Path]:
    """Return the report files that the run wrote: report.json, report.md, report.html, ..."""
    return sorted(path for path in directory.glob("report.*") if path.is_file())
