"""List the facts of a run that are needed to check or repeat it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from lora_checks.core.words import count, printable
from lora_checks.record.shapes import Document, Lora, Run

RUN = (
    "command", "started", "finished", "seconds", "device", "hardware", "dtype", "batch_size", "offload",
    "save_memory", "until_decided", "made", "store", "report",
)  # fmt: skip
Pairs = list[tuple[str, str]]
Section = tuple[str, Pairs]


def sections(document: Document) -> list[Section]:
    """Return the sections: a title and its facts as names and values."""
    run = document["run"]
    titled = [
        ("Run", _run(run)),
        ("Base", _flat(run.get("base") or run.get("elsewhere"))),
        ("Sampling", _sampling(run)),
        ("Policy", _policy(run)),
        ("Versions", [_version(text) for text in run.get("versions") or ()]),
        *((f"Network {slot}", _flat(settings)) for slot, settings in (run.get("networks") or {}).items()),
        *((f"Stacked on {lora['name']}", _flat(lora)) for lora in run.get("companions") or ()),
        *((f"LoRA {lora['name']}", _lora(lora)) for lora in document["loras"]),
    ]
    return [(printable(title), pairs) for title, pairs in titled if pairs]


def _run(run: Run) -> Pairs:
    return _flat({key: run.get(key) for key in RUN})


def _sampling(run: Run) -> Pairs:
    asked = {key: run.get(key) for key in ("trigger", "class_words", "seeds")}
    prompts = run.get("prompts")
    asked["prompts"] = len(prompts) if isinstance(prompts, list) else prompts
    own = run.get("base_sampler")
    of_base = {} if own is None else {"without the LoRA": own}
    sampler = run.get("sampler")
    return _flat({**asked, **(sampler if sampler else {}), **of_base})


def _policy(run: Run) -> Pairs:
    pairs = _flat(run.get("policy"))
    for name, folder in (run.get("folders") or {}).items():
        images = folder.get("images") or ()
        words = f"{count(len(images), 'picture')}, {folder.get('digest') or ''}"
        pairs.append((printable(f"folder {name}"), printable(words)))
    return pairs


def _lora(lora: Lora) -> Pairs:
    keys = ("path", "sha256", "scale", "step", "ranks", "images")
    return _flat({key: lora.get(key) for key in keys}) + _flat(lora.get("facts"))


def _version(text: object) -> tuple[str, str]:
    name, _, number = printable(str(text)).rpartition(" ")
    return (name, number) if name else (number, "")


def _flat(value: object, before: str = "") -> Pairs:
    """Flatten nested names to "policy parts thresholds"; skip empty values."""
    if not isinstance(value, Mapping):
        return []
    pairs: Pairs = []
    for key, item in value.items():
        name = printable(f"{before} {key}".strip().replace("_", " "))
        if isinstance(item, Mapping):
            pairs += _flat(item, name)
        elif item not in (None, "", [], ()):
            pairs.append((name, _text(item)))
    return pairs


def _text(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return printable(f"{value:g}" if isinstance(value, float) else str(value))


def moment(text: object) -> str:
    """Format an ISO time as "24 Nov 2026, 18:57 UTC"; return "" for anything else."""
    try:
        return datetime.fromisoformat(str(text)).strftime("%-d %b %Y, %H:%M UTC")
    except ValueError:
        return ""
