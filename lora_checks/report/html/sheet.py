"""Prepare images, values and marks for contact sheets, distributions and the side-by-side view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lora_checks.core.words import number, printable
from lora_checks.record.rows import title
from lora_checks.record.shapes import Document, Lora, Row, Run
from lora_checks.record.shapes.rows import Measurement
from lora_checks.report import questions
from lora_checks.report.html import marks
from lora_checks.report.html.album import Album, approved

Data = dict[str, Any]


def checks(document: Document) -> list[Data]:
    """Return each row with values per image once, in the order of the first LoRA that has it."""
    by_name: dict[str, Data] = {}
    for lora in document["loras"]:
        for row, m in measured(lora):
            by_name.setdefault(row["check"], _check(row, m, document["run"]["class_words"]))
    return list(by_name.values())


def measured(lora: Lora) -> list[tuple[Row, Measurement]]:
    """Return the rows of a LoRA that have values per image, and their measurements."""
    rows = [(row, row["measurement"]) for row in lora["rows"]]
    return [(row, m) for row, m in rows if m and m["per_image"]]


def _check(row: Row, m: Measurement, class_words: str) -> Data:
    least, most = marks.limits_of(row)
    return {
        "name": printable(row["check"]),
        "label": printable(questions.quantity(row, m)),
        "question": printable(questions.asked(row, class_words)),
        "metric": printable(m["metric"]),
        "network": printable(m["label"]),
        "against": printable(m["against"]),
        "better": m["better"],
        "min": least,
        "max": most,
    }


def loras(document: Document, album: Album, order: Sequence[Data]) -> list[Data]:
    """Return title, outcome and images of each LoRA; values follow the order of the checks."""
    prompts = {prompt["id"]: i for i, prompt in enumerate(document["run"]["prompts"])}
    before = {picture["name"]: album.number(picture["sha256"]) for picture in approved(document)}
    return [
        {
            "title": short_title(lora),
            "outcome": lora["outcome"],
            "images": [
                image | {"approved": before.get(picture["name"])}
                for picture, image in zip(
                    lora.get("pictures") or (),
                    _images(lora, album, [check["name"] for check in order], prompts),
                    strict=True,
                )
            ],
        }
        for lora in document["loras"]
    ]


def short_title(lora: Lora) -> str:
    """Return the title without the file ending, which is the same for all LoRAs."""
    return printable(title(lora)).replace(".safetensors", "")


def prompts(run: Run) -> list[Data]:
    return [
        {
            "id": printable(prompt["id"]),
            "text": printable(prompt["text"]),
            "tags": [printable(tag) for tag in prompt["tags"]],
        }
        for prompt in run["prompts"]
    ]


def _images(lora: Lora, album: Album, order: Sequence[str], prompts: Mapping[str, int]) -> list[Data]:
    rows = {printable(row["check"]): (row, m) for row, m in measured(lora)}
    values = {check: dict(m["per_image"]) for check, (_, m) in rows.items()}
    matches = {check: dict(m["matches"]) for check, (_, m) in rows.items()}
    reasons = {check: marks.why(row, m) for check, (row, m) in rows.items()}
    weights = {check: marks.weight(row, m) for check, (row, m) in rows.items()}
    depths = {check: marks.distance(row) for check, (row, _) in rows.items()}
    cards = []
    for picture in lora.get("pictures") or ():
        name, base = picture["name"], picture.get("base")
        own = {check: values[check][name] for check in rows if name in values[check]}
        bad = {check: reasons[check](value) for check, value in own.items()}
        depth = [d for d in (depths[check](value) for check, value in own.items()) if d is not None]
        cards.append(
            {
                "name": printable(name),
                "prompt": prompts.get(picture["prompt"], -1),
                "seed": picture["seed"],
                "picture": album.add(picture["sha256"], picture["file"], name),
                "base": album.number(base["sha256"]) if base else None,
                "recipe": picture.get("recipe") or "",
                "values": [own.get(check) for check in order],
                "shown": [number(own[check]) if check in own else "" for check in order],
                "nearest": [_nearest(album, matches.get(check, {}).get(name)) for check in order],
                "marks": [[check, reason, weights[check]] for check, reason in bad.items() if reason],
                "depth": min(depth, default=None),
            }
        )
    return cards


def _nearest(album: Album, name: str | None) -> list[Any] | None:
    """Return [picture number or null, name] of the nearest reference."""
    return None if name is None else [album.named(name), printable(name)]
