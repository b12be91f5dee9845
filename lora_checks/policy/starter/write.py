"""Write thresholds.yaml and prompts.yaml of a first policy, with comments."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lora_checks.policy import json_schema
from lora_checks.policy.starter import prompts
from lora_checks.policy.starter.rows import HELD_OUT, KINDS, OPTIONAL, OPTIONAL_NETWORKS, TRAINED, Row

SCHEMAS = "schemas"  # folder of the JSON Schemas, in the policy's


@dataclass(frozen=True, slots=True)
class Plan:
    """The contents of a first policy."""

    kind: str
    model: str
    revision: str | None
    sampler: Mapping[str, float | int | str]
    trigger: str
    class_words: str
    texts: Sequence[str]
    folders: Mapping[str, tuple[Path, int]]  # HELD_OUT, TRAINED -> folder and number of pictures
    networks: Mapping[str, str] = field(default_factory=dict)  # slot -> YAML; {}: those of the kind


def chosen(plan: Plan) -> tuple[list[Row], list[tuple[Row, str]]]:
    """Return the rows that the pictures and networks allow, and the others, each with the reason."""
    networks = plan.networks or KINDS[plan.kind].networks
    rows: list[Row] = []
    left_out: list[tuple[Row, str]] = []
    for row in KINDS[plan.kind].rows:
        reason = _lacks(row, plan.folders, networks)
        if reason:
            left_out.append((row, reason))
        else:
            rows.append(row)
    return rows, left_out


def _lacks(row: Row, folders: Mapping[str, tuple[Path, int]], networks: Mapping[str, str]) -> str:
    """Return what is missing for a row; "" if nothing is."""
    if row.network and row.network not in networks:
        return f"there is no network '{row.network}'"
    if not row.folder:
        return ""
    count = folders[row.folder][1] if row.folder in folders else 0
    if count >= row.least:
        return ""
    what = "held-out pictures" if row.folder == HELD_OUT else "training pictures"
    return f"it takes {row.least} {what}, and there are {count}" if count else f"there are no {what}"


def write(plan: Plan, folder: Path) -> None:
    """Write both files and their schemas into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    json_schema.write(folder / SCHEMAS)
    (folder / "thresholds.yaml").write_text(thresholds(plan, folder), encoding="utf-8")
    (folder / "prompts.yaml").write_text(prompt_file(plan), encoding="utf-8")


def thresholds(plan: Plan, folder: Path) -> str:
    """Return the text of thresholds.yaml."""
    rows, left_out = chosen(plan)
    used = {row.network for row in rows}
    networks = {
        slot: text for slot, text in (plan.networks or KINDS[plan.kind].networks).items() if slot in used
    }
    lines = [
        f"# yaml-language-server: $schema={SCHEMAS}/thresholds.json",
        f"# What a LoRA of {KINDS[plan.kind].title} must fulfil to be released. Each row is a check.",
        "#",
        "# The limits are published rules of thumb, not measurements of your subject. Gate a LoRA that you",
        "# know to be good and one that you know to be bad, look at the pictures, and let `lora-checks",
        "# calibrate` propose limits between them.",
        "",
    ]
    if plan.folders:
        lines += ["folders:", *(_folder(name, *value, folder) for name, value in plan.folders.items()), ""]
    if networks:
        lines += ["networks:", *(f"  {slot}: {text}" for slot, text in networks.items()), ""]
    lines += ["checks:", *map(_row, rows), *_optional()]
    if left_out:
        lines += ["", "# Left out:"]
        lines += [f"#   {row.name}: {{{row.fields}}}  ({reason})" for row, reason in left_out]
    return "\n".join(lines) + "\n"


def _row(row: Row) -> str:
    return f"  {row.name}: {{{row.fields}, why: {_quoted(row.why)}}}"


def _optional() -> list[str]:
    """Return rows that nobody gets unasked, as comments: without their `#` they belong to the policy."""
    return [
        "",
        "# Optional: a classifier for pictures that are not safe for work. Its errors are the rows' errors.",
        "# `pip install 'lora-checks[safety]'`, then move the network under `networks:` and the rows under",
        "# `checks:`, without their `#`.",
        *(f"#  {slot}: {text}" for slot, text in OPTIONAL_NETWORKS.items()),
        *(f"#{_row(row)}" for row in OPTIONAL),
    ]


def _folder(name: str, path: Path, count: int, policy: Path) -> str:
    what = {HELD_OUT: "NOT trained on", TRAINED: "trained on"}[name]
    return f"  {name}: {_quoted(relative(path, policy))}  # {count} pictures, {what}"


def relative(path: Path, policy: Path) -> str:
    """Return a path as the policy's files name it: from their folder, or absolute if it was given so."""
    return str(path) if path.is_absolute() else Path(os.path.relpath(path, policy)).as_posix()


def prompt_file(plan: Plan) -> str:
    """Return the text of prompts.yaml."""
    base = f"model: {_quoted(plan.model)}" + (f", revision: {plan.revision}" if plan.revision else "")
    sampler = ", ".join(f"{key}: {_scalar(value)}" for key, value in plan.sampler.items())
    names = prompts.identifiers(plan.texts, plan.trigger)
    lines = [
        f"# yaml-language-server: $schema={SCHEMAS}/prompts.json",
        "# What is generated: each prompt with each seed. Prompts are the sample that the verdict rests on:",
        "# more of them narrow the intervals, more seeds hardly do.",
        "",
        f"base: {{{base}}}",
        f"sampler: {{{sampler}}}",
        f"trigger: {_quoted(plan.trigger)}",
        f"class_words: {_quoted(plan.class_words)}  # {KINDS[plan.kind].class_help}",
        "seeds: [1]",
        "prompts:",
        *(
            f"  - {{id: {_quoted(name)}, text: {_quoted(text)}}}"
            for name, text in zip(names, plan.texts, strict=True)
        ),
    ]
    return "\n".join(lines) + "\n"


def _scalar(value: float | str) -> str:
    return _quoted(value) if isinstance(value, str) else str(value)


def _quoted(text: str) -> str:
    """Return a text as YAML; JSON's quotes are YAML's, and plain words need none."""
    plain = text.replace(" ", "").replace("-", "").replace("/", "").replace("_", "").replace(".", "")
    simple = plain.isascii() and plain.isalpha() and text.strip() == text
    reserved = text.lower() in ("true", "false", "yes", "no", "on", "off", "null", "y", "n")
    return text if simple and not reserved and text[0].isalpha() else json.dumps(text, ensure_ascii=False)
