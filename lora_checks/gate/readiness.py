"""Find what a run needs and would cost, without generating or downloading anything.

A run stops at the first thing that is wrong. This module checks everything, so that all of it can be fixed at
once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lora_checks import metrics
from lora_checks.core.device import choose_device
from lora_checks.core.errors import LoraChecksError, LoraFileError
from lora_checks.core.filling import silent
from lora_checks.core.memory import gib
from lora_checks.core.records import Metric, Policy, Threshold
from lora_checks.core.words import count, number
from lora_checks.diffusion import base as bases
from lora_checks.diffusion.base import remote
from lora_checks.diffusion.base.room import Room, device_room
from lora_checks.diffusion.generated import GeneratedImages
from lora_checks.gate.run import GateRun, open_generating
from lora_checks.images import made, plan
from lora_checks.judge import reach, row_fit
from lora_checks.judge.row_fit import is_share
from lora_checks.lora.candidates import Candidate
from lora_checks.networks import licence_of
from lora_checks.policy import arms
from lora_checks.policy.starter import bases as known_bases
from lora_checks.stats import shares
from lora_checks.stats.intervals import CONFIDENCE

PIXEL_BYTES = 1.5  # of a PNG, for each pixel


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    about: str  # "networks: clip", "base", "person.safetensors"
    text: str
    wrong: bool = False  # it would end a run


def open_unloaded(policy: Policy, store: Path, device: str, dtype: str, offload: str) -> GateRun:
    """Open a run as it would be, without downloading a base that is not here."""
    device = choose_device(device)
    if dtype == "auto" and bases.present(policy.prompts.base) is None:  # its kind decides the number format
        dtype = "float32" if device == "cpu" else "bfloat16"
    return open_generating(policy, store, device, dtype, None, lambda _: silent, offload=offload)


def findings(run: GateRun, loras: Mapping[str, Candidate]) -> Iterator[Finding]:
    """Check everything that a run of these LoRAs needs."""
    yield from _rows(run)
    yield from _networks(run)
    source = run.source
    if isinstance(source, GeneratedImages):
        resolved = bases.present(run.policy.prompts.base)
        yield from _base(source, resolved)
        if resolved is not None:
            yield from _work(run, source, max(1, len(loras)))
    for name, candidate in loras.items():
        yield from _guarded(name, partial(_lora, candidate, run.policy.prompts.base.model))
    yield from _allowed(run)


def wrong_with_policy(run: GateRun) -> list[str]:
    """Return a sentence for each row and each network that would end the run."""
    return [f"{one.about}: {one.text}" for one in (*_rows(run), *_networks(run)) if one.wrong]


def _guarded(about: str, look: Callable[[], str | None]) -> Iterator[Finding]:
    """Yield what ``look`` returns, or the error that it raises."""
    try:
        text = look()
    except LoraChecksError as error:
        yield Finding(about, str(error).removeprefix(f"{about}: "), wrong=True)
    else:
        if text is not None:
            yield Finding(about, text)


def _rows(run: GateRun) -> Iterator[Finding]:
    """Yield rows whose metric, pictures or limits cannot be used."""
    for row in run.policy.thresholds:
        yield from _guarded(f"checks: {row.name}", partial(_row, run, row))


def _row(run: GateRun, row: Threshold) -> None:
    metric = metrics.of_row(row)
    row_fit.refuse(row, metric, run.measurer.pictures)
    if run.source.generates:
        reach.refuse(row, metric, run.policy.prompts)


def _networks(run: GateRun) -> Iterator[Finding]:
    slots: dict[str, tuple[Metric, str]] = {}
    for row in run.policy.thresholds:
        try:
            metric = metrics.of_row(row)
        except LoraChecksError:
            continue  # said of the row
        slots.setdefault(row.network or metric.extractor, (metric, row.network))
    for slot, (metric, asked) in slots.items():
        if slot:
            yield from _guarded(f"networks: {slot}", partial(_network, run, metric, asked))


def _network(run: GateRun, metric: Metric, slot: str) -> str:
    network = run.measurer.network(metric, slot)
    licence = licence_of(network)
    return f"{network.label if network else 'pixels'}{f'; licence: {licence}' if licence else ''}"


def _base(source: GeneratedImages, resolved: bases.ResolvedBase | None) -> Iterator[Finding]:
    base = source.policy.prompts.base
    if resolved is None:
        yield Finding("base", f"{base.model} is not on this machine; {remote.described(base)}", wrong=True)
        return
    yield Finding("base", resolved.label)
    yield from _guarded("base", lambda: "; ".join(source.preflight()) or None)
    room = Room(resolved, source.device, source.dtype, source.memory)
    yield from _guarded("memory", lambda: _memory(room))


def _memory(room: Room) -> str:
    room.refuse()
    total = sum(part.size for part in room.parts.values())
    there = device_room(room.device)
    free = "" if there is None else f"; {room.device} has {gib(there[0])} free of {gib(there[1])}"
    return f"the base's weights take {gib(total)} in {room.dtype}{free}"


def _work(run: GateRun, source: GeneratedImages, loras: int) -> Iterator[Finding]:
    """Estimate the number of images to make, the time that takes and their size on disk."""
    prompts = run.policy.prompts
    specs = plan.baseline(prompts, source.machine)
    of_base = len(specs) if any(_needs_base(row) for row in run.policy.thresholds) else 1
    images = loras * len(specs) + of_base
    seconds = made.seconds(run.store, specs[0])
    time = (
        f"{seconds:.1f} s each here before: about {_duration(seconds * images)}"
        if seconds
        else "how long one takes here is not known yet"
    )
    sampler = prompts.sampler
    disk = images * sampler.width * sampler.height * PIXEL_BYTES
    yield Finding(
        "images",
        f"{count(images, 'image')} at most ({count(len(specs), 'image')} of each LoRA, {of_base} of the "
        f"base); {time}; about {gib(int(disk))} on disk",
    )


def _needs_base(row: Threshold) -> bool:
    return row.gain or row.against == "baseline" or metrics.of_row(row).against == "baseline"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _allowed(run: GateRun) -> Iterator[Finding]:
    """Yield how many images may fail each row that limits a share; a mean's bound needs measured values."""
    for row in run.policy.thresholds:
        try:
            metric = metrics.of_row(row)
        except LoraChecksError:
            continue
        if row.rule == "bound" and row.max is not None and not row.gain and is_share(row, metric):
            asked = arms.number_of(run.policy.prompts, row.on) // len(run.policy.prompts.seeds)
            most = most_hits(asked, row.max)
            if most is not None:
                yield Finding(
                    f"checks: {row.name}",
                    f"passes with at most {most} of {count(asked, 'prompt')} counted (a true share below "
                    f"{number(row.max)})",
                )


def most_hits(prompts: int, limit: float) -> int | None:
    """Return how many of the prompts may count for the bound to stay within ``limit``; None if not even 0."""
    level = 1 - CONFIDENCE
    hits = [k for k in range(prompts + 1) if shares.clopper_pearson(k, prompts, level)[1] <= limit]
    return max(hits, default=None)


def _lora(candidate: Candidate, model: str) -> str:
    lora = candidate.read()
    base = known_bases.of_model(model)
    if base is not None and base.families and lora.families and not set(base.families) & set(lora.families):
        raise LoraFileError(f"is for {' or '.join(lora.families)}, and the policy's base is {base.title}")
    fits = f", for {' or '.join(lora.families)}" if lora.families else ""
    warnings = "".join(f"; {warning}" for warning in lora.warnings)
    return f"{lora.kind}{fits}, {count(len(lora.layers), 'layer')}{warnings}"
