"""``lora-checks calibrate``: measure LoRAs that people labelled good or bad, and propose limits."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from lora_checks.core.errors import ConfigError, LoraChecksError
from lora_checks.core.extensions import load_file
from lora_checks.core.progress import on_stderr
from lora_checks.core.records import ImageSet, Lora, Policy, PromptSet, Threshold
from lora_checks.core.remote.place import Place
from lora_checks.core.words import count
from lora_checks.gate import calibration_text
from lora_checks.gate.run import GateRun, open_generating
from lora_checks.judge.calibration import Labelled, calibrate, unstopped
from lora_checks.judge.powered import Asked, powered
from lora_checks.lora.candidates import candidates
from lora_checks.lora.find import find_loras
from lora_checks.policy import reading, strict_yaml

RULE = (
    "Rule: a limit is midway between the worst end of the good LoRAs' intervals, either seeds, and the best "
    "end of the bad LoRAs whose values lie beyond it; those must lie there with their whole intervals. It "
    "moves towards the bad ones until each good LoRA passes all rows in 95 % of runs on other prompts."
)


@dataclass(frozen=True, slots=True)
class Report:
    """What the command prints."""

    text: str  # YAML
    sound: bool  # every row was calibrated or left unchanged, and every bad LoRA is stopped


@dataclass(frozen=True, slots=True)
class Sample:
    """A LoRA and its images."""

    lora: Lora
    images: ImageSet


def run(
    folder: Path, good: Sequence[str], bad: Sequence[str], store: Path | Place, device: str, seeds: int | None
) -> Report:
    """Calibrate the policy in ``folder``.

    Raises:
        LoraChecksError: the policy or a LoRA is wrong, so that nothing can be measured.
    """
    policy = reading.load_policy(folder, seeds=seeds)
    praised, blamed = labelled(good, bad, Path())
    if (conftest := Path("conftest.py")).is_file():  # a gating run finds its metrics through pytest
        load_file(conftest)
    gate_run = open_generating(policy, store, device, "auto", None, on_stderr)
    gate_run.preflight()
    gate_run.measurer.test_networks()
    for lora in (*praised, *blamed):  # prove all of them before the first image
        with _blamed(lora in blamed):
            gate_run.source.prove(lora)
    others = reseeded(policy.prompts)
    again = [Sample(lora, gate_run.candidate(lora, others)) for lora in praised]
    own, wrong = ([Sample(lora, gate_run.candidate(lora)) for lora in loras] for loras in (praised, blamed))
    return report(gate_run, own, again, wrong)


def report(
    gate_run: GateRun, good: Sequence[Sample], again: Sequence[Sample], bad: Sequence[Sample]
) -> Report:
    """Calibrate every row of the policy, in its order."""
    groups = (good, again, bad)
    measured = [
        [[_measured(gate_run, row, sample) for sample in group] for group in groups]
        for row in gate_run.policy.thresholds
    ]
    first = [
        Asked(row, calibrate(row, labels[0], labels[1], labels[2]), labels[0], labels[1])
        for row, labels in zip(gate_run.policy.thresholds, measured, strict=True)
    ]
    limited, power = powered(first)
    rows = [
        calibration_text.CalibratedRow(keys, labels[0], labels[1], labels[2], outcome)
        for keys, labels, outcome in zip(_keys(gate_run.policy), measured, limited, strict=True)
    ]
    passing = unstopped([row.outcome.row for row in rows], [row.bad for row in rows])
    refused = [row.outcome.row.name for row in rows if row.outcome.refused]
    ending = [*power, *([f"Not calibrated: {', '.join(refused)}."] if refused else [])]
    ending += [f"No row stops bad '{name}': add one that does." for name in passing]
    text = calibration_text.document(_heading(gate_run.policy, good, bad), rows, ending)
    return Report(text, not refused and not passing)


def labelled(good: Sequence[str], bad: Sequence[str], root: Path) -> tuple[list[Lora], list[Lora]]:
    """Find and read the good and the bad LoRAs; each has a unique name among all of them."""
    ours = {os.path.realpath(path) for path in _find("--good", good, root)}
    theirs = {os.path.realpath(path) for path in _find("--bad", bad, root)}
    praised, blamed = list[Lora](), list[Lora]()
    for candidate in candidates([*good, *bad], None, root).values():
        path = os.path.realpath(candidate.path)
        with _blamed(path in theirs):
            lora = candidate.read()
        praised += [lora] if path in ours else []
        blamed += [lora] if path in theirs else []
    _refuse_twins([("good", lora) for lora in praised] + [("bad", lora) for lora in blamed])
    return praised, blamed


def _refuse_twins(labels: Sequence[tuple[str, Lora]]) -> None:
    """Refuse a LoRA that is named twice: a second copy adds nothing, and it cannot be both good and bad."""
    first: dict[str, tuple[str, Lora]] = {}
    for label, lora in labels:
        before, twin = first.setdefault(lora.sha256, (label, lora))
        if (before, twin.path) != (label, lora.path):
            raise ConfigError(
                f"{twin.path} is {before} and {lora.path} is {label}, but they are the same file; leave one "
                "of them out"
            )


@contextmanager
def _blamed(bad: bool) -> Iterator[None]:
    """Add to an error which option named the LoRA; a bad one that cannot be applied needs no limit."""
    try:
        yield
    except LoraChecksError as error:
        hint = "; the gate refuses it whatever the limits are: leave it out" if bad else ""
        raise ConfigError(f"{'--bad' if bad else '--good'}: {error}{hint}") from None


def _find(option: str, arguments: Sequence[str], root: Path) -> tuple[Path, ...]:
    try:
        return find_loras(arguments, root)
    except ConfigError as error:
        raise ConfigError(f"{option}: {str(error).removeprefix('--lora: ')}") from None


def reseeded(prompts: PromptSet) -> PromptSet:
    """Return the prompts with the same number of other seeds: a difference between the two is chance."""
    n = len(prompts.seeds)
    return replace(prompts, seeds=reading.extended(prompts.seeds, 2 * n)[n:])


def _measured(gate_run: GateRun, row: Threshold, sample: Sample) -> Labelled:
    try:
        return Labelled(sample.lora, gate_run.measurer.measure_row(row, sample.images))
    except LoraChecksError as error:
        return Labelled(sample.lora, None, str(error))


def _keys(policy: Policy) -> list[dict[str, object]]:
    """Return each row as its author wrote it, without the comments."""
    checks = strict_yaml.load(policy.directory / "thresholds.yaml").mapping()["checks"]
    return [dict(row.plain()) for row in checks.mapping().values()]


def _heading(policy: Policy, good: Sequence[Sample], bad: Sequence[Sample]) -> list[str]:
    prompts, seeds = len(policy.prompts.prompts), len(policy.prompts.seeds)
    alone = ["One good LoRA does not show how much good ones differ: label more."] if len(good) == 1 else []
    return [
        f"Limits for {policy.directory / 'thresholds.yaml'}, from {count(len(good), 'good LoRA')} and "
        f"{count(len(bad), 'bad LoRA')}, {count(prompts, 'prompt')} x {count(seeds, 'seed')} each.",
        RULE,
        *alone,
    ]
