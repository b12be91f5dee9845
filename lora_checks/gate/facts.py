"""Collect the facts of a run for its record: its settings, LoRAs, machine and pictures."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from lora_checks.core.clock import now
from lora_checks.core.device import hardware, library_versions
from lora_checks.core.errors import LoraChecksError
from lora_checks.core.records import Policy, Verdict
from lora_checks.core.records.policies import UNKNOWN
from lora_checks.gate.ledger import Ledger, Pair
from lora_checks.gate.run import GateRun
from lora_checks.images import plan
from lora_checks.lora.candidates import Candidate
from lora_checks.policy.axes import keys_by
from lora_checks.record import document
from lora_checks.record import pictures as pictures_of
from lora_checks.record.regression.against import Against
from lora_checks.record.shapes.rows import Picture

Facts = dict[str, Any]


@dataclass
class RunFacts:
    """The facts of one run, before its first verdict and after its last."""

    run: GateRun
    loras: Mapping[str, Candidate]
    against: Against | None  # the last approved release, if --lora-baseline names it
    required: Sequence[Pair]
    folder: Path  # of the report
    command: str
    axis: str = ""  # of --lora-axis
    started: str = field(default_factory=now)
    _clock: float = field(default_factory=time.monotonic)

    @cached_property
    def beginning(self) -> Facts:
        """What is known before the first verdict, in the journal's form."""
        judges = self.run.will_ask(len(self.loras))
        return of_run(self.run.policy, self.run) | {
            **({"judges": judges} if judges else {}),
            "started": self.started,
            "report": str(self.folder.resolve()),
            "command": self.command,
            "loras": [of_candidate(candidate, self.run) for candidate in self.loras.values()],
            "required": list(self.required),
            **({"axis": self.axis} if self.axis else {}),
        }

    @cached_property
    def plain(self) -> Facts:
        """The `beginning` in the report's form."""
        facts: Facts = document.plain(self.beginning)
        return facts

    @property
    def compared(self) -> Facts:
        """What is known of the last approved release before the first comparison."""
        return {} if self.against is None else {"baseline": self.against.begun()}

    def end(self, ledger: Ledger, code_files: Iterable[Facts]) -> Facts:
        """Return what the record says about the run as a whole, once it has ended."""
        asked = self.run.asked()
        judges = {slot: about | asked[slot] for slot, about in self.beginning.get("judges", {}).items()}
        return self.beginning | {
            **({"judges": judges} if judges else {}),
            "made": self.run.made(),
            "finished": now(),
            "seconds": round(time.monotonic() - self._clock, 2),
            "code": code(code_files),
            "other_failures": list(ledger.other_failures),
            "loras": [self.of_lora(name, ledger.of(name)) for name in self.loras],
        }

    def of_lora(self, name: str, verdicts: Sequence[Verdict]) -> Facts:
        """Return what is known of a LoRA with these verdicts, and its pictures."""
        candidate = self.loras[name]
        about = of_candidate(candidate, self.run) | self._of_file(candidate)
        sha256 = next((v.lora_sha256 for v in verdicts), "")
        try:
            shown = pictures(candidate, verdicts, self.run)
        except LoraChecksError:  # they are gone or cannot be read; the verdicts stand
            shown = []
        return about | {"sha256": sha256, "pictures": shown}

    @cached_property
    def _of_file(self) -> Callable[[Candidate], Facts]:
        return cache(of_file)  # journal and report both ask, and each read hashes the whole file


def of_run(policy: Policy, run: GateRun) -> Facts:
    """Return what is known before the first image."""
    prompts = policy.prompts
    return {
        **run.source.facts,
        "policy": {"directory": str(policy.directory), "digest": policy.digest, "parts": policy.parts},
        "ranking": [
            {"check": weight.row, "weight": weight.weight, "from": weight.worst, "to": weight.best}
            for weight in policy.ranking
        ],
        "prompts": [
            {"id": prompt.id, "text": prompt.text, "tags": list(prompt.tags)} for prompt in prompts.prompts
        ],
        "seeds": list(prompts.seeds),
        "trigger": prompts.trigger,
        "class_words": prompts.class_words,
        **({} if prompts.sampler == UNKNOWN else {"sampler": dataclasses.asdict(prompts.sampler)}),
        **({"base_sampler": dataclasses.asdict(prompts.base_sampler)} if prompts.base_sampler else {}),
        "until_decided": run.most,
        "device": run.device,
        "hardware": hardware(run.device),
        **({"cluster": run.cluster.facts} if run.cluster is not None else {}),
        "warnings": list(run.warnings),
        "versions": list(library_versions()),
        "networks": {name: _network(name, settings, run) for name, settings in policy.networks.items()},
        "folders": {name: pictures_of.folder(run.measurer.pictures(name)) for name in policy.folders},
        "store": str(run.store.root.absolute()),
        **({"store_url": run.store.url} if run.store.url else {}),
    }


def _network(slot: str, settings: Mapping[str, Any], run: GateRun) -> Facts:
    """Return the settings of a network, and the licence of its weights where that is known."""
    licence = run.measurer.licences.get(slot)
    return {**settings, **({"licence": licence} if licence else {})}


def code(files: Iterable[Facts]) -> list[Facts]:
    """Name each file once, though several processes loaded it; two digests of one file are two entries."""
    reasons: dict[tuple[str, str], set[str]] = {}
    for file in files:
        reasons.setdefault((file["file"], file["sha256"]), set()).update(file["for"])
    return [
        {"file": name, "sha256": sha256, "for": sorted(why)}
        for (name, sha256), why in sorted(reasons.items())
    ]


def of_candidate(candidate: Candidate, run: GateRun) -> Facts:
    """Return what is known of a LoRA before it is read."""
    scale = {"scale": candidate.scale} if run.source.generates else {}
    facts = {"facts": dict(candidate.facts)} if candidate.facts else {}
    keys = {"keys": there} if (there := keys_of(candidate, run.policy)) else {}
    return {"name": candidate.name, "path": str(candidate.path), "sha256": "", **scale, **keys, **facts}


def keys_of(candidate: Candidate, policy: Policy) -> dict[str, str]:
    """Return what a LoRA differs in from the others, as names of pictures and the policy's axes tell it."""
    return {**keys_by(policy.axes, candidate.name, candidate.path), **candidate.keys}


def of_file(candidate: Candidate) -> Facts:
    """Return what the LoRA's file says; nothing if it cannot be read."""
    try:
        lora = candidate.read()
    except LoraChecksError:
        return {}
    return {"ranks": list(lora.ranks), "facts": dict(lora.facts)}


def pictures(candidate: Candidate, verdicts: Sequence[Verdict], run: GateRun) -> list[Picture]:
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
        pictures_of.picture(shown.image, shown.base, shown.recipe)
        for shown in run.source.shown(candidate, sha256, names)
    ]


def _names(verdicts: Sequence[Verdict], run: GateRun) -> list[str]:
    measurements = [v.measurement for v in verdicts if v.measurement is not None]
    names = list(dict.fromkeys(name for m in measurements for name, _ in m.per_image))
    if measurements and not names:  # only values of the whole set, which name no images
        return list(plan.names(run.policy.prompts))
    return names
