"""Find what a run needs and would cost, without generating or downloading anything.

A run stops at the first thing that is wrong. This module checks everything, so that all of it can be fixed at
once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lora_checks import metrics
from lora_checks.core.device import choose_device
from lora_checks.core.errors import ALSO, LoraChecksError, LoraFileError
from lora_checks.core.filling import silent
from lora_checks.core.records import Metric, Policy, Threshold
from lora_checks.core.remote.place import Place
from lora_checks.core.words import count
from lora_checks.diffusion import base as bases
from lora_checks.diffusion.base import gguf, remote
from lora_checks.diffusion.generated import GeneratedImages
from lora_checks.gate import work
from lora_checks.gate.run import GateRun, open_generating
from lora_checks.judge import prospect, reach, row_fit
from lora_checks.lora.candidates import Candidate
from lora_checks.networks import licence_of
from lora_checks.policy.starter import bases as known_bases


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    about: str  # "networks: clip", "base", "person.safetensors"
    text: str
    wrong: bool = False  # it would end a run


def open_unloaded(policy: Policy, store: Path | Place, device: str, dtype: str, offload: str) -> GateRun:
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
            yield _work(run, source, list(loras.values()))
    for name, candidate in loras.items():
        yield from _guarded(name, partial(_lora, candidate, run.policy.prompts.base.model))
    for slot, sentence in _questions(run, len(loras)):
        yield Finding(f"questions: {slot}", sentence)
    for sentence in prospect.sentences(run.policy):
        yield Finding("to pass", sentence)


def wrong_with_policy(run: GateRun) -> list[str]:
    """Return a sentence for each row and each network that would end the run."""
    return [f"{one.about}: {one.text}" for one in (*_rows(run), *_networks(run)) if one.wrong]


def _guarded(about: str, look: Callable[[], str | None]) -> Iterator[Finding]:
    """Yield what ``look`` returns, or the error that it raises."""
    try:
        text = look()
    except LoraChecksError as error:
        for sentence in str(error).split(ALSO):
            yield Finding(about, sentence.removeprefix(f"{about}: "), wrong=True)
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


def _questions(run: GateRun, loras: int) -> list[tuple[str, str]]:
    """Say what each vision model will be asked; nothing if a network of the policy is missing."""
    try:
        return work.questions(run, loras)
    except LoraChecksError:
        return []  # said of the network or the row


def _base(source: GeneratedImages, resolved: bases.ResolvedBase | None) -> Iterator[Finding]:
    base = source.policy.prompts.base
    if resolved is None:
        text = gguf.absent(base) or f"{base.model} is not on this machine; {remote.described(base)}"
        yield Finding("base", text, wrong=True)
        return
    yield Finding("base", resolved.label)
    yield from _guarded("base", lambda: "; ".join(source.preflight()) or None)
    yield from _guarded("memory", partial(work.memory, source))


def _work(run: GateRun, source: GeneratedImages, loras: Sequence[Candidate]) -> Finding:
    """Estimate the number of images to make, the time that takes and their size on disk."""
    asked = work.work(run, source, loras)
    return Finding(
        "images",
        f"{count(asked.images, 'image')} at most ({count(asked.of_lora, 'image')} of each LoRA, "
        f"{asked.of_base} of the base), {asked.words}",
    )


def _lora(candidate: Candidate, model: str) -> str:
    lora = candidate.read()
    base = known_bases.of_model(model)
    if base is not None and base.families and lora.families and not set(base.families) & set(lora.families):
        raise LoraFileError(f"is for {' or '.join(lora.families)}, and the policy's base is {base.title}")
    fits = f", for {' or '.join(lora.families)}" if lora.families else ""
    warnings = "".join(f"; {warning}" for warning in lora.warnings)
    return f"{lora.kind}{fits}, {count(len(lora.layers), 'layer')}{warnings}"
