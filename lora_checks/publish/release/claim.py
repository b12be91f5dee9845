"""State what a finished report claims about one LoRA: its rows by name, and everything that judged it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import PurePath

from lora_checks.core.errors import ReleaseError
from lora_checks.core.words import printable
from lora_checks.record.approval import Approval
from lora_checks.record.shapes import Document, Lora
from lora_checks.record.shapes.rows import Measurement

PASSED, FAILED = "PASSED", "FAILED"
APPROVED = "approved"  # the report of --lora-baseline; without a digest for `--lora-baseline none`
NOT_COMPARED = "not compared with an earlier release (--lora-baseline none)"
APPROVAL = "approval/"  # a person's approval of the verdict: decides nothing, and is shown
OWN_ROWS = ("file", "applied")  # the gate's own: without them it is unknown what was measured


@dataclass(frozen=True, slots=True)
class Resource:
    """A file or value that decided the verdict; ``notes`` are for people, except where a rule reads them."""

    sha256: str
    notes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise `TypeError` if a digest or note is not text."""
        if not all(isinstance(text, str) for text in (self.sha256, *self.notes.values())):
            raise TypeError("a digest or a note is not text")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a report claims about one LoRA."""

    name: str  # of the file, for people
    sha256: str
    scales: tuple[float, ...]  # strengths it was judged at; empty for pictures made elsewhere
    result: str  # PASSED only if everything required passed at every strength, else FAILED
    passed: tuple[str, ...]  # rows, as `test_name` writes them
    warned: tuple[str, ...]  # optional rows that did not pass
    failed: tuple[str, ...]  # required rows that did not pass, or were not run
    configuration: Mapping[str, Resource]  # "policy", "policy/prompts", "folder/references", "base", ...
    url: str = ""  # of the CI run

    @property
    def compared(self) -> str:
        """Name the approved release it was compared with; "" for a run without ``--lora-baseline``."""
        approved = self.configuration.get(APPROVED)
        if approved is None:
            return ""
        return f"compared with {approved.notes.get('lora', '')}" if approved.sha256 else NOT_COMPARED

    @property
    def approvals(self) -> list[Mapping[str, str]]:
        """Return the notes of each approval, as `Approval` names them."""
        return [resource.notes for name, resource in self.configuration.items() if name.startswith(APPROVAL)]


def test_name(check: str, scale: float, scales: Sequence[float]) -> str:
    """Return "identity", or "identity@0.8" for a LoRA that was judged at several strengths."""
    return check if len(scales) < 2 else f"{check}@{scale:g}"


def claim_of(
    document: Document,
    report_sha256: str,
    lora: str = "",
    url: str = "",
    approvals: Sequence[Approval] = (),
) -> Claim:
    """Return the claim about one LoRA of a finished report.

    PASSED needs every required row and the outcome at the head of the report to be PASS, and no other test
    of the run, such as a user's own check, to have failed.

    Args:
        report_sha256: Digest of the report's file.
        lora: Name, file name or SHA-256 of the LoRA; "" for a report of only one.
        approvals: Approvals of this report; those of other LoRAs are left out.

    Raises:
        ReleaseError: The report has no such LoRA, or several.
    """
    entries = _entries(document, lora)
    scales = tuple(float(entry["scale"]) for entry in entries if "scale" in entry)
    rows = [(_test_name(row["check"], entry, scales), row) for entry in entries for row in entry["rows"]]
    unrun = [_test_name(check, entry, scales) for entry in entries for check in entry["missing"]]
    failed = tuple(name for name, row in rows if row["required"] and row["outcome"] != "PASS")
    passed = tuple(name for name, row in rows if row["outcome"] == "PASS")
    run = document["run"]
    good = not failed and not unrun and all(entry["outcome"] == "PASS" for entry in entries)
    good = good and bool(passed and run.get("finished") and not run.get("other_failures"))
    return Claim(
        name=printable(PurePath(entries[0]["path"] or entries[0]["name"]).name),
        sha256=entries[0]["sha256"],
        scales=scales,
        result=PASSED if good else FAILED,
        passed=passed,
        warned=tuple(name for name, row in rows if not row["required"] and row["outcome"] != "PASS"),
        failed=(*failed, *unrun, *run.get("other_failures", ())),
        configuration=_configuration(document, entries, report_sha256) | _approvals(approvals, entries[0]),
        url=url,
    )


def _test_name(check: str, entry: Lora, scales: Sequence[float]) -> str:
    return test_name(check, float(entry.get("scale", 1)), scales)


def _entries(document: Document, lora: str) -> list[Lora]:
    """Return the entries of one LoRA file, one for each strength."""
    loras = document["loras"]
    wanted = {entry["sha256"] for entry in loras if lora in ("", entry["sha256"], *_names(entry))}
    if not loras or not wanted:
        raise ReleaseError(f"the report judges no LoRA{f' {lora}' if lora else ''}; {_known(loras)}")
    if len(wanted) > 1:
        raise ReleaseError(f"the report judges {len(wanted)} LoRAs; choose one with --lora; {_known(loras)}")
    sha256 = wanted.pop()
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ReleaseError("the report has no SHA-256 of the LoRA: it could not be read when it was judged")
    return [entry for entry in loras if entry["sha256"] == sha256]


def _names(entry: Lora) -> tuple[str, ...]:
    """Return the names of an entry: "good:0.8", "good" and "good.safetensors"."""
    bare = str(entry["name"]).removesuffix(f":{entry.get('scale', 1):g}")
    return str(entry["name"]), bare, PurePath(entry["path"]).name


def _known(loras: Sequence[Lora]) -> str:
    return f"it has {', '.join(str(entry['name']) for entry in loras) or 'none'}"


def _configuration(document: Document, entries: Sequence[Lora], report: str) -> dict[str, Resource]:
    run, policy = document["run"], document["run"]["policy"]
    resources = {
        "policy": Resource(
            policy.get("digest", ""), {"directory": printable(PurePath(policy.get("directory", "")).name)}
        )
    }
    resources |= {f"policy/{part}": Resource(sha256) for part, sha256 in (policy.get("parts") or {}).items()}
    for name, folder in (run.get("folders") or {}).items():
        resources[f"folder/{name}"] = Resource(
            folder["digest"], {"images": str(len(folder.get("images", ())))}
        )
    if run.get("base"):
        base = run["base"]
        notes = {"identity": base["digest"], "label": base["label"], "model": _unplaced(base["model"])}
        resources["base"] = Resource(sha256_of(base["digest"]), notes)
    for i, lora in enumerate(run.get("companions") or (), start=1):  # two may have one file name
        notes = {"scale": f"{lora['scale']:g}"}
        resources[f"companion/{i}/{printable(PurePath(lora['path']).name)}"] = Resource(lora["sha256"], notes)
    for i, module in enumerate(run.get("code") or ()):  # one name may stand for two files
        name = f"code/{printable(module['file'])}"
        resources[f"{name}#{i}" if name in resources else name] = Resource(
            module["sha256"], {"file": module["file"], "for": ", ".join(module["for"])}
        )
    if run.get("elsewhere"):
        resources["elsewhere"] = Resource(
            sha256_of(run["elsewhere"]["caveat"]), {"caveat": run["elsewhere"]["caveat"]}
        )
    if approved := document.get("baseline"):
        label = f"{approved['lora']} {approved['lora_sha256'][:12]}"
        resources[APPROVED] = Resource(approved["sha256"], {"lora": label} if approved["sha256"] else {})
    for entry in entries:
        resources |= {
            f"network/{row['check']}": _network(row["measurement"])
            for row in entry["rows"]
            if row["measurement"]
        }
    notes = {key: str(run.get(key) or "") for key in ("started", "finished", "hardware", "device", "dtype")}
    notes["versions"] = ", ".join(run.get("versions") or ())
    return resources | {"report.json": Resource(report, {key: text for key, text in notes.items() if text})}


def _approvals(approvals: Sequence[Approval], entry: Lora) -> dict[str, Resource]:
    """Return each approval of the LoRA with its texts as notes; the digest is that of all of them."""
    own = [asdict(one) for one in approvals if one.lora_sha256 == entry["sha256"]]
    texts = [{key: text for key, text in one.items() if text} for one in own]
    return {
        f"{APPROVAL}{i}": Resource(sha256_of(json.dumps(notes, sort_keys=True)), notes)
        for i, notes in enumerate(texts, start=1)
    }


def _unplaced(model: str) -> str:
    """Return a folder's name without its path, which is private."""
    path = PurePath(model)
    return path.name if path.is_absolute() else model


def _network(measurement: Measurement) -> Resource:
    """Return what measured a row: metric version, network settings and digest of the weights."""
    notes = {"identity": measurement["network"], "label": measurement["label"]}
    return Resource(sha256_of(measurement["network"]), notes)


def sha256_of(text: str) -> str:
    """Hash an identity that is not itself a digest, such as "owner/name@commit"."""
    return hashlib.sha256(text.encode()).hexdigest()
