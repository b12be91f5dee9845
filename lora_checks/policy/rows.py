"""Read the rows of ``thresholds.yaml`` into `Threshold`s."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, get_args

from lora_checks.core.errors import ConfigError
from lora_checks.core.quantity import BASELINE, SHARES, STATS_WITH_INTERVAL
from lora_checks.core.records import Calibration, Pairing, PromptSet, Rule, Stat, Threshold
from lora_checks.core.records.questions import Question
from lora_checks.policy.arms import ARMS, arm
from lora_checks.policy.keys import NAME_PATTERN
from lora_checks.policy.prompt_syntax import check_literal
from lora_checks.policy.strict_yaml import Value, suggestion
from lora_checks.policy.thresholds_keys import CALIBRATED_ON, ROW, SHARE_OF

_NAME = re.compile(NAME_PATTERN)


def check_name(value: Value, name: str) -> None:
    """Raise `ConfigError` unless ``name`` can be the name of a row, folder, network or prompt."""
    if not _NAME.fullmatch(name):
        raise value.error(
            f"'{name}' cannot be a name: use 1 to 64 of a-z 0-9 . _ - and start with a letter or digit"
        )


def checks(
    value: Value, folders: Mapping[str, object], questions: Mapping[str, Question]
) -> tuple[Threshold, ...]:
    """Read ``checks:``; the policy's ``folders`` and ``questions`` are by name. Raises `ConfigError`."""
    rows = tuple(_check(entry, name, folders, questions) for name, entry in value.mapping().items())
    if not rows:
        raise value.error("holds no check; a gate without checks would pass everything")
    if not any(row.required for row in rows):
        raise value.error("every check has 'required: false'; nothing could stop a release")
    return rows


def _check(
    value: Value, name: str, folders: Mapping[str, object], questions: Mapping[str, Question]
) -> Threshold:
    check_name(value, name)
    fields = value.table(ROW)
    low, high = _limits(value, fields)
    row = {key: read(fields[key]) for key, read in _READ.items() if key in fields}
    literal = "literal" in fields and fields["literal"].flag()
    for text in fields["texts"].items() if "texts" in fields else ():
        check_literal(text, literal, "add 'literal: true' to the row")
    if "stat" in fields:
        row |= _stat(fields["stat"])
    if "against" in fields:
        row["against"] = _against(fields["against"], list(folders))
    if "question" in fields:
        row["question"] = _question(fields["question"], questions)
        row["on"] = row["question"].tagged
    if "tagged" in fields:  # not `on:`, which YAML 1.1 reads as true
        row["on"] = fields["tagged"].text()
    metric, why = fields["metric"].text(), " ".join(fields["why"].text().split())
    threshold = Threshold(name, metric, why, min=low, max=high, source=value.where, **row)
    _refuse_contradictions(threshold, fields)
    return threshold


def _stat(value: Value) -> dict[str, Any]:
    """Read ``stat:``, such as ``mean`` or ``{share_at_least: 0.5}`` with the value to count images by."""
    if not isinstance(value.data, dict):
        stat = value.choice(get_args(Stat))
        if stat in SHARES:
            raise value.error(f"'{stat}' needs the value to count by; write {{{stat}: 0.5}}")
        return {"stat": stat}
    if len(value.data) != 1:
        raise value.error(f"must be one of {', '.join(SHARES)} with its value")
    ((stat, entry),) = value.table(SHARE_OF).items()
    return {"stat": stat, "at": entry.number()}


def _refuse_contradictions(row: Threshold, fields: Mapping[str, Value]) -> None:
    """Raise `ConfigError` for keys that contradict each other."""
    if row.rule == "bound" and row.stat not in STATS_WITH_INTERVAL:
        raise fields["rule"].error(
            f"'bound' needs an interval, and stat '{row.stat}' has none; use 'estimate', or a share of images"
        )
    if row.gain and row.against == BASELINE:
        raise fields["gain"].error(
            "a row against baseline compares with the base already, so there is no gain; remove 'gain'"
        )
    if row.gain and row.stat == "missing":
        raise fields["gain"].error("there is no gain in missing images; use a row without 'gain'")
    if row.against == BASELINE and row.pairing:
        raise fields["pairing"].error("against baseline each image has its own counterpart; leave it out")
    if row.at is not None or row.stat == "missing":
        for key, limit in (("min", row.min), ("max", row.max)):
            if limit is not None and not 0 <= limit <= 1:
                raise fields[key].error(f"limits a share of images, so it must be from 0 to 1, not {limit:g}")


def _calibration(value: Value) -> Calibration:
    fields = value.table(CALIBRATED_ON)
    good, bad = (
        tuple(entry.text() for entry in fields[key].items()) if key in fields else ()
        for key in ("good", "bad")
    )
    if not good:
        raise fields["good"].error("must name the LoRAs that the limits let pass")
    both = sorted(set(good) & set(bad))
    if both:
        raise fields["bad"].error(f"'{both[0]}' is also under good")
    return Calibration(
        fields["identity"].text(),
        good,
        bad,
        fields["margin"].number() if "margin" in fields else None,
        fields["n"].integer(1) if "n" in fields else None,
    )


def _limits(value: Value, fields: Mapping[str, Value]) -> tuple[float | None, float | None]:
    low = fields["min"].number() if "min" in fields else None
    high = fields["max"].number() if "max" in fields else None
    if low is None and high is None:
        raise value.error("has neither 'min' nor 'max'; nothing would be checked")
    if low is not None and high is not None and low > high:
        raise fields["min"].error(f"min {low:g} is above max {high:g}; no value could pass")
    return low, high


def _against(value: Value, folders: Sequence[str]) -> str:
    name = value.text()
    if name != BASELINE and name not in folders:
        raise value.error(f"no folder '{name}' under 'folders:'; {suggestion(name, [*folders, BASELINE])}")
    return name


def _question(value: Value, questions: Mapping[str, Question]) -> Question:
    name = value.text()
    if name not in questions:
        raise value.error(f"no question '{name}' under 'questions:'; {suggestion(name, list(questions))}")
    return questions[name]


def _bands(value: Value) -> tuple[tuple[str, float], ...]:
    bands = tuple((name, entry.number()) for name, entry in value.mapping().items())
    steps = [later - earlier for (_, earlier), (_, later) in pairwise(bands)]
    if not (all(step > 0 for step in steps) or all(step < 0 for step in steps)):
        raise value.error("must be listed from best to worst, so the numbers only rise or only fall")
    return bands


_READ: Mapping[str, Callable[[Value], Any]] = {
    "pairing": lambda value: value.choice(get_args(Pairing)),
    "rule": lambda value: value.choice(get_args(Rule)),
    "network": Value.text,
    "texts": lambda value: tuple(entry.text() for entry in value.items()),
    "required": Value.flag,
    "gain": Value.flag,
    "max_missing": lambda value: value.number(0, 1),
    "bands": _bands,
    "calibrated_on": _calibration,
}


def check_prompts(row: Threshold, prompt_set: PromptSet) -> None:
    """Raise `ConfigError` if no prompt belongs to the row."""
    tags = sorted({tag for prompt in prompt_set.prompts for tag in prompt.tags})
    if row.on and row.on not in tags:
        raise ConfigError(
            f"{row.source}: checks.{row.name}.tagged: no prompt of {prompt_set.source} has the tag "
            f"'{row.on}'; {suggestion(row.on, tags)}"
        )
    if not row.on and all(arm(prompt) for prompt in prompt_set.prompts):
        raise ConfigError(
            f"{row.source}: checks.{row.name}: every prompt is in an arm ({', '.join(ARMS)}); "
            "name one with 'tagged:'"
        )
