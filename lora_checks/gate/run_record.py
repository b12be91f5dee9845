"""Facts of a run for its record: what was asked for, of which LoRAs, on which machine, and which pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from lora_checks.core.device import hardware, library_versions
from lora_checks.core.errors import LoraChecksError
from lora_checks.core.records import Policy, Verdict
from lora_checks.gate.run import GateRun
from lora_checks.images import plan
from lora_checks.lora.candidates import Candidate
from lora_checks.record import pictures as pictures_of

Facts = dict[str, Any]


def of_run(policy: Policy, run: GateRun) -> Facts:
    """Return what is known before the first image."""
    prompts = policy.prompts
    return {
        **run.source.facts,
        "policy": {"directory": str(policy.directory), "digest": policy.digest, "parts": policy.parts},
        "ranking": [
            {"check": one.row, "weight": one.weight, "from": one.worst, "to": one.best}
            for one in policy.ranking
        ],
        "prompts": [{"id": one.id, "text": one.text, "tags": list(one.tags)} for one in prompts.prompts],
        "seeds": list(prompts.seeds),
        "trigger": prompts.trigger,
        "class_words": prompts.class_words,
        "sampler": dataclasses.asdict(prompts.sampler),
        "until_decided": run.most,
        "device": run.device,
        "hardware": hardware(run.device),
        "warnings": list(run.warnings),
        "versions": list(library_versions()),
        "networks": {name: dict(settings) for name, settings in policy.networks.items()},
        "folders": {name: pictures_of.folder(run.measurer.pictures(name)) for name in policy.folders},
        "store": str(run.store.root.absolute()),
    }


def code(files: Iterable[Facts]) -> list[Facts]:
    """Each file once, as one or several processes have loaded it; two digests of one file are two entries."""
    reasons: dict[tuple[str, str], set[str]] = {}
    for one in files:
        reasons.setdefault((one["file"], one["sha256"]), set()).update(one["for"])
    return [
        {"file": file, "sha256": sha256, "for": sorted(why)}
        for (file, sha256), why in sorted(reasons.items())
    ]


def of_candidate(candidate: Candidate, run: GateRun) -> Facts:
    """Return what is known of a LoRA before it is read."""
    scale = {"scale": candidate.scale} if run.source.generates else {}
    return {"name": candidate.name, "path": str(candidate.path), "sha256": "", **scale}


def of_file(candidate: Candidate) -> Facts:
    """What its file says; nothing where it cannot be read."""
    try:
        lora = candidate.read()
    except LoraChecksError:
        return {}
    return {"ranks": list(lora.ranks), "facts": dict(lora.facts)}


def pictures(candidate: Candidate, verdicts: Sequence[Verdict], run: GateRun) -> list[Facts]:
    """Return the images that a LoRA's verdicts are about, each with the base's; none if nothing was measured.

    Args:
        candidate: the LoRA.
        verdicts: all verdicts of this LoRA.
        run: the run that judged it.
    """
    names = _names(verdicts, run)
    if not names:
        return []
    sha256 = next((v.lora_sha256 for v in verdicts if v.lora_sha256), "")
    return [
        pictures_of.picture(shown.image, shown.base) | {"recipe": shown.recipe}
        for shown in run.source.shown(candidate, sha256, names)
    ]


def _names(verdicts: Sequence[Verdict], run: GateRun) -> list[str]:
    measurements = [v.measurement for v in verdicts if v.measurement is not None]
    names = list(dict.fromkeys(name for m in measurements for name, _ in m.per_image))
    if measurements and not names:  # values of the set alone, which name no images
        return list(plan.names(run.policy.prompts))
    return names
