"""What a finished report says of one LoRA: the rows by name, and everything that it was judged by."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from lora_checks.core.errors import ReleaseError
from lora_checks.core.words import printable

PASSED, FAILED = "PASSED", "FAILED"
APPROVED = "approved"  # the report of --lora-baseline; without a digest for `--lora-baseline none`
NOT_COMPARED = "not compared with an earlier release (--lora-baseline none)"
OWN_ROWS = ("file", "applied")  # of the gate itself: without them nobody knows what was measured
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Resource:
    """One thing that decided the verdict; ``notes`` are for people, but where a rule names them."""

    sha256: str
    notes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises `TypeError` for what a report or statement has in place of text."""
        if not all(isinstance(text, str) for text in (self.sha256, *self.notes.values())):
            raise TypeError("a digest or a note is no text")


@dataclass(frozen=True, slots=True)
class Claim:
    name: str  # of the file, for people
    sha256: str
    scales: tuple[float, ...]  # strengths it was judged at; none for pictures made elsewhere
    result: str  # PASSED only if everything required passed at every strength, else FAILED
    passed: tuple[str, ...]  # rows, as `test_name` writes them
    warned: tuple[str, ...]  # optional rows that did not pass
    failed: tuple[str, ...]  # required rows that did not pass, or were not run
    configuration: Mapping[str, Resource]  # "policy", "policy/prompts", "folder/references", "base", ...
    url: str = ""  # of the CI run

    @property
    def compared(self) -> str:
        """With which approved release, for people; "" for a run without ``--lora-baseline``."""
        found = self.configuration.get(APPROVED)
        if found is None:
            return ""
        return f"compared with {found.notes.get('lora', '')}" if found.sha256 else NOT_COMPARED


def test_name(check: str, scale: float, scales: Sequence[float]) -> str:
    """ "identity", or "identity@0.8" of a LoRA that was judged at several strengths."""
    return check if len(scales) < 2 else f"{check}@{scale:g}"


def claim_of(document: Document, report_sha256: str, lora: str = "", url: str = "") -> Claim:
    """The claim of one LoRA of a finished report; ``lora`` is its name or SHA-256 where there are several.

    The rows decide, not the word at the head of the document: PASSED needs both, and a run in which nothing
    else failed, such as a check of one's own.
    """
    entries = _entries(document, lora)
    scales = tuple(float(entry["scale"]) for entry in entries if "scale" in entry)
    rows = [
        (test_name(row["check"], float(entry.get("scale", 1)), scales), row)
        for entry in entries
        for row in entry["rows"]
    ]
    unrun = [
        test_name(check, float(entry.get("scale", 1)), scales)
        for entry in entries
        for check in entry["missing"]
    ]
    failed = tuple(name for name, row in rows if row["required"] and row["outcome"] != "PASS")
    passed = tuple(name for name, row in rows if row["outcome"] == "PASS")
    good = not failed and not unrun and all(entry["outcome"] == "PASS" for entry in entries)
    good = good and bool(
        passed and document["run"].get("finished") and not document["run"].get("other_failures")
    )
    return Claim(
        name=printable(PurePath(entries[0]["path"] or entries[0]["name"]).name),
        sha256=entries[0]["sha256"],
        scales=scales,
        result=PASSED if good else FAILED,
        passed=passed,
        warned=tuple(name for name, row in rows if not row["required"] and row["outcome"] != "PASS"),
        failed=(*failed, *unrun, *document["run"].get("other_failures", ())),
        configuration=_configuration(document, entries, report_sha256),
        url=url,
    )


def _entries(document: Document, lora: str) -> list[Document]:
    """The entries of one file, one for each strength."""
    loras = document["loras"]
    wanted = {entry["sha256"] for entry in loras if lora in ("", entry["sha256"], *_names(entry))}
    if not loras or not wanted:
        raise ReleaseError(f"the report judges no LoRA{f' {lora}' if lora else ''}; {_known(loras)}")
    if len(wanted) > 1:
        raise ReleaseError(f"the report judges {len(wanted)} LoRAs, say which with --lora; {_known(loras)}")
    sha256 = wanted.pop()
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ReleaseError("the report has no SHA-256 of the LoRA: it could not be read when it was judged")
    return [entry for entry in loras if entry["sha256"] == sha256]


def _names(entry: Document) -> tuple[str, ...]:
    """ "good:0.8", "good" and "good.safetensors" all name it."""
    bare = str(entry["name"]).removesuffix(f":{entry.get('scale', 1):g}")
    return str(entry["name"]), bare, PurePath(entry["path"]).name


def _known(loras: Sequence[Document]) -> str:
    return f"it has {', '.join(str(entry['name']) for entry in loras) or 'none'}"


def _configuration(document: Document, entries: Sequence[Document], report: str) -> dict[str, Resource]:
    run = document["run"]
    policy = run.get("policy") or {}
    found = {
        "policy": Resource(
            policy.get("digest", ""), {"directory": printable(PurePath(policy.get("directory", "")).name)}
        )
    }
    found |= {f"policy/{part}": Resource(sha256) for part, sha256 in (policy.get("parts") or {}).items()}
    for name, folder in (run.get("folders") or {}).items():
        found[f"folder/{name}"] = Resource(folder["digest"], {"images": str(len(folder.get("images", ())))})
    if run.get("base"):
        base = run["base"]
        notes = {"identity": base["digest"], "label": base["label"], "model": _unplaced(base["model"])}
        found["base"] = Resource(sha256_of(base["digest"]), notes)
    for i, lora in enumerate(run.get("companions") or (), start=1):  # two may have one file name
        notes = {"scale": f"{lora['scale']:g}"}
        found[f"companion/{i}/{printable(PurePath(lora['path']).name)}"] = Resource(lora["sha256"], notes)
    for i, one in enumerate(run.get("code") or ()):  # one name may stand for two files
        name = f"code/{printable(one['file'])}"
        found[f"{name}#{i}" if name in found else name] = Resource(
            one["sha256"], {"file": one["file"], "for": ", ".join(one["for"])}
        )
    if run.get("elsewhere"):
        found["elsewhere"] = Resource(
            sha256_of(run["elsewhere"]["caveat"]), {"caveat": run["elsewhere"]["caveat"]}
        )
    if approved := document.get("baseline"):
        label = f"{approved['lora']} {approved['lora_sha256'][:12]}"
        found[APPROVED] = Resource(approved["sha256"], {"lora": label} if approved["sha256"] else {})
    for entry in entries:
        found |= {f"network/{row['check']}": _network(row) for row in entry["rows"] if row["measurement"]}
    notes = {key: str(run.get(key) or "") for key in ("started", "finished", "hardware", "device", "dtype")}
    notes["versions"] = ", ".join(run.get("versions") or ())
    return found | {"report.json": Resource(report, {key: text for key, text in notes.items() if text})}


def _unplaced(model: str) -> str:
    """Of a folder its name alone: where it lay is nobody's business."""
    path = PurePath(model)
    return path.name if path.is_absolute() else model


def _network(row: Document) -> Resource:
    """What measured a row: the metric's version, the network's settings and the digest of its weights."""
    measured = row["measurement"]
    notes = {"identity": measured["network"], "label": measured["label"]}
    return Resource(sha256_of(measured["network"]), notes)


def sha256_of(text: str) -> str:
    """Of an identity that is no digest by itself, such as "owner/name@commit"."""
    return hashlib.sha256(text.encode()).hexdigest()
