"""A report with every part that the schema knows, made in a moment and without a run."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from page_world import page_document

from lora_checks.core.records import (
    Allowance,
    Calibration,
    Lora,
    Measurement,
    Outcome,
    Threshold,
    Verdict,
)
from lora_checks.judge.verdict import error, judge
from lora_checks.lora.file import inspect
from lora_checks.policy.questions import standard
from lora_checks.policy.reading import load_policy
from lora_checks.record import document as report
from lora_checks.record import journal
from lora_checks.record.codec import verdict_to_json
from lora_checks.record.regression.against import Against
from lora_checks.record.regression.approved import Judged, verdict_of

DIGEST = "ab" * 32
REGRESSION = (Allowance("likeness", 0.2, "estimate"), Allowance("adherence", 0.01, "bound"))
PROOF = {
    "dead": ["unet.a"], "device": "cpu", "dtype": "float32", "effect": {"unet": 0.1}, "layers": 3,
    "tensors": 6, "unused": ["text.b"], "worst_layer_error": 0.001,
}  # fmt: skip
SETTINGS = {
    "scheduler": "DDIMScheduler", "scheduler_settings": {"eta": 0.0}, "max_sequence_length": 77,
    "true_cfg_scale": 1.5,
}  # fmt: skip


def facts(policy: Path) -> dict[str, Any]:
    """What a run records of itself."""
    asked = load_policy(policy)
    return {
        "dtype": "float32", "batch_size": 4, "offload": "none", "save_memory": ["vae-tiling"],
        "policy": {"directory": str(policy), "digest": asked.digest, "parts": asked.parts},
        "trigger": "sks person", "class_words": "person", "until_decided": None, "device": "cpu",
        "hardware": "cpu", "warnings": ["slow"], "report": "report", "started": "2026-11-24T18:00:00+00:00",
        "finished": "2026-11-24T18:57:57+00:00", "seconds": 12.5, "command": "pytest --lora loras",
        "sampler": {"steps": 4, "guidance": 2.0, "width": 64, "height": 64, "negative": "", **SETTINGS},
        "made": {"images": 16, "batch_sizes": [4], "vae_dtypes": ["float32"]}, "other_failures": [],
        "code": [{"file": "gate:conftest.py", "sha256": DIGEST, "for": ["conftest.py"]}],
        "companions": [{"name": "style", "path": "style.safetensors", "scale": 0.5, "sha256": DIGEST}],
        "judges": {"vlm": {"label": "eyes", "expected_questions": 90, "expected_tokens": 9000, "replies": 80,
                           "calls": 82, "tokens": 8000, "money": 0.5}},
        "ranking": [{"check": "likeness", "weight": 2.0, "from": 0.2, "to": 0.9}], "axis": "caption",
    }  # fmt: skip


def more_rows(lora: str, likeness: Measurement) -> list[Verdict]:
    """Rows of the other kinds: a share, a gain, a set, an optional one, those of the gate, and a refusal."""
    about = Lora(Path(f"loras/{lora}.safetensors"), lora, "9c1e" * 16, "diffusers", (4,), (4.0,), {}, 6)
    share = Threshold(
        "share", "similarity", "w", min=0.2, stat="share_at_least", at=0.3, network="clip",
        calibrated_on=Calibration(likeness.network, ("a",), ("b",), 0.1, 32),
    )  # fmt: skip
    spread = Threshold("spread", "vendi", "w", min=1.0, required=False, bands=(("fine", 2.0),), texts=("a",))
    gain = Threshold("gain", "clip_s", "w", max=0.9, gain=True, on="scene-1", rule="bound")
    counted: dict[str, Any] = {"stat": "share_at_least", "at": 0.3, "value": 0.9, "low": 0.6, "high": 1.0}
    counted["points"] = (0.0, 1.0)
    of_set = Measurement(
        "vendi", "mean", 3.0, 8, 0, "higher", "vendi/1", "CLIP", "references (4)", 2.5, 3.5, prompts=8,
        by_prompt=tuple((f"p{i}", 3.0 + i / 10) for i in range(8)), worst=("p0", 2.9), floor=2.0,
        nearest=(("references/00.png", 3),), themselves=2.8, reseeded=(2.7, 3.1), reseeded_by="seeds",
    )  # fmt: skip
    limbs = Threshold("limbs", "judge", "w", min=0.1, network="vlm", question=standard()["limbs"])
    return [
        judge(replace(likeness, metric="judge", noise=0.01, note="never seen to say no"), limbs, about),
        Verdict(lora, DIGEST, "file", Outcome.PASS, "a LoRA"),
        Verdict(lora, DIGEST, "applied", Outcome.PASS, "proven", details={"proof": PROOF}),
        Verdict(
            lora, DIGEST, "images", Outcome.PASS, "known",
            details={"pictures": {"p0/0": {"file": "a.png", "sha256": DIGEST}}},
        ),
        judge(replace(likeness, **counted), share, about),
        judge(replace(likeness, metric="clip_s", gain=True, on="scene-1"), gain, about),
        judge(of_set, spread, about),
        error(lora, DIGEST, "faces", replace(spread, name="faces", metric="arcface"), "no image has a face"),
    ]  # fmt: skip


def whole_report(folder: Path, lora: Path, policy: Path) -> Path:
    """Write report.json, verdicts.jsonl and approved.json; return the folder of the report.

    Args:
        folder: where to write.
        lora: the file that the report's first LoRA, "good", is about.
        policy: the folder of the policy that the run is to have asked for.
    """
    document = page_document(folder / "made", prompts=10, seeds=1, size=32, **facts(policy))
    verdicts = [verdict_of(row) for found in document["loras"] for row in found["rows"]]
    for step, found in enumerate(document["loras"], start=1):
        found |= {
            "scale": 1.0,
            "facts": {"steps": str(100 * step)},
            "keys": {"caption": ["keyword", "florence"][step % 2]},
            "sha256": hashlib.sha256(lora.read_bytes()).hexdigest(),
        }
        for picture in found["pictures"]:
            picture["recipe"] = DIGEST
        likeness = next(v for v in verdicts if (v.lora, v.check) == (found["name"], "likeness")).measurement
        assert likeness is not None
        verdicts += more_rows(found["name"], likeness)
    against = Against(_approved(folder, document), REGRESSION)
    verdicts += _changes(against, verdicts, document, inspect(lora, "good"))
    derived = ("step", "outcome", "images", "missing", "rows", "power")
    loras = [{k: v for k, v in found.items() if k not in derived} for found in document["loras"]]
    required = [(v.lora, v.check) for v in verdicts if v.required] + [("poor", "never-run")]
    question = document["run"] | {"loras": loras, "required": required, "baseline": against.begun()}
    made = report.build(question, verdicts)
    made["baseline"] = against.section(made)
    _write_journal(folder / "report", question, verdicts)
    return report.write(made, folder / "report").parent


def _approved(folder: Path, document: dict[str, Any]) -> Judged:
    path = folder / "approved.json"
    path.write_text(json.dumps(document | {"loras": document["loras"][:1], "ranking": None}))
    return Judged(path, DIGEST, document["run"], document["loras"][0])


def _changes(
    against: Against, verdicts: list[Verdict], document: dict[str, Any], lora: Lora
) -> list[Verdict]:
    found = []
    for verdict in verdicts:
        allowance = next((one for one in REGRESSION if one.row == verdict.check), None)
        if allowance is None or verdict.threshold is None or verdict.measurement is None:
            continue
        about = replace(lora, name=verdict.lora, scale=1.0)
        change = against.change(allowance, verdict.threshold, verdict.measurement, about, document["run"])
        found.append(against.judge(change, allowance, verdict.threshold, verdict.measurement, about, "store"))
    return found


def _write_journal(folder: Path, question: dict[str, Any], verdicts: list[Verdict]) -> None:
    entries: list[dict[str, Any]] = [{"run": question, "process": 1}]
    entries += [{"verdict": verdict_to_json(verdict), "process": 1} for verdict in verdicts]
    entries += [{"lora": lora, "process": 1} for lora in question["loras"]]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / journal.NAME).write_text("".join(json.dumps(report.plain(one)) + "\n" for one in entries))
