"""``report.json#name`` -> one LoRA of a report, read and checked. Raises `ConfigError`."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lora_checks.core.errors import ConfigError, ReportError
from lora_checks.core.records import Verdict
from lora_checks.core.words import printable
from lora_checks.record import document as report

NONE = "none"  # `--lora-baseline none`: there is no approved release yet
OPTION = "--lora-baseline"
REPORT = "report.json"


@dataclass(frozen=True)
class Judged:
    """One LoRA of a report: what was measured, and in which run."""

    path: Path
    sha256: str  # of the report file
    run: Mapping[str, Any]
    lora: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.lora["name"])

    @property
    def label(self) -> str:
        """ "good 0518e9", or the name alone where no file was known."""
        return " ".join(part for part in (self.name, str(self.lora["sha256"])[:6]) if part)

    @property
    def about(self) -> dict[str, Any]:
        """Which LoRA it is, of which file and run, as a document says it."""
        return {
            "path": str(self.path),
            "sha256": self.sha256,
            "lora": self.name,
            "lora_sha256": self.lora["sha256"],
            "scale": self.lora.get("scale"),
            "finished": self.run.get("finished") or "",
        }

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """By the name of the check."""
        found = (verdict_of(row) for row in self.lora["rows"])
        return {one.check: one for one in found}

    @property
    def rows(self) -> dict[str, Verdict]:
        """Those that have a value of their own, not one compared with an earlier release."""
        return {check: verdict for check, verdict in self.verdicts.items() if not verdict.change_of}


def verdict_of(row: Mapping[str, Any]) -> Verdict:
    """A row of a report as the verdict that it was made from."""
    fields = {field.name: row[field.name] for field in dataclasses.fields(Verdict) if field.name in row}
    return report.verdict_from_json(json.dumps(fields))


def read_approved(argument: str, here: Path) -> Judged | None:
    """The LoRA that was approved last, or None for ``--lora-baseline none``.

    Raises `ConfigError` where there is no such report, or where it did not pass: then nobody approved it.
    """
    if argument == NONE:
        return None
    found = read(argument, here, OPTION)
    if found.lora["outcome"] != "PASS":
        raise ConfigError(
            f"{OPTION}: {found.path}: {printable(found.name)} ended in {found.lora['outcome']}, and only "
            "what passed can have been approved; `python -m lora_checks compare` compares any two reports"
        )
    if not found.run.get("finished") or found.run.get("other_failures"):
        failed = ", ".join(map(printable, found.run.get("other_failures") or ()))
        reason = f"failed in {failed}" if failed else "has not finished"
        raise ConfigError(
            f"{OPTION}: {found.path}: its run {reason}, so it did not pass; gate the approved LoRA again"
        )
    if found.run.get("until_decided") is not None:
        raise ConfigError(
            f"{OPTION}: {found.path} was made with --lora-until-decided, so its images stop where they "
            "decided; gate the approved LoRA again without it"
        )
    return found


def read(argument: str, here: Path, option: str) -> Judged:
    """One LoRA of a report: a folder or a report.json, with ``#name`` where it holds several."""
    path, name = _split(argument, here, option)
    content = _content(path, option)
    document = document_of(content, f"{option}: {path}")
    lora = _chosen(document["loras"], name, f"{option}: {path}")
    return Judged(path, hashlib.sha256(content).hexdigest(), document["run"], lora)


def _split(argument: str, here: Path, option: str) -> tuple[Path, str]:
    """A file may have a # in its name."""
    if not argument.strip():
        raise ConfigError(f"{option}: the argument is empty (an unset variable?); name a {REPORT}")
    path, name = here / argument, ""
    if not path.exists():
        file, _, name = argument.rpartition("#")
        path = here / (file or argument)
    if path.is_dir():
        path = path / REPORT
    if not path.is_file():
        raise ConfigError(f"{option}: {path} is no file; name the {REPORT} of a run of the gate")
    return path, name


def _content(path: Path, option: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{option}: {path} cannot be read ({error.strerror or error})") from None


def document_of(content: bytes, where: str) -> dict[str, Any]:
    """Raises `ConfigError` for what is no report of this schema."""
    try:
        return report.parse(content, where)
    except ReportError as error:
        raise ConfigError(str(error)) from None


def _chosen(loras: list[dict[str, Any]], name: str, where: str) -> dict[str, Any]:
    names = ", ".join(printable(str(lora["name"])) for lora in loras)
    if not loras:
        raise ConfigError(f"{where} holds no LoRA: nothing was judged in that run")
    if name:
        found = [lora for lora in loras if lora["name"] == name]
        if not found:
            raise ConfigError(f"{where} holds no LoRA '{printable(name)}'; it has {names}")
        return found[0]
    if len(loras) > 1:
        raise ConfigError(f"{where} holds {len(loras)} LoRAs; say which as {REPORT}#NAME: {names}")
    return loras[0]
