"""What the record says of a run as a whole: what was asked, of whom, on which machine, and which pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from lora_checks.core.device import hardware, library_versions
from lora_checks.core.errors import DamagedError, LoraChecksError
from lora_checks.core.records import ImageFile, ImageSet, ImageSpec, Lora, Policy, Verdict
from lora_checks.gate.provided import GivenBench
from lora_checks.gate.workbench import Workbench
from lora_checks.images import plan
from lora_checks.images.png import recipe, stored
from lora_checks.lora.candidates import Candidate
from lora_checks.record import pictures as pictures_of

Facts = dict[str, Any]


def of_run(policy: Policy, bench: Workbench) -> Facts:
    """What is known before the first image."""
    prompts = policy.prompts
    return {
        **_making(policy, bench),
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
        "until_decided": bench.most,
        "device": bench.device,
        "hardware": hardware(bench.device),
        "warnings": list(bench.warnings),
        "versions": list(library_versions()),
        "networks": {name: dict(settings) for name, settings in policy.networks.items()},
        "folders": {name: pictures_of.folder(bench.pictures(name)) for name in policy.folders},
        "store": str(bench.store.root.absolute()),
        "companions": [
            {"name": lora.name, "path": str(lora.path), "scale": lora.scale, "sha256": lora.sha256}
            for lora in bench.companions
        ],
    }


def _making(policy: Policy, bench: Workbench) -> Facts:
    """How the images come about, as far as this run knows."""
    if isinstance(bench, GivenBench):
        return {"elsewhere": bench.about}
    return {
        "base": {
            "model": policy.prompts.base.model,
            "digest": bench.base.identity,
            "label": bench.base.label,
        },
        "dtype": bench.dtype,
        "batch_size": bench.batch_size,
        "offload": bench.memory.offload,
        "save_memory": list(bench.memory.save),
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


def of_candidate(candidate: Candidate, bench: Workbench) -> Facts:
    """What is known of a LoRA before it is read."""
    scale = {} if isinstance(bench, GivenBench) else {"scale": candidate.scale}
    return {"name": candidate.name, "path": str(candidate.path), "sha256": "", **scale}


def of_file(candidate: Candidate) -> Facts:
    """What its file says; nothing where it cannot be read."""
    try:
        lora = candidate.read()
    except LoraChecksError:
        return {}
    return {"ranks": list(lora.ranks), "facts": dict(lora.facts)}


def pictures(lora: Candidate, found: Sequence[Verdict], bench: Workbench) -> list[Facts]:
    """The images that ``found``, all verdicts of the LoRA, are about, each with the base's own beside it.

    None where nothing was measured.
    """
    names = _names(found, bench)
    if not names:
        return []
    if isinstance(bench, GivenBench):
        return _given(lora.read(), bench)
    bare = plan.counterparts(bench.policy.prompts, bench.machine, names)
    sha256 = next(v.lora_sha256 for v in found if v.lora_sha256)
    specs = [dataclasses.replace(spec, lora=sha256, lora_scale=lora.scale) for spec in bare]
    made: list[Facts] = []
    for name, spec, without in zip(names, specs, bare, strict=True):
        image, base = _stored(spec, name, bench), _stored(without, name, bench)
        if image is not None:
            made.append(pictures_of.picture(image, base) | {"recipe": recipe(spec)["digest"]})
    return made


def _stored(spec: ImageSpec, name: str, bench: Workbench) -> ImageFile | None:
    """None for a picture that is gone since it was measured, or damaged; the verdict stands."""
    try:
        return stored(bench.store.image(spec.digest), spec, name)
    except (FileNotFoundError, DamagedError):
        return None


def _names(found: Sequence[Verdict], bench: Workbench) -> list[str]:
    measured = [v.measurement for v in found if v.measurement is not None]
    named = list(dict.fromkeys(name for one in measured for name, _ in one.per_image))
    if measured and not named:  # values of the set alone, which name no images
        return list(plan.names(bench.policy.prompts))
    return named


def _given(lora: Lora, bench: GivenBench) -> list[Facts]:
    made = bench.candidate(lora).images
    try:
        bare: Iterable[ImageFile | None] = bench.without(ImageSet("candidate", made)).images
    except LoraChecksError:  # none were given
        bare = [None] * len(made)
    return [pictures_of.picture(image, base) | {"recipe": ""} for image, base in zip(made, bare, strict=True)]
