"""What keeps two values from being compared: anything but the LoRA that decides them and is not the same.

Each reason is a sentence with both values; no reason means that the difference is the LoRA's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lora_checks.core import quantity
from lora_checks.core.quantity import BASELINE
from lora_checks.core.records import Measurement, Threshold, Verdict
from lora_checks.core.words import number, printable
from lora_checks.policy.arms import ARMS

Run = Mapping[str, Any]
MOST_PROMPTS = 3  # named in a reason
SAME_PIXELS = frozenset({"vae-slicing"})  # of --lora-save-memory


def of_runs(before: Run, now: Run) -> list[str]:
    """Why no row of two runs can be compared. Either is a report's ``run``."""
    if bool(before.get("elsewhere")) != bool(now.get("elsewhere")):
        word = {True: "made elsewhere", False: "made by the gate"}
        return [_both("images", *(word[bool(run.get("elsewhere"))] for run in (before, now)))]
    found = []
    if (before.get("base") or {}).get("digest") != (now.get("base") or {}).get("digest"):
        found.append(_both("base", _base(before), _base(now)))
    for what, read in _FACTS.items():
        if read(before) != read(now):
            found.append(_both(what, read(before), read(now)))
    return [*found, *_sampler(before, now), *_prompts(before, now)]


def of_strengths(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Of two LoRAs of reports: a difference may be the strength's."""
    if before.get("scale") == now.get("scale"):
        return []
    return [_both("strength of the LoRA", _plain(before.get("scale")), _plain(now.get("scale")))]


def of_rows(before: Verdict, now: Verdict, run_before: Run, run_now: Run) -> list[str]:
    """Why the values of one row, of two runs that can be compared, cannot be."""
    was, m = before.measurement, now.measurement
    if was is None or before.threshold is None or not math.isfinite(was.value):
        return [f"it was not measured before ({before.outcome.value})"]
    if m is None or now.threshold is None or not math.isfinite(m.value):
        return [f"it was not measured now ({now.outcome.value})"]
    asked = [
        _both("measured", *words)
        for words in [(_asked(was, before.threshold), _asked(m, now.threshold))]
        if words[0] != words[1]
    ]
    if asked:
        return asked
    network = [] if was.network == m.network else [_both("network", was.network, m.network)]
    return network + _folder(now.threshold, m, run_before, run_now) + _asked_of(m, run_before, run_now)


def notes(before: Run, now: Run) -> list[str]:
    """What differs and is no obstacle."""
    found = []
    old, new = ([str(one) for one in run.get("versions") or ()] for run in (before, now))
    if set(old) != set(new):
        gone, come = ([one for one in a if one not in b] for a, b in ((old, new), (new, old)))
        found.append(_both("versions", ", ".join(gone) or "-", ", ".join(come) or "-"))
    if now.get("elsewhere"):
        found.append("images made elsewhere: that both came from the same base and sampler is not known")
    if before.get("until_decided") is not None or now.get("until_decided") is not None:
        found.append(
            "made with --lora-until-decided: the intervals do not know that the images stop where they do"
        )
    return found


def _both(what: str, before: str, now: str) -> str:
    return printable(f"{what}: {before} before, {now} now")


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_plain(one) for one in value)}]"
    return "not known" if value is None or value == "" else str(value)


def _base(run: Run) -> str:
    base = run.get("base") or {}
    return _plain(" ".join(str(base[key]) for key in ("label", "digest") if base.get(key)))


def _companions(run: Run) -> str:
    found = [f"{one['name']}:{one['scale']:g} {one['sha256'][:12]}" for one in run.get("companions") or ()]
    return ", ".join(sorted(found)) or "none"


def _memory(run: Run) -> str:
    return ", ".join(sorted(set(run.get("save_memory") or ()) - SAME_PIXELS)) or "none"


_FACTS: Mapping[str, Callable[[Run], str]] = {
    "format": lambda run: _plain(run.get("dtype")),
    "hardware": lambda run: _plain(run.get("hardware")),
    "seeds": lambda run: _plain(run.get("seeds")),
    "trigger": lambda run: _plain(run.get("trigger")),
    "class words": lambda run: _plain(run.get("class_words")),
    "other LoRAs on every image": _companions,
    "saving memory at the price of pixels": _memory,
}


def _sampler(before: Run, now: Run) -> list[str]:
    was, sampler = before.get("sampler") or {}, now.get("sampler") or {}
    keys = [key for key in {**was, **sampler} if was.get(key) != sampler.get(key)]
    return [_both(f"sampler's {key}", _plain(was.get(key)), _plain(sampler.get(key))) for key in keys]


def _prompts(before: Run, now: Run) -> list[str]:
    was, asked = ({one["id"]: one["text"] for one in run.get("prompts") or ()} for run in (before, now))
    ids = [prompt for prompt in {**was, **asked} if was.get(prompt) != asked.get(prompt)]
    found = [_both(f"prompt {one}", *(_quoted(side.get(one)) for side in (was, asked))) for one in ids]
    more = [f"and {len(ids) - MOST_PROMPTS} more prompts"] if len(ids) > MOST_PROMPTS else []
    return found[:MOST_PROMPTS] + more


def _quoted(text: str | None) -> str:
    return "none" if text is None else f"'{text}'"


def _asked(m: Measurement, row: Threshold) -> str:
    """Everything of a row that decides its value; its limits decide nothing about that."""
    against = quantity.sentence(m.metric, m.stat, m.at, m.gain, m.on, of_set=not m.per_image)
    parts = [against, f"against {m.against}" if m.against else "", row.pairing]
    if m.at is not None:
        parts.append(f"counted at {number(m.at)}")
    return ", ".join([*filter(None, parts), *row.texts])


def _folder(row: Threshold, m: Measurement, before: Run, now: Run) -> list[str]:
    """The pictures that images are compared with; those of the base follow from the runs."""
    if not m.against or m.against.startswith(BASELINE):
        return []
    was, held = (_digest(run, row.against) for run in (before, now))
    return [] if was == held else [_both(f"pictures in {row.against}", was, held)]


def _asked_of(m: Measurement, before: Run, now: Run) -> list[str]:
    """The prompts of a set, which tags choose; single images are joined by name, and the others counted."""
    was, asked = ([p["id"] for p in run.get("prompts") or () if _is_on(p, m.on)] for run in (before, now))
    if m.per_image or set(was) == set(asked):
        return []
    return [_both("prompts of the set, by their tags", str(len(was)), str(len(asked)))]


def _is_on(prompt: Mapping[str, Any], tag: str) -> bool:
    tags = prompt.get("tags") or ()
    return tag in tags if tag else not set(tags) & set(ARMS)


def _digest(run: Run, folder: str) -> str:
    found: Mapping[str, Any] = (run.get("folders") or {}).get(folder) or {}
    return _plain(found.get("digest"))


def joined(reasons: Sequence[str]) -> str:
    return "; ".join(reasons)
