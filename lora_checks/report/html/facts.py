"""List the facts of a run that are needed to check or repeat it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from lora_checks.core.words import count, printable
from lora_checks.record.shapes import Document, Lora, Run

TIMES = ("started", "finished", "seconds", "command")
MACHINE = ("device", "hardware", "dtype", "batch_size", "offload", "save_memory", "compiled")
MADE = ("until_decided", "made", "store", "report")
WORDS = {  # names of the document that are not plain words
    "batch size": "images at a time", "class words": "class of the subject", "det size": "detection size",
    "digest": "version (digest)", "directory": "folder", "dtype": "precision", "guidance": "guidance scale",
    "net": "network",
    "made batch sizes": "made in batches of", "made images": "images made in this run",
    "made resident loras": "LoRAs kept on the base, as memory was short",
    "made vae dtypes": "precision of the VAE", "offload": "moved off the GPU", "report": "report folder",
    "save memory": "to save memory", "scale": "strength", "seconds": "took", "sha256": "SHA-256",
    "self test": "gave in its self-test", "store": "images are kept in", "trigger": "trigger word",
    "until decided": "images at most",
}  # fmt: skip
FEW = 4  # LoRAs whose facts are shown unfolded
Pairs = list[tuple[str, str]]
Section = tuple[str, Pairs]
Group = tuple[str, list[Section], bool]  # the question it answers, its sections, whether it is folded


def groups(document: Document) -> list[Group]:
    """Return the facts by the question they answer; each section has a title, names and values."""
    run, loras = document["run"], document["loras"]
    networks = (run.get("networks") or {}).items()
    asked = [
        ("Policy", _policy(run)),
        ("Sampling", _sampling(run)),
        ("Base", _flat(run.get("base") or run.get("elsewhere"))),
        *((f"Stacked on {lora['name']}", _flat(lora)) for lora in run.get("companions") or ()),
    ]
    machine = [
        ("When", _named(run, TIMES)),
        ("Machine", _named(run, MACHINE)),
        ("Images", _named(run, MADE)),
        ("Versions", [_version(text) for text in run.get("versions") or ()]),
    ]
    asked_of = run.get("judges") or {}
    measured = [
        (f"Network {slot}", [*_flat(settings), *_flat(asked_of.get(slot))]) for slot, settings in networks
    ]
    grouped = [
        ("What was asked", asked, False),
        ("When, where and with what it ran", machine, False),
        ("What measured it", measured, False),
        ("Which LoRAs", [(f"LoRA {lora['name']}", _lora(lora)) for lora in loras], len(loras) > FEW),
    ]
    shown = [(name, [(printable(title), pairs) for title, pairs in sections if pairs], folded)
             for name, sections, folded in grouped]  # fmt: skip
    return [group for group in shown if group[1]]


def _named(run: Run, keys: Sequence[str]) -> Pairs:
    return _flat({key: _timed(key, run.get(key)) for key in keys})


def _timed(key: str, value: object) -> object:
    """Return times and durations as people say them: "3 min 48 s"."""
    if key in ("started", "finished"):
        return moment(value) or value
    if key != "seconds" or not isinstance(value, int | float):
        return value
    minutes, seconds = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h" if hours else "", f"{minutes} min" if minutes else "", f"{seconds} s"]
    return " ".join(filter(None, parts))


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
        pairs.append((printable(f"pictures of {name}"), printable(words)))
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
        if name.startswith("parts "):  # of the policy
            name = f"digest of {name.removeprefix('parts ')}"
        if isinstance(item, Mapping) and name == "self test":
            pairs.append((WORDS[name], ", ".join(f"{at} {_text(value)}" for at, value in item.items())))
        elif isinstance(item, Mapping):
            pairs += _flat(item, name)
        elif item not in (None, "", [], ()):
            pairs.append((WORDS.get(name, name), _text(item)))
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
