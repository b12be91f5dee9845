"""Find what keeps two values from being compared: any difference that affects them and is not the LoRA.

Each reason names both values. Without a reason the difference is due to the LoRA.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from lora_checks.core import quantity
from lora_checks.core.quantity import BASELINE
from lora_checks.core.records import Measurement, Threshold, Verdict
from lora_checks.core.words import number, printable
from lora_checks.policy.arms import ARMS
from lora_checks.record.shapes import Run
from lora_checks.record.shapes.run import Prompt

MOST_PROMPTS = 3  # that a reason names
SAME_PIXELS = frozenset({"vae-slicing"})  # settings of --lora-save-memory that change no pixels


def of_runs(before: Run, now: Run) -> list[str]:
    """Say why no row of two runs can be compared."""
    if bool(before.get("elsewhere")) != bool(now.get("elsewhere")):
        word = {True: "made elsewhere", False: "made by the gate"}
        return [_both("images", *(word[bool(run.get("elsewhere"))] for run in (before, now)))]
    reasons = []
    if _digest_of_base(before) != _digest_of_base(now):
        reasons.append(_both("base", _base(before), _base(now)))
    for what, read in _FACTS.items():
        if read(before) != read(now):
            reasons.append(_both(what, read(before), read(now)))
    return [*reasons, *_sampler(before, now), *_prompts(before, now)]


def shared_prompts(before: Run, now: Run) -> frozenset[str] | None:
    """Return the ids of the prompts that both runs have; None if neither has another one."""
    was, asked = map(_texts, (before, now))
    if was == asked:
        return None
    return frozenset(name for name, text in was.items() if asked.get(name) == text)


def of_strengths(before: float | None, now: float | None) -> list[str]:
    """Say that two LoRAs have different strengths, which may cause the difference."""
    return [] if before == now else [_both("strength of the LoRA", _plain(before), _plain(now))]


def of_rows(before: Verdict, now: Verdict, run_before: Run, run_now: Run) -> list[str]:
    """Say why the values of one row cannot be compared, although their runs can."""
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
    """Say what differs without keeping two runs from being compared."""
    texts = []
    old, new = (list(run.get("versions") or ()) for run in (before, now))
    if set(old) != set(new):
        gone, come = ([version for version in a if version not in b] for a, b in ((old, new), (new, old)))
        texts.append(_both("versions", ", ".join(gone) or "-", ", ".join(come) or "-"))
    if now.get("elsewhere"):
        texts.append("images made elsewhere: that both came from the same base and sampler is not known")
    if before.get("until_decided") is not None or now.get("until_decided") is not None:
        texts.append(
            "made with --lora-until-decided: the intervals ignore that the images stop at a decision"
        )
    return texts


def _both(what: str, before: str, now: str) -> str:
    return printable(f"{what}: {before} before, {now} now")


def _plain(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_plain(item) for item in value)}]"
    return "not known" if value is None or value == "" else str(value)


def _base(run: Run) -> str:
    base = run.get("base")
    return _plain(" ".join(filter(None, (base["label"], base["digest"]))) if base else None)


def _digest_of_base(run: Run) -> str | None:
    base = run.get("base")
    return base["digest"] if base else None


def _companions(run: Run) -> str:
    loras = run.get("companions") or ()
    names = [f"{lora['name']}:{lora['scale']:g} {lora['sha256'][:12]}" for lora in loras]
    return ", ".join(sorted(names)) or "none"


def _memory(run: Run) -> str:
    return ", ".join(sorted(set(run.get("save_memory") or ()) - SAME_PIXELS)) or "none"


def _compiled(run: Run) -> str:
    return "no" if (run.get("compiled") or "no").startswith("no") else "yes"


_FACTS: Mapping[str, Callable[[Run], str]] = {
    "format": lambda run: _plain(run.get("dtype")),
    "hardware": lambda run: _plain(run.get("hardware")),
    "seeds": lambda run: _plain(run.get("seeds")),
    "trigger": lambda run: _plain(run.get("trigger")),
    "class words": lambda run: _plain(run.get("class_words")),
    "other LoRAs on every image": _companions,
    "compiled": _compiled,
    "saving memory at the price of pixels": _memory,
}


def _sampler(before: Run, now: Run) -> list[str]:
    reasons = _settings("sampler", before.get("sampler"), now.get("sampler"))
    if "base_sampler" not in before and "base_sampler" not in now:
        return reasons
    of_base = (run.get("base_sampler") or run.get("sampler") for run in (before, now))
    return reasons + _settings("sampler without the LoRA", *of_base)


def _settings(what: str, before: object, now: object) -> list[str]:
    was, is_now = (side if isinstance(side, Mapping) else {} for side in (before, now))
    keys = [key for key in {**was, **is_now} if was.get(key) != is_now.get(key)]
    return [_both(f"{what}'s {key}", _plain(was.get(key)), _plain(is_now.get(key))) for key in keys]


def _prompts(before: Run, now: Run) -> list[str]:
    was, asked = map(_texts, (before, now))
    ids = [name for name in {**was, **asked} if was.get(name) != asked.get(name)]
    reasons = [_both(f"prompt {name}", *(_quoted(side.get(name)) for side in (was, asked))) for name in ids]
    more = [f"and {len(ids) - MOST_PROMPTS} more prompts"] if len(ids) > MOST_PROMPTS else []
    return reasons[:MOST_PROMPTS] + more


def _texts(run: Run) -> dict[str, str]:
    return {prompt["id"]: prompt["text"] for prompt in run.get("prompts") or ()}


def _quoted(text: str | None) -> str:
    return "none" if text is None else f"'{text}'"


def _asked(m: Measurement, row: Threshold) -> str:
    """Return everything that decides a row's value; its limits do not."""
    against = quantity.sentence(m.metric, m.stat, m.at, m.gain, m.on, of_set=not m.per_image)
    parts = [against, f"against {m.against}" if m.against else "", row.pairing]
    if m.at is not None:
        parts.append(f"counted at {number(m.at)}")
    return ", ".join([*filter(None, parts), *row.texts])


def _folder(row: Threshold, m: Measurement, before: Run, now: Run) -> list[str]:
    """Compare the pictures that the images are compared with; the base's follow from the runs."""
    if not m.against or m.against.startswith(BASELINE):
        return []
    was, held = (_digest(run, row.against) for run in (before, now))
    return [] if was == held else [_both(f"pictures in {row.against}", was, held)]


def _asked_of(m: Measurement, before: Run, now: Run) -> list[str]:
    """Compare the prompts of a set, which are chosen by tags; single images are paired by name."""
    was, asked = ([p["id"] for p in run.get("prompts") or () if _is_on(p, m.on)] for run in (before, now))
    if m.per_image or set(was) == set(asked):
        return []
    return [_both("prompts of the set, by their tags", str(len(was)), str(len(asked)))]


def _is_on(prompt: Prompt, tag: str) -> bool:
    tags = prompt.get("tags") or ()
    return tag in tags if tag else not set(tags) & set(ARMS)


def _digest(run: Run, folder: str) -> str:
    pictures = (run.get("folders") or {}).get(folder)
    return _plain(pictures.get("digest") if pictures else None)
