"""Read ``questions:`` of ``thresholds.yaml``; ``questions.yaml`` beside this file has seven more."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import get_args

from lora_checks.core.records.questions import WORDS, YES_NO, Control, Kind, Question, Reference
from lora_checks.policy.rows import check_name
from lora_checks.policy.strict_yaml import Value, load, suggestion
from lora_checks.policy.thresholds_keys import QUESTION

STANDARD = Path(__file__).with_name("questions.yaml")
_BRACES = re.compile(r"\{(\w*)\}")


def questions(value: Value | None) -> dict[str, Question]:
    """Return the policy's questions by name, with those of the gate where the policy has none of that name.

    Raises:
        ConfigError: A question is wrong; the message names file, line and key.
    """
    return {**standard(), **_read(value.mapping() if value else {})}


@cache
def standard() -> Mapping[str, Question]:
    """Return the gate's own questions by name."""
    return _read(load(STANDARD).mapping())


def _read(entries: Mapping[str, Value]) -> dict[str, Question]:
    return {name: _question(entry, name) for name, entry in entries.items()}


def _question(value: Value, name: str) -> Question:
    check_name(value, name)
    fields = value.table(QUESTION)
    kinds = [kind for kind in get_args(Kind) if kind in fields]
    if len(kinds) != 1:
        raise value.error(f"needs one of {', '.join(get_args(Kind))} with the text that is asked")
    kind: Kind = kinds[0]
    text, reference = _text(fields[kind]), _reference(fields)
    options = _options(value, fields, kind)
    asked = Question(
        name,
        kind,
        text,
        options,
        _good(value, fields, kind, options),
        reference,
        by=_by(value, fields, reference),
        most=_most(fields, reference),
        tagged=fields["tagged"].text() if "tagged" in fields else "",
    )
    controls = _controls(fields["controls"]) if "controls" in fields else _fitting(asked)
    return replace(asked, controls=controls)


def _fitting(question: Question) -> tuple[Control, ...]:
    """Return the controls that a question has if it names none: those whose answers are known.

    A blank picture has no fault, may be any of a choice's options, and has as little of what a tag is about
    as the references may have.
    """
    if question.reference != "none":
        return ("blank", "base")
    if question.of_prompt:
        return ("other_prompt",) if question.tagged else ("blank", "other_prompt")
    if question.good == ("no",):
        return ("bad",)
    return () if question.kind == "choice" or question.tagged else ("blank",)


def _text(value: Value) -> str:
    text = " ".join(value.text().split())
    for word in _BRACES.findall(text):
        if word not in WORDS:
            raise value.error(f"{{{word}}} is not filled in; {suggestion(word, WORDS)}")
    return text


def _options(value: Value, fields: Mapping[str, Value], kind: Kind) -> tuple[str, ...]:
    key = {"choice": "options", "score": "levels"}.get(kind, "")
    for other in {"options", "levels"} - {key}:
        if other in fields:
            raise fields[other].error(f"a {kind} has no {other}; remove them")
    if not key:
        return YES_NO
    if key not in fields:
        raise value.error(f"'{key}' is missing: what a {kind} may answer")
    options = tuple(entry.text() for entry in fields[key].items())
    if len(options) < 2 or len(set(options)) < len(options):
        raise fields[key].error("must list two or more different answers")
    return options


def _good(value: Value, fields: Mapping[str, Value], kind: Kind, options: tuple[str, ...]) -> tuple[str, ...]:
    if kind == "score":
        if "good" in fields:
            raise fields["good"].error("a score's levels stand from worst to best; remove 'good'")
        return ()
    if kind == "predicate":
        return ("yes",) if "good" not in fields or fields["good"].flag() else ("no",)
    if "good" not in fields:
        raise value.error("'good' is missing: which of the options count as good")
    entry = fields["good"]
    good = tuple(one.text() for one in entry.items()) if isinstance(entry.data, tuple) else (entry.text(),)
    for option in good:
        if option not in options:
            raise entry.error(f"'{option}' is none of the options; {suggestion(option, options)}")
    if set(good) == set(options):
        raise entry.error("every option counts as good, so nothing could fail")
    return good


def _reference(fields: Mapping[str, Value]) -> Reference:
    return fields["reference"].choice(get_args(Reference)) if "reference" in fields else "none"


def _by(value: Value, fields: Mapping[str, Value], reference: Reference) -> str:
    if reference == "nearest" and "by" not in fields:
        raise value.error("'by' is missing: the name under networks: that finds the nearest reference")
    if reference != "nearest" and "by" in fields:
        raise fields["by"].error("finds the nearest reference; remove it, or write 'reference: nearest'")
    return fields["by"].text() if "by" in fields else ""


def _most(fields: Mapping[str, Value], reference: Reference) -> int | None:
    if "most" not in fields:
        return None
    if reference != "each":
        raise fields["most"].error("limits 'reference: each'; remove it")
    return fields["most"].integer(1)


def _controls(value: Value) -> tuple[Control, ...]:
    return tuple(dict.fromkeys(entry.choice(get_args(Control)) for entry in value.items()))
