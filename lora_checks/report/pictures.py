"""Choose pictures of a LoRA to show if there is no room for all, with their captions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from lora_checks.core.files import is_of
from lora_checks.core.words import number, printable
from lora_checks.record.shapes import Lora, Run

MOST = 64  # pictures of a LoRA to show


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to show, with its caption."""

    name: str  # "prompt-id/seed"
    prompt: str
    seed: int | None
    text: str  # the prompt's text
    file: Path
    values: Mapping[str, float | None]  # check -> this picture's value; None if it has none

    @property
    def caption(self) -> str:
        seed = "" if self.seed is None else f", seed {self.seed}"
        values = ", ".join(f"{check} {number(value)}" for check, value in self.values.items())
        return printable(": ".join(part for part in (f"{self.prompt}{seed}", self.text, values) if part))


def pictures(lora: Lora, run: Run, most: int = MOST) -> list[Picture]:
    """Return at most ``most`` pictures: each prompt's first seed, then each second seed, and so on.

    Pictures that are missing or have changed since they were judged are left out.
    """
    texts = {prompt["id"]: prompt["text"] for prompt in run["prompts"]}
    values_by_name, seen = _by_picture(lora), dict[str, int]()
    ranked = []
    for item in lora.get("pictures") or ():
        prompt, seed = item["prompt"], item["seed"]
        seen[prompt] = seen.get(prompt, 0) + 1
        ranked.append((seen[prompt], item["name"], prompt, seed, Path(item["file"]), item["sha256"]))
    ranked.sort(key=lambda entry: entry[0])
    there = (entry for entry in ranked if is_of(entry[-2], entry[-1]))
    return [
        Picture(name, prompt, seed, texts.get(prompt, ""), file, values_by_name.get(name, {}))
        for _, name, prompt, seed, file, _ in islice(there, most)
    ]


def _by_picture(lora: Lora) -> dict[str, dict[str, float | None]]:
    """Map each picture to its value by check; a share of missing faces is not a value of a picture."""
    values: dict[str, dict[str, float | None]] = {}
    for row in lora["rows"]:
        measured = row["measurement"]
        if measured and measured["stat"] != "missing":
            for name, value in measured["per_image"]:
                values.setdefault(name, {})[row["check"]] = value
    return values
