"""Judge a LoRA after every batch of images until its rows are decided: ``--lora-until-decided MAX``.

`stats.sequential` plans these interim analyses, which are called looks in names, as in statistics.
"""

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
Measure = Callable[[Threshold, ImageSet, float, str], Measurement]  # row, images, confidence, why undecided


@dataclass(frozen=True, slots=True)
class Plan:
    """The prompts and seeds of each interim analysis, and which rows it judges at which confidence."""

    looks: tuple[PromptSet, ...]
    due: Mapping[str, Mapping[int, float]]  # row -> number of the analysis -> confidence of its interval


@dataclass(slots=True)
class Decided:
    """The measurement or error of each row, from the interim analysis that decided it."""

    images: ImageSet = field(default_factory=lambda: ImageSet("candidate", ()))
    measurements: dict[str, Measurement] = field(default_factory=dict)
    errors: dict[str, LoraChecksError] = field(default_factory=dict)

    def of(self, row: Threshold) -> Measurement:
        """Return the row's measurement, or raise the error that took its place."""
        if row.name in self.errors:
            raise self.errors[row.name]
        return self.measurements[row.name]


def plan(prompts: PromptSet, rows: Sequence[tuple[Threshold, Metric]], most: int) -> Plan:
    """Plan the interim analyses of a policy.

    Args:
        prompts: The policy's prompts and seeds.
        rows: The policy's rows and their metrics.
        most: MAX, the number of images that may be generated for one LoRA.

    Raises:
        ConfigError: The policy alone asks for more than ``most`` images.
    """
    own = Look(len(prompts.prompts), len(prompts.seeds))
    if own.images > most:
        raise ConfigError(
            f"--lora-until-decided: the policy's {own.prompts} prompts x {count(own.seeds, 'seed')} are "
            f"{own.images} images, more than {most}; give a larger number, or fewer seeds with --lora-seeds"
        )
    order = sequential.order([p.id for p in prompts.prompts], [arm(p) for p in prompts.prompts])
    looks = sequential.plan(own.prompts, own.seeds, most)
    sets = tuple(_part(prompts, {order[i] for i in range(look.prompts)}, look.seeds) for look in looks)
    return Plan(sets, {row.name: _due(row, metric, sets, looks.index(own)) for row, metric in rows})


def _part(prompts: PromptSet, chosen: set[int], seeds: int) -> PromptSet:
    part = tuple(prompt for i, prompt in enumerate(prompts.prompts) if i in chosen)
    return replace(prompts, prompts=part, seeds=extended(prompts.seeds, seeds))


def _due(row: Threshold, metric: Metric, looks: Sequence[PromptSet], own: int) -> dict[int, float]:
    """Return the analyses that judge a row, each with the confidence of its interval there.

    A row judged by its value, or whose value depends on the number of images, is judged once: on the policy's
    number of images. The others share the error over the analyses that give them more images.
    """
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
    """Judge the rows at one interim analysis after the other, until the required rows are decided.

    A required row that rules the LoRA out ends it earlier. Rows that are still undecided then are measured,
    but not judged.

    Args:
        planned: The interim analyses.
        rows: The policy's rows.
        lora: The LoRA under test.
        make: Generates the images of an analysis.
        measure: Measures a row.
    """
    result, decided, why = Decided(), set[str](), "the other rows were decided"
    for i, look in enumerate(planned.looks):
        result.images = make(look)
        due = [row for row in rows if row.name not in decided and i in planned.due[row.name]]
        decided |= {row.name for row in due if _look(result, row, lora, measure, planned.due[row.name], i)}
        out = [
            row.name for row in rows if row.required and row.name in decided and _ruled_out(result, row, lora)
        ]
        if out:
            why = f"'{out[0]}' had ruled the LoRA out after {count(len(result.images.images), 'image')}"
        if out or all(row.name in decided for row in rows if row.required):
            break
    for row in rows:
        if row.name not in decided:
            _measure(result, row, measure, CONFIDENCE, why)
    return result


def _look(
    result: Decided, row: Threshold, lora: Lora, measure: Measure, due: Mapping[int, float], i: int
) -> bool:
    """Measure a row at analysis ``i`` and return whether that decides it."""
    _measure(result, row, measure, due[i], "")
    if row.name in result.errors:
        return True
    measurement, last = result.measurements[row.name], i == max(due)
    if too_many_missing(measurement, row) and not last:  # `max_missing` has no interval: wait for more images
        return False
    return last or judge(measurement, row, lora).outcome is not Outcome.INCONCLUSIVE


def _measure(result: Decided, row: Threshold, measure: Measure, confidence: float, waiting: str) -> None:
    try:
        result.measurements[row.name] = measure(row, result.images, confidence, waiting)
    except LoraChecksError as error:
        result.errors[row.name] = error


def _ruled_out(result: Decided, row: Threshold, lora: Lora) -> bool:
    """Return whether a decided row refuses the LoRA; an inconclusive row leaves that to the others."""
    if row.name in result.errors:
        return True
    return judge(result.measurements[row.name], row, lora).outcome in (Outcome.FAIL, Outcome.ERROR)
