"""``--lora-until-decided MAX``: one LoRA, looked at after every batch until its rows are decided."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lora_checks.core.errors import ConfigError, LoraChecksError
from lora_checks.core.records import (
    ImageSet,
    Lora,
    Measurement,
    Metric,
    Outcome,
    Prompt,
    PromptSet,
    Threshold,
)
from lora_checks.core.words import count
from lora_checks.judge.row_fit import is_share
from lora_checks.judge.verdict import judge, too_many_missing
from lora_checks.policy.arms import arm
from lora_checks.policy.reading import extended
from lora_checks.stats import sequential
from lora_checks.stats.intervals import CONFIDENCE, MIN_PROMPTS
from lora_checks.stats.sequential import Look

Make = Callable[[PromptSet], ImageSet]
Measure = Callable[[Threshold, ImageSet, float, str], Measurement]  # row, images, confidence, why it waits


@dataclass(frozen=True, slots=True)
class Plan:
    """What is generated for each look, and which rows are judged there at which confidence."""

    looks: tuple[PromptSet, ...]
    due: Mapping[str, Mapping[int, float]]  # row -> look -> confidence of its interval


@dataclass(slots=True)
class Decided:
    """What was found, row by row, each at the look that decided it."""

    images: ImageSet = field(default_factory=lambda: ImageSet("candidate", ()))
    measurements: dict[str, Measurement] = field(default_factory=dict)
    errors: dict[str, LoraChecksError] = field(default_factory=dict)

    def of(self, row: Threshold) -> Measurement:
        if row.name in self.errors:
            raise self.errors[row.name]
        return self.measurements[row.name]


def plan(said: PromptSet, rows: Sequence[tuple[Threshold, Metric]], most: int) -> Plan:
    """Raises `ConfigError` where MAX is less than what the policy asks for anyway."""
    own = Look(len(said.prompts), len(said.seeds))
    if own.images > most:
        raise ConfigError(
            f"--lora-until-decided: the policy's own {own.prompts} prompts x {count(own.seeds, 'seed')} are "
            f"{own.images} images, more than {most}; give a larger number, or fewer seeds with --lora-seeds"
        )
    order = sequential.order([prompt.id for prompt in said.prompts], [arm(p) for p in said.prompts])
    looks = sequential.plan(own.prompts, own.seeds, most)
    sets = tuple(_of(said, {order[i] for i in range(look.prompts)}, look.seeds) for look in looks)
    return Plan(sets, {row.name: _due(row, metric, sets, looks.index(own)) for row, metric in rows})


def _of(said: PromptSet, chosen: set[int], seeds: int) -> PromptSet:
    prompts = tuple(prompt for i, prompt in enumerate(said.prompts) if i in chosen)
    return replace(said, prompts=prompts, seeds=extended(said.seeds, seeds))


def _due(row: Threshold, metric: Metric, looks: Sequence[PromptSet], own: int) -> dict[int, float]:
    """A row that is judged by its value, or whose value depends on the number of images, has one look: the
    policy's own. The others share the error over the looks at which they have more images than before."""
    if row.rule == "estimate" or (metric.per == "set" and not metric.unbiased):
        return {own: CONFIDENCE}
    images: dict[int, int] = {}
    for i, look in enumerate(looks):
        prompts = sum(_about(row, prompt) for prompt in look.prompts)
        n = prompts * len(look.seeds)
        if prompts >= MIN_PROMPTS and n > max(images.values(), default=0):
            images[i] = n
    if not images:
        return {own: CONFIDENCE}
    sides = 2 if row.min is not None and row.max is not None else 1
    spent = 1.0 if is_share(row, metric) else sequential.SPENT
    levels = sequential.levels(list(images.values()), spent * (1 - CONFIDENCE) / sides)
    return {i: 1 - level * sides for i, level in zip(images, levels, strict=True)}


def _about(row: Threshold, prompt: Prompt) -> bool:
    return row.on in prompt.tags if row.on else not arm(prompt)


def decide(planned: Plan, rows: Sequence[Threshold], lora: Lora, make: Make, measure: Measure) -> Decided:
    """Look until every required row is decided, or one of them rules the LoRA out, or the plan ends."""
    found, decided, why = Decided(), set[str](), "the other rows were decided"
    for i, look in enumerate(planned.looks):
        found.images = make(look)
        due = [row for row in rows if row.name not in decided and i in planned.due[row.name]]
        decided |= {row.name for row in due if _look(found, row, lora, measure, planned.due[row.name], i)}
        out = [
            row.name for row in rows if row.required and row.name in decided and _ruled_out(found, row, lora)
        ]
        if out:
            why = f"'{out[0]}' had ruled the LoRA out after {count(len(found.images.images), 'image')}"
        if out or all(row.name in decided for row in rows if row.required):
            break
    for row in rows:
        if row.name not in decided:
            _measure(found, row, measure, CONFIDENCE, why)
    return found


def _look(
    found: Decided, row: Threshold, lora: Lora, measure: Measure, due: Mapping[int, float], i: int
) -> bool:
    """Whether the row is decided with the images so far."""
    _measure(found, row, measure, due[i], "")
    if row.name in found.errors:
        return True
    got, last = found.measurements[row.name], i == max(due)
    if too_many_missing(got, row) and not last:  # they are counted, not estimated: a few of few say little
        return False
    return last or judge(got, row, lora).outcome is not Outcome.INCONCLUSIVE


def _measure(found: Decided, row: Threshold, measure: Measure, confidence: float, waiting: str) -> None:
    try:
        found.measurements[row.name] = measure(row, found.images, confidence, waiting)
    except LoraChecksError as error:
        found.errors[row.name] = error


def _ruled_out(found: Decided, row: Threshold, lora: Lora) -> bool:
    """Not by a row that stays inconclusive at its last look: the others may still say more."""
    if row.name in found.errors:
        return True
    return judge(found.measurements[row.name], row, lora).outcome in (Outcome.FAIL, Outcome.ERROR)
